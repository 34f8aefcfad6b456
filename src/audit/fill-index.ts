// Puts records into the index: a call by its intent, completed by its result; acts and notes as they are.
import { type ColumnWriter, codeOf, codeOfId, type Facts, writeColumns } from './columns.ts'
import { linesOf, type ReadBlock } from './read-blocks.ts'
import type { SearchIndex } from './search-index.ts'
import { hostTermsOf, splitCredential, tagTermsOf } from './search-terms.ts'

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
  /** Ms since 1970. */
  readonly instant: number
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
  /** Of each chain. */
  readonly bySeq: Map<number, Map<number, Draft>>
  /** Calls, oldest first; null: nobody has asked for one yet. */
  byId: Map<string, Draft[]> | null
  /** Older files are not indexed yet: the intent of a result may be in one of them. */
  readonly early: boolean
}

const startFilling = (index: SearchIndex, early: boolean): Filling => ({
  ...{ index, early, columns: writeColumns(index), bySeq: new Map(), byId: null },
})

/** Within a transaction. Lines that are none of ours are passed over: the verifier names them. */
export function fillBlocks(index: SearchIndex, file: number, blocks: readonly ReadBlock[], early: boolean): void {
  const filling = startFilling(index, early)
  let time = { text: '', instant: Number.NaN }
  for (const read of blocks) {
    const chain = chainNumber(read.block.chain)
    if (!Number.isSafeInteger(chain)) continue
    for (const { at, line: bytes } of linesOf(read)) {
      const line = parseLine(bytes)
      if (line === null) continue
      // All records of a block have one.
      if (line.at !== time.text) time = { text: line.at, instant: Date.parse(line.at) }
      const { instant } = time
      if (Number.isFinite(instant))
        addLine(filling, { chain, line, instant, position: { file, start: read.start + at, length: bytes.length }, result: null })
    }
  }
  finish(filling)
}

function finish(filling: Filling): void {
  const early = hasEarly(filling.index)
  for (const drafts of filling.bySeq.values()) for (const draft of drafts.values()) insert(filling, draft, early)
  filling.columns.flush()
}

const hasEarly = (index: SearchIndex): boolean => index.prepare('SELECT 1 FROM early_results LIMIT 1').get() !== undefined

function parseLine(bytes: Buffer): Line | null {
  try {
    const line = JSON.parse(bytes.toString('utf8')) as Line
    return Number.isSafeInteger(line.seq) ? line : null
  } catch {
    return null
  }
}

function addLine(filling: Filling, draft: Draft): void {
  const { chain, line } = draft
  const bySeq = filling.bySeq.get(chain) ?? new Map<number, Draft>()
  filling.bySeq.set(chain, bySeq)
  if (line.kind !== 'result') {
    bySeq.set(line.seq, draft)
    if (filling.byId !== null && line.kind === 'intent') addById(filling.byId, draft)
    return
  }
  const begun = typeof line.intent === 'number' ? bySeq.get(line.intent) : undefined
  // What was indexed before is older than what is in hand.
  if (!begun && complete(filling, draft)) return
  const intent = begun ?? openDraft(filling, line)
  if (intent?.line.kind === 'intent') intent.result = draft
  else if (filling.early && hasIntent(line)) setAside(filling.index, draft)
  else bySeq.set(line.seq, { ...draft, result: draft })
}

function addById(byId: Map<string, Draft[]>, draft: Draft): void {
  const { id = '' } = draft.line
  const same = byId.get(id)
  if (same) same.push(draft)
  else byId.set(id, [draft])
}

/** A call that was refused before it had an adapter has none. */
const hasIntent = ({ intent, adapter }: Line): boolean => typeof intent === 'number' || adapter !== null

/** Where nobody waited for the intent its number is not known: the oldest of that id that is still open. */
function openDraft(filling: Filling, { id, intent, caller, adapter }: Line): Draft | undefined {
  if (typeof intent === 'number' || adapter === null) return undefined
  filling.byId ??= callsById(filling.bySeq)
  return filling.byId
    .get(id ?? '')
    ?.find((draft) => !draft.result && draft.line.caller === caller && draft.line.adapter === adapter)
}

function callsById(bySeq: Filling['bySeq']): Map<string, Draft[]> {
  const byId = new Map<string, Draft[]>()
  for (const drafts of bySeq.values()) for (const draft of drafts.values()) if (draft.line.kind === 'intent') addById(byId, draft)
  return byId
}

function insert({ index, columns }: Filling, draft: Draft, early: boolean): void {
  const { chain, line, instant, position } = draft
  const result = draft.result ?? (early && line.kind === 'intent' ? takeEarly(index, chain, line) : null)
  const call = line.kind === 'intent' || line.kind === 'result'
  const secret = line.kind === 'act' && line.act?.startsWith('secret.') ? line.subject : null
  const { credential, version } = credentialFacts(result?.line.credential ?? secret ?? line.credential)
  const facts: Facts = {
    at: instant,
    seq: line.seq,
    kind: call ? KINDS.call : KINDS[line.kind],
    id: codeOfId(line.id),
    caller: codeOf(line.caller ?? line.who),
    adapter: codeOf(result?.line.adapter ?? line.adapter),
    credential,
    version,
    status: result?.line.status ?? 0,
    error: codeOf(result ? result.line.error : line.error),
    duration: result?.line.durationMs ?? -1,
    start: position.start,
    length: position.length,
    resultFile: result?.position.file ?? 0,
    resultStart: result?.position.start ?? 0,
    resultLength: result?.position.length ?? 0,
  }
  const terms: string[] = call ? [...hostTermsOf(line), ...tagTermsOf(line), ...(result ? hostTermsOf(result.line) : [])] : []
  const row = columns.add(position.file, chain, facts, terms)
  if (line.kind === 'intent' && !result) {
    const sql = 'INSERT OR REPLACE INTO open_calls (chain, seq, id, caller, adapter, row) VALUES (?, ?, ?, ?, ?, ?)'
    index.prepare(sql).run(chain, line.seq, line.id ?? null, line.caller ?? null, line.adapter ?? null, row)
  }
}

/** What a call that is in the index already has from its result. */
function resultFacts(line: Line, position: Position): Partial<Facts> {
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
  columns.change(open.row, resultFacts(line, position), hostTermsOf(line))
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

function fromEarly({ line: text, file, start, length }: EarlyRow): Placed {
  const line = JSON.parse(text) as Line
  return { line, instant: Date.parse(line.at), position: { file, start, length } }
}

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
