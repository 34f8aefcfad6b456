// Puts records into the index: a call by its intent, completed by its result; acts and notes as they are.
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

interface Key {
  readonly at: number
  readonly chain: number
  readonly seq: number
}

interface Position {
  readonly file: number
  readonly start: number
  readonly length: number
}

/** Stored as a whole number that every chain has to itself; 48 bits of what was drawn for it. */
export const chainNumber = (chain: string): number => Number.parseInt(chain.slice(0, 12), 16)
export const chainName = (number: number): string => number.toString(16).padStart(12, '0')

/** A row to be: most calls end in the slice in which they began, and are written once. */
interface Draft extends Key {
  readonly kind: number
  readonly line: Line
  readonly position: Position
  result: { readonly line: Line; readonly position: Position } | null
}

/** Within a transaction. Lines that are none of ours are passed over: the verifier names them. */
export function fillBlocks(index: SearchIndex, file: number, blocks: readonly ReadBlock[]): void {
  const drafts: Drafts = { bySeq: new Map(), byId: new Map() }
  for (const read of blocks) {
    const chain = chainNumber(read.block.chain)
    if (!Number.isSafeInteger(chain)) continue
    for (const { at, line: bytes } of linesOf(read)) {
      const line = parseLine(bytes)
      if (line) addLine(index, drafts, { line, chain, position: { file, start: read.start + at, length: bytes.length } })
    }
  }
  for (const draft of drafts.bySeq.values()) insert(index, draft)
}

function parseLine(bytes: Buffer): Line | null {
  try {
    const line = JSON.parse(bytes.toString('utf8')) as Line
    return Number.isSafeInteger(line.seq) && Number.isFinite(Date.parse(line.at)) ? line : null
  } catch {
    return null
  }
}

interface Placed {
  readonly line: Line
  readonly chain: number
  readonly position: Position
}

interface Drafts {
  readonly bySeq: Map<string, Draft>
  /** Calls without a result, oldest first. */
  readonly byId: Map<string, Draft[]>
}

function addLine(index: SearchIndex, { bySeq, byId }: Drafts, { line, chain, position }: Placed): void {
  const add = (kind: number, result: Draft['result'] = null): void => {
    const draft: Draft = { at: Date.parse(line.at), chain, seq: line.seq, kind, line, position, result }
    bySeq.set(`${chain} ${line.seq}`, draft)
    if (line.kind === 'intent') byId.set(line.id ?? '', [...(byId.get(line.id ?? '') ?? []), draft])
  }
  if (line.kind !== 'result') {
    add(line.kind === 'intent' ? KINDS.call : KINDS[line.kind])
    return
  }
  const begun = typeof line.intent === 'number' ? bySeq.get(`${chain} ${line.intent}`) : undefined
  // What was indexed before is older than what is in hand.
  const intent = begun ? null : findIntent(index, line, chain)
  const draft = begun ?? (intent ? undefined : openDraft(byId, line))
  if (intent) complete(index, intent, line, position)
  else if (draft?.line.kind === 'intent') draft.result = { line, position }
  else add(KINDS.call, { line, position })
}

/** Where nobody waited for the intent its number is not known: the oldest of that id that is still open. */
function openDraft(byId: Drafts['byId'], { id, intent, caller, adapter }: Line): Draft | undefined {
  return typeof intent === 'number' || adapter === null
    ? undefined
    : byId.get(id ?? '')?.find((draft) => !draft.result && draft.line.caller === caller && draft.line.adapter === adapter)
}

const INSERT = `
  INSERT OR IGNORE INTO records (at, chain, seq, kind, id, caller, adapter, credential, version, status, error, duration,
    file, start, length, result_file, result_start, result_length)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

function insert(index: SearchIndex, draft: Draft): void {
  const { kind, line, position, result } = draft
  const last = result?.line ?? line
  const secret = line.kind === 'act' && line.act?.startsWith('secret.') ? line.subject : null
  const { credential, version } = credentialOf(index, secret ?? last.credential ?? line.credential)
  index
    .prepare(INSERT)
    .run(
      ...([draft.at, draft.chain, draft.seq, kind, line.id ?? null, nameOrNull(index, line.caller ?? line.who)] as const),
      ...([nameOrNull(index, last.adapter ?? line.adapter), credential, version, last.status ?? null] as const),
      ...([nameOrNull(index, last.error), micros(last.durationMs), position.file, position.start, position.length] as const),
      ...([result?.position.file ?? null, result?.position.start ?? null, result?.position.length ?? null] as const),
    )
  if (kind === KINDS.call)
    addTerms(index, draft, [
      ...hostsOf(line).map(hostTerm),
      ...tagsOf(line),
      ...(result ? hostsOf(result.line).map(hostTerm) : []),
    ])
}

const COMPLETE = `
  UPDATE records SET status = ?, error = ?, duration = ?, credential = ifnull(?, credential), version = ?, adapter = ifnull(?, adapter),
    result_file = ?, result_start = ?, result_length = ?
  WHERE at = ? AND chain = ? AND seq = ?`

/** A call whose intent was indexed before. */
function complete(index: SearchIndex, intent: Key, line: Line, position: Position): void {
  const { credential, version } = credentialOf(index, line.credential)
  index
    .prepare(COMPLETE)
    .run(
      ...([line.status ?? null, nameOrNull(index, line.error), micros(line.durationMs), credential, version] as const),
      ...([nameOrNull(index, line.adapter), position.file, position.start, position.length] as const),
      ...([intent.at, intent.chain, intent.seq] as const),
    )
  addTerms(index, intent, hostsOf(line).map(hostTerm))
}

function findIntent(index: SearchIndex, line: Line, chain: number): Key | null {
  const values = typeof line.intent === 'number' ? [chain, line.intent] : null
  if (values)
    return (
      (index.prepare('SELECT at, chain, seq FROM records WHERE chain = ? AND seq = ?').get(...values) as unknown as Key) ?? null
    )
  if (line.id === undefined || line.adapter === null) return null
  const sql = `
    SELECT at, chain, seq FROM records WHERE id = ? AND chain = ? AND kind = 0 AND result_file IS NULL AND caller IS ? AND adapter IS ?
    ORDER BY seq LIMIT 1`
  const found = index.prepare(sql).get(line.id, chain, nameOrNull(index, line.caller), nameOrNull(index, line.adapter))
  return (found as unknown as Key | undefined) ?? null
}

function addTerms(index: SearchIndex, { at, chain, seq }: Key, terms: readonly string[]): void {
  const add = index.prepare('INSERT OR IGNORE INTO terms (term, at, chain, seq) VALUES (?, ?, ?, ?)')
  for (const term of new Set(terms)) add.run(index.nameOf(term), at, chain, seq)
}

const nameOrNull = (index: SearchIndex, text: string | null | undefined): number | null =>
  text === null || text === undefined ? null : index.nameOf(text)

const micros = (ms: number | undefined): number | null => (ms === undefined ? null : Math.round(ms * 1000))

function credentialOf(
  index: SearchIndex,
  text: string | null | undefined,
): { credential: number | null; version: number | null } {
  if (text === null || text === undefined) return { credential: null, version: null }
  const { name, version } = splitCredential(text)
  return { credential: index.nameOf(name), version }
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
