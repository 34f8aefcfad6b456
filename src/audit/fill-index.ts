// Puts records into the index: a call by its intent, completed by its result; acts and notes as they are.
import { type ColumnWriter, codeOf, type Facts, writeColumns } from './columns.ts'
import { hostsOf } from './match.ts'
import { linesOf, type ReadBlock } from './read-blocks.ts'
import type { SearchIndex } from './search-index.ts'

export const KINDS = { call: 0, act: 1, note: 2 } as const

/** A line as the gateway wrote it, as far as the index wants it. */
interface Line {
  readonly seq: number
  readonly at: string
  readonly kind: 'intent' | 'result' | 'act' | 'note'
  readonly id?: string
  readonly intent?: number | null
  readonly caller?: string
  readonly who?: string
  readonly url?: string | null
  readonly adapter?: string | null
  readonly credential?: string | null
  readonly tags?: Readonly<Record<string, string>>
  readonly status?: number | null
  readonly error?: string | null
  readonly durationMs?: number
  readonly attempts?: readonly { readonly origin: string }[]
  readonly act?: string
  readonly subject?: string | null
}

interface Position {
  readonly file: number
  readonly start: number
  readonly length: number
}

interface Placed {
  readonly line: Line
  readonly position: Position
}

/** Stored as a whole number that every chain has to itself; 48 bits of what was drawn for it. */
export const chainNumber = (chain: string): number => Number.parseInt(chain.slice(0, 12), 16)
export const chainName = (number: number): string => number.toString(16).padStart(12, '0')

/** A row to be: most calls end in the slice in which they began, and are written once. */
interface Draft extends Placed {
  readonly chain: number
  result: Placed | null
}

interface Filling {
  readonly index: SearchIndex
  readonly columns: ColumnWriter
  readonly bySeq: Map<string, Draft>
  /** Calls without a result, oldest first. */
  readonly byId: Map<string, Draft[]>
  /** Older files are not indexed yet: the intent of a result may be in one of them. */
  readonly early: boolean
}

const startFilling = (index: SearchIndex, early: boolean): Filling => ({
  ...{ index, early, columns: writeColumns(index) },
  ...{ bySeq: new Map(), byId: new Map() },
})

/** Within a transaction. Lines that are none of ours are passed over: the verifier names them. */
export function fillBlocks(index: SearchIndex, file: number, blocks: readonly ReadBlock[], early: boolean): void {
  const filling = startFilling(index, early)
  for (const read of blocks) {
    const chain = chainNumber(read.block.chain)
    if (!Number.isSafeInteger(chain)) continue
    for (const { at, line: bytes } of linesOf(read)) {
      const line = parseLine(bytes)
      if (line) addLine(filling, { chain, line, position: { file, start: read.start + at, length: bytes.length }, result: null })
    }
  }
  finish(filling)
}

function finish(filling: Filling): void {
  const early = hasEarly(filling.index)
  for (const draft of filling.bySeq.values()) insert(filling, draft, early)
  filling.columns.flush()
}

const hasEarly = (index: SearchIndex): boolean => index.prepare('SELECT 1 FROM early_results LIMIT 1').get() !== undefined

function parseLine(bytes: Buffer): Line | null {
  try {
    const line = JSON.parse(bytes.toString('utf8')) as Line
    return Number.isSafeInteger(line.seq) && Number.isFinite(Date.parse(line.at)) ? line : null
  } catch {
    return null
  }
}

function addLine(filling: Filling, draft: Draft): void {
  const { bySeq, byId, early } = filling
  const { chain, line } = draft
  if (line.kind !== 'result') {
    bySeq.set(`${chain} ${line.seq}`, draft)
    if (line.kind === 'intent') byId.set(line.id ?? '', [...(byId.get(line.id ?? '') ?? []), draft])
    return
  }
  const begun = typeof line.intent === 'number' ? bySeq.get(`${chain} ${line.intent}`) : undefined
  // What was indexed before is older than what is in hand.
  if (!begun && complete(filling, draft)) return
  const intent = begun ?? openDraft(byId, line)
  if (intent?.line.kind === 'intent') intent.result = draft
  else if (early && hasIntent(line)) setAside(filling.index, draft)
  else bySeq.set(`${chain} ${line.seq}`, { ...draft, result: draft })
}

/** A call that was refused before it had an adapter has none. */
const hasIntent = ({ intent, adapter }: Line): boolean => typeof intent === 'number' || adapter !== null

/** Where nobody waited for the intent its number is not known: the oldest of that id that is still open. */
function openDraft(byId: Filling['byId'], { id, intent, caller, adapter }: Line): Draft | undefined {
  return typeof intent === 'number' || adapter === null
    ? undefined
    : byId.get(id ?? '')?.find((draft) => !draft.result && draft.line.caller === caller && draft.line.adapter === adapter)
}

function insert({ index, columns }: Filling, draft: Draft, early: boolean): void {
  const { chain, line, position } = draft
  const result = draft.result ?? (early && line.kind === 'intent' ? takeEarly(index, chain, line) : null)
  const call = line.kind === 'intent' || line.kind === 'result'
  const secret = line.kind === 'act' && line.act?.startsWith('secret.') ? line.subject : null
  const facts: Facts = {
    ...{ at: Date.parse(line.at), seq: line.seq, kind: call ? KINDS.call : KINDS[line.kind], id: codeOf(line.id) },
    ...{ caller: codeOf(line.caller ?? line.who), adapter: codeOf(line.adapter), status: 0, error: codeOf(line.error) },
    ...{ ...credentialFacts(secret ?? line.credential), duration: -1, start: position.start, length: position.length },
    ...(result ? resultFacts(result) : { resultFile: 0, resultStart: 0, resultLength: 0 }),
  }
  const terms = call
    ? [...hostsOf(line).map(hostTerm), ...tagsOf(line), ...(result ? hostsOf(result.line).map(hostTerm) : [])]
    : []
  const row = columns.add(position.file, chain, facts, terms)
  if (line.kind === 'intent' && !result) {
    const sql = 'INSERT OR REPLACE INTO open_calls (chain, seq, id, caller, adapter, row) VALUES (?, ?, ?, ?, ?, ?)'
    index.prepare(sql).run(chain, line.seq, line.id ?? null, line.caller ?? null, line.adapter ?? null, row)
  }
}

/** What a call has from its result. */
function resultFacts({ line, position }: Placed): Partial<Facts> & Pick<Facts, 'resultFile' | 'resultStart' | 'resultLength'> {
  return {
    ...{ status: line.status ?? 0, error: codeOf(line.error), duration: line.durationMs ?? -1 },
    ...(line.adapter === null || line.adapter === undefined ? {} : { adapter: codeOf(line.adapter) }),
    ...(line.credential === null || line.credential === undefined ? {} : credentialFacts(line.credential)),
    ...{ resultFile: position.file, resultStart: position.start, resultLength: position.length },
  }
}

/** A call whose intent was indexed before. False: there is none. */
function complete({ index, columns }: Filling, { chain, line, position }: Draft): boolean {
  const open = findOpen(index, chain, line)
  if (!open) return false
  index.prepare('DELETE FROM open_calls WHERE chain = ? AND seq = ?').run(chain, open.seq)
  columns.change(open.row, resultFacts({ line, position }), hostsOf(line).map(hostTerm))
  return true
}

function findOpen(index: SearchIndex, chain: number, line: Line): { readonly seq: number; readonly row: number } | null {
  if (typeof line.intent === 'number') {
    const found = index.prepare('SELECT seq, row FROM open_calls WHERE chain = ? AND seq = ?').get(chain, line.intent)
    return (found as unknown as { seq: number; row: number } | undefined) ?? null
  }
  if (line.id === undefined || line.adapter === null) return null
  const sql = 'SELECT seq, row FROM open_calls WHERE id = ? AND chain = ? AND caller IS ? AND adapter IS ? ORDER BY seq LIMIT 1'
  const found = index.prepare(sql).get(line.id, chain, line.caller ?? null, line.adapter ?? null)
  return (found as unknown as { seq: number; row: number } | undefined) ?? null
}

interface EarlyRow extends Position {
  readonly chain: number
  readonly seq: number
  readonly line: string
}

const fromEarly = ({ line, file, start, length }: EarlyRow): Placed => ({
  line: JSON.parse(line) as Line,
  position: { file, start, length },
})

function setAside(index: SearchIndex, { chain, line, position: { file, start, length } }: Draft): void {
  const sql = `INSERT OR REPLACE INTO early_results (chain, seq, intent, id, caller, adapter, file, start, length, line)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
  const { seq, intent = null, id = null, caller = null, adapter = null } = line
  index.prepare(sql).run(chain, seq, intent, id, caller, adapter, file, start, length, JSON.stringify(line))
}

/** The result of that call, where it was read before its intent. */
function takeEarly(index: SearchIndex, chain: number, { seq, id, caller, adapter }: Line): Placed | null {
  const byIntent = index.prepare('SELECT * FROM early_results WHERE intent = ? AND chain = ?').get(seq, chain)
  const sql = `SELECT * FROM early_results WHERE intent IS NULL AND id IS ? AND chain = ? AND caller IS ? AND adapter IS ?
    ORDER BY seq LIMIT 1`
  const found = byIntent ?? index.prepare(sql).get(id ?? null, chain, caller ?? null, adapter ?? null)
  if (!found) return null
  const early = found as unknown as EarlyRow
  index.prepare('DELETE FROM early_results WHERE chain = ? AND seq = ?').run(chain, early.seq)
  return fromEarly(early)
}

/** When all files are indexed: results whose intents were nowhere are records of their own. */
export function settleEarly(index: SearchIndex): void {
  if (!hasEarly(index)) return
  index.write(() => {
    const filling = startFilling(index, false)
    for (const row of index.all('SELECT * FROM early_results ORDER BY chain, seq') as unknown as EarlyRow[])
      addLine(filling, { chain: row.chain, ...fromEarly(row), result: null })
    index.prepare('DELETE FROM early_results').run()
    finish(filling)
  })
}

function credentialFacts(text: string | null | undefined): Pick<Facts, 'credential' | 'version'> {
  if (text === null || text === undefined) return { credential: 0, version: 0 }
  const { name, version } = splitCredential(text)
  return { credential: codeOf(name), version: version === null ? 0 : version + 1 }
}

/** `github-token@3`: names hold no `@`. */
export function splitCredential(text: string): { name: string; version: number | null } {
  const at = text.lastIndexOf('@')
  const version = at < 0 ? Number.NaN : Number(text.slice(at + 1))
  return Number.isSafeInteger(version) ? { name: text.slice(0, at), version } : { name: text, version: null }
}

export const hostTerm = (host: string): string => `host:${host.toLowerCase()}`
export const tagTerm = (tag: string): string => `tag:${tag}`

const tagsOf = ({ tags = {} }: Line): string[] =>
  Object.entries(tags).flatMap(([name, value]) => [tagTerm(name), tagTerm(`${name}=${value}`)])
