// A question to the index: chunk after chunk in the order that was asked for, a column at a time, until the page is full.
import { GatewayError } from '../errors/gateway-error.ts'
import type { AuditPageQuery, AuditQuery } from '../model/audit-search.ts'
import { CHUNK_ROWS, type Chunk, type Column, codeOf, readColumn, readTerm, termOf } from './columns.ts'
import { chainName, chainNumber, KINDS } from './fill-index.ts'
import type { SearchIndex } from './search-index.ts'
import { hostTerm, splitCredential, tagTerm } from './search-terms.ts'

interface RowLine {
  readonly file: string
  readonly start: number
  readonly length: number
}

/** Where a call's lines stand; names of files, not their numbers. */
export interface Row extends Place {
  /** A call's result second, where it has one beside its intent. */
  readonly lines: readonly [RowLine, RowLine?]
}

/** What records are ordered by. */
export interface Place {
  readonly at: number
  readonly chain: string
  readonly seq: number
}

export const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1000

/** One more than the limit, where there is one more: then there is a next page. Some may be others that share a term with what was asked for. */
export function queryIndex(index: SearchIndex, query: AuditPageQuery): Row[] {
  const { order = 'newest', limit = DEFAULT_LIMIT, from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = query
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw new GatewayError('InvalidDescriptor', `limit: a whole number from 1 to ${MAX_LIMIT}`)
  const cursor = query.cursor === undefined ? null : readCursor(query.cursor)
  const newest = order === 'newest'
  const wanted: Wanted = {
    ...{ tests: testsOf(query), terms: termsOf(query), from, to, most: limit + 1 },
    ahead: newest ? (a, b) => compare(b, a) : compare,
    after: cursor && { at: cursor.at, chain: chainNumber(cursor.chain), seq: cursor.seq },
  }
  return index.read(() => {
    let found: Hit[] = []
    for (const chunk of chunksOf(index, newest, wanted)) {
      const last = found.length === wanted.most ? found.at(-1) : undefined
      // Chunks come in the order of their nearest record: all that follow are further away than this one.
      if (last && (newest ? chunk.max_at < last.at : chunk.min_at > last.at)) break
      const more = hitsIn(index, chunk, wanted)
      if (more.length > 0) found = [...found, ...more].sort(wanted.ahead).slice(0, wanted.most)
    }
    return toRows(index, found)
  })
}

interface Wanted {
  readonly tests: readonly Test[]
  /** Of lists of rows. */
  readonly terms: readonly number[]
  readonly from: number
  readonly to: number
  readonly after: Key | null
  readonly most: number
  readonly ahead: (a: Key, b: Key) => number
}

interface Test {
  readonly column: Column
  readonly holds: (value: number) => boolean
}

interface Key {
  readonly at: number
  readonly chain: number
  readonly seq: number
}

interface Hit extends Key {
  readonly chunk: Chunk
  readonly row: number
}

const compare = (a: Key, b: Key): number => a.at - b.at || a.chain - b.chain || a.seq - b.seq

/** Those that may have a record within the time asked for, the nearest first. */
function chunksOf(index: SearchIndex, newest: boolean, { from, to, after }: Wanted): Chunk[] {
  const earliest = newest ? from : Math.max(from, after?.at ?? from)
  const latest = newest ? Math.min(to, after?.at ?? to) : to
  const all = index.all('SELECT id, file, chain, count, min_at, max_at FROM chunks') as unknown as Chunk[]
  return all
    .filter((chunk) => chunk.max_at >= earliest && chunk.min_at <= latest)
    .sort((a, b) => (newest ? b.max_at - a.max_at : a.min_at - b.min_at))
}

const EVERY_ROW = Uint16Array.from({ length: CHUNK_ROWS }, (_, row) => row)

function hitsIn(index: SearchIndex, chunk: Chunk, { tests, terms, from, to, after, most, ahead }: Wanted): Hit[] {
  let rows: Uint16Array | null = null
  for (const term of terms) {
    const with_ = readTerm(index, chunk.id, term)
    rows = rows === null ? with_ : intersect(rows, with_)
    if (rows.length === 0) return []
  }
  rows ??= EVERY_ROW.subarray(0, chunk.count)
  for (const { column, holds } of tests) {
    const values = readColumn(index, chunk.id, column)
    rows = rows.filter((row) => holds(values[row] ?? 0))
    if (rows.length === 0) return []
  }
  const at = readColumn(index, chunk.id, 'at')
  const seq = readColumn(index, chunk.id, 'seq')
  const hits: Hit[] = []
  for (const row of rows) {
    const hit = { at: at[row] ?? 0, chain: chunk.chain, seq: seq[row] ?? 0, chunk, row }
    if (hit.at >= from && hit.at < to && (after === null || ahead(after, hit) < 0)) hits.push(hit)
  }
  return hits.sort(ahead).slice(0, most)
}

function intersect(some: Uint16Array, others: Uint16Array): Uint16Array {
  const known = new Set(others)
  return some.filter((row) => known.has(row))
}

/** What few records have comes first: what follows then has less to look at. */
function testsOf({ requestId, error, minDurationMs, status, credential, caller, adapter, kind }: AuditQuery): Test[] {
  const tests: Test[] = []
  const same = (column: Column, asked: number): void => void tests.push({ column, holds: (value) => value === asked })
  if (requestId !== undefined) same('id', codeOf(requestId))
  if (error === 'any') tests.push({ column: 'error', holds: (code) => code !== 0 })
  else if (error === 'none') {
    same('error', 0)
    tests.push({ column: 'resultLength', holds: (length) => length > 0 })
  } else if (error !== undefined) same('error', codeOf(error))
  if (minDurationMs !== undefined) tests.push({ column: 'duration', holds: (ms) => ms >= minDurationMs })
  if (typeof status === 'number' || status === 'none') same('status', status === 'none' ? 0 : status)
  else if (status !== undefined) tests.push({ column: 'status', holds: (value) => Math.floor(value / 100) === Number(status[0]) })
  if (credential !== undefined) {
    const { name, version } = splitCredential(credential)
    same('credential', codeOf(name))
    if (version !== null) same('version', version + 1)
  }
  if (caller !== undefined) same('caller', codeOf(caller))
  if (adapter !== undefined) same('adapter', codeOf(adapter))
  if (kind !== undefined) same('kind', KINDS[kind])
  if (status === 'none' || error === 'none') same('kind', KINDS.call)
  return tests
}

const termsOf = ({ host, tags = [] }: AuditQuery): number[] =>
  [...(host === undefined ? [] : [hostTerm(host)]), ...tags.map(tagTerm)].map(termOf)

function toRows(index: SearchIndex, hits: readonly Hit[]): Row[] {
  const names = new Map(index.all('SELECT id, name FROM files').map(({ id, name }) => [id as number, name as string]))
  const columns = new Map<string, ReturnType<typeof readColumn>>()
  return hits.map(({ at, chain, seq, chunk, row }) => {
    const value = (column: Column): number => {
      const key = `${chunk.id} ${column}`
      const values = columns.get(key) ?? readColumn(index, chunk.id, column)
      columns.set(key, values)
      return values[row] ?? 0
    }
    const place = { at, chain: chainName(chain), seq }
    const first: RowLine = { file: names.get(chunk.file) ?? '', start: value('start'), length: value('length') }
    const [file, start] = [value('resultFile'), value('resultStart')]
    const alone = file === 0 || (file === chunk.file && start === first.start)
    return { ...place, lines: alone ? [first] : [first, { file: names.get(file) ?? '', start, length: value('resultLength') }] }
  })
}

export const cursorOf = ({ at, chain, seq }: Place): string => Buffer.from(`${at}.${chain}.${seq}`).toString('base64url')

export function readCursor(text: string): Place {
  const match = /^(\d{1,15})\.([0-9a-f]{12})\.(\d{1,15})$/.exec(Buffer.from(text, 'base64url').toString('latin1'))
  if (!match)
    throw new GatewayError('InvalidDescriptor', 'cursor: not one that this gateway gave; leave it out for the first page')
  return { at: Number(match[1]), chain: match[2] ?? '', seq: Number(match[3]) }
}
