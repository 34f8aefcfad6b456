// A question to the index as SQL: which rows, in which order, and by which way they are found soonest.
import type { SQLInputValue } from 'node:sqlite'
import { GatewayError } from '../errors/gateway-error.ts'
import type { AuditPageQuery, AuditQuery } from '../model/audit-search.ts'
import { chainName, chainNumber, hostTerm, KINDS, splitCredential, tagTerm } from './fill-index.ts'
import type { SearchIndex } from './search-index.ts'

interface RowLine {
  readonly file: string
  readonly start: number
  readonly length: number
}

/** Where a call's lines stand; names of files, not their numbers. */
export interface Row {
  readonly kind: keyof typeof KINDS
  readonly at: number
  readonly chain: string
  readonly seq: number
  /** A call's result second, where it has one beside its intent. */
  readonly lines: readonly [RowLine, RowLine?]
}

export const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1000

/** One more than the limit, where there is one more: then there is a next page. */
export function queryIndex(index: SearchIndex, query: AuditPageQuery): Row[] {
  const { order = 'newest', limit = DEFAULT_LIMIT } = query
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw new GatewayError('InvalidDescriptor', `limit: a whole number from 1 to ${MAX_LIMIT}`)
  const conditions = conditionsOf(index, query)
  const after = query.cursor === undefined ? null : readCursor(query.cursor)
  if (conditions === null) return []
  const way = chooseWay(index, conditions, query)
  const by = way.term === null ? 'r' : 't'
  const [compare, direction] = order === 'newest' ? ['<', 'DESC'] : ['>', 'ASC']
  const all: Condition[] = way.term === null ? [] : [{ sql: 't.term = ?', values: [way.term] }]
  for (const condition of conditions) {
    if (way.term !== null && condition === way.condition) continue
    all.push(condition.place ? { ...condition, sql: condition.sql.replace('r.', `${by}.`) } : condition)
  }
  if (after) all.push({ sql: `(${by}.at, ${by}.chain, ${by}.seq) ${compare} (?, ?, ?)`, values: after })
  const sql = `SELECT r.at, r.chain, r.seq, r.kind, r.file, r.start, r.length, r.result_file, r.result_start, r.result_length
    FROM ${way.from} WHERE ${all.map((condition) => condition.sql).join(' AND ') || '1'}
    ORDER BY ${by}.at ${direction}, ${by}.chain ${direction}, ${by}.seq ${direction} LIMIT ?`
  const values = [...all.flatMap((condition) => condition.values), limit + 1]
  return index.all(sql, ...values).map((row) => toRow(index, row))
}

interface Condition {
  readonly sql: string
  readonly values: readonly SQLInputValue[]
  /** The index that finds it. */
  readonly index?: string
  readonly term?: number
  /** On where a record stands, which its terms know too. */
  readonly place?: true
}

/** null: a name that no record has. */
function conditionsOf(index: SearchIndex, query: AuditQuery): Condition[] | null {
  const found: Condition[] = []
  const add = (sql: string, values: readonly SQLInputValue[], by: Pick<Condition, 'index' | 'term' | 'place'> = {}): void =>
    void found.push({ sql, values, ...by })
  if (query.from !== undefined) add('r.at >= ?', [query.from], { place: true })
  if (query.to !== undefined) add('r.at < ?', [query.to], { place: true })
  if (query.kind !== undefined) add('r.kind = ?', [KINDS[query.kind]])
  if (query.requestId !== undefined) add('r.id = ?', [query.requestId], { index: 'by_id' })
  if (query.minDurationMs !== undefined) add('r.duration >= ?', [query.minDurationMs * 1000])
  addStatus(query.status, add)
  if (query.error === 'any') add('r.error IS NOT NULL', [])
  else if (query.error === 'none') add('r.error IS NULL AND r.result_file IS NOT NULL', [])
  const names: [column: string, text: string | undefined, by?: string][] = [
    ['caller', query.caller, 'by_caller'],
    ['adapter', query.adapter],
    ['error', query.error === 'any' || query.error === 'none' ? undefined : query.error, 'by_error'],
  ]
  if (query.credential !== undefined) {
    const { name, version } = splitCredential(query.credential)
    names.push(['credential', name, 'by_credential'])
    if (version !== null) add('r.version = ?', [version])
  }
  for (const [column, text, by] of names) {
    if (text === undefined) continue
    const id = index.findName(text)
    if (id === null) return null
    add(`r.${column} = ?`, [id], by ? { index: by } : {})
  }
  for (const text of [...(query.host === undefined ? [] : [hostTerm(query.host)]), ...(query.tags ?? []).map(tagTerm)]) {
    const term = index.findName(text)
    if (term === null) return null
    const sql = 'EXISTS (SELECT 1 FROM terms x WHERE x.term = ? AND x.at = r.at AND x.chain = r.chain AND x.seq = r.seq)'
    add(sql, [term], { term })
  }
  return found
}

function addStatus(status: AuditQuery['status'], add: (sql: string, values: readonly SQLInputValue[]) => void): void {
  if (status === undefined) return
  if (typeof status === 'number') add('r.status = ?', [status])
  else if (status === 'none') add('r.kind = 0 AND r.status IS NULL', [])
  else add('r.status BETWEEN ? AND ?', [Number(status[0]) * 100, Number(status[0]) * 100 + 99])
}

/** Above so many rows, to walk all records in their order is no slower than to look each of them up. */
const FEW = 20_000

interface Way {
  readonly from: string
  /** The rows of a term are walked, in their order. */
  readonly term: number | null
  readonly condition: Condition | null
}

/** SQLite knows how many rows a column has a value for on the whole, not how many this value has: they are counted, up to FEW. */
function chooseWay(
  index: SearchIndex,
  conditions: readonly Condition[],
  { from = 0, to = Number.MAX_SAFE_INTEGER }: AuditQuery,
): Way {
  let best: { readonly condition: Condition; readonly count: number } | null = null
  for (const condition of conditions) {
    if (condition.index === undefined && condition.term === undefined) continue
    const count = countUpTo(index, condition, from, to)
    if (count < FEW && (best === null || count < best.count)) best = { condition, count }
  }
  // A term's rows are small and in order: even many of them are walked sooner than all records.
  const chosen = best?.condition ?? conditions.find(({ term }) => term !== undefined)
  if (chosen?.term !== undefined) {
    const from = 'terms t CROSS JOIN records r ON r.at = t.at AND r.chain = t.chain AND r.seq = t.seq'
    return { from, term: chosen.term, condition: chosen }
  }
  if (chosen) return { from: `records r INDEXED BY ${chosen.index}`, term: null, condition: chosen }
  return { from: 'records r NOT INDEXED', term: null, condition: null }
}

function countUpTo(index: SearchIndex, { sql, values, index: by, term }: Condition, from: number, to: number): number {
  const rows =
    term === undefined
      ? `SELECT 1 FROM records r INDEXED BY ${by} WHERE ${sql} AND r.at >= ? AND r.at < ? LIMIT ${FEW}`
      : `SELECT 1 FROM terms WHERE term = ? AND at >= ? AND at < ? LIMIT ${FEW}`
  return index.all(`SELECT count(*) AS n FROM (${rows})`, ...values, from, to)[0]?.n as number
}

const KIND_NAMES = Object.keys(KINDS) as (keyof typeof KINDS)[]

function toRow(index: SearchIndex, row: Record<string, SQLInputValue>): Row {
  const { at, chain, seq, kind, file, start, length } = row as Record<string, number>
  const { result_file: resultFile, result_start: resultStart, result_length: resultLength } = row as Record<string, number | null>
  const first: RowLine = { file: fileOf(index, file ?? 0), start: start ?? 0, length: length ?? 0 }
  const alone = typeof resultFile !== 'number' || (resultFile === file && resultStart === start)
  const lines: Row['lines'] = alone
    ? [first]
    : [first, { file: fileOf(index, resultFile), start: resultStart ?? 0, length: resultLength ?? 0 }]
  return { kind: KIND_NAMES[kind ?? 0] ?? 'call', at: at ?? 0, chain: chainName(chain ?? 0), seq: seq ?? 0, lines }
}

const fileOf = (index: SearchIndex, id: number): string =>
  (index.prepare('SELECT name FROM files WHERE id = ?').get(id)?.name as string | undefined) ?? ''

export const cursorOf = ({ at, chain, seq }: Row): string => Buffer.from(`${at}.${chain}.${seq}`).toString('base64url')

function readCursor(text: string): readonly [number, number, number] {
  const match = /^(\d{1,15})\.([0-9a-f]{12})\.(\d{1,15})$/.exec(Buffer.from(text, 'base64url').toString('latin1'))
  if (!match)
    throw new GatewayError('InvalidDescriptor', 'cursor: not one that this gateway gave; leave it out for the first page')
  return [Number(match[1]), chainNumber(match[2] ?? ''), Number(match[3])]
}
