// What records can be found by, as columns: chunks of rows that a search looks through a column at a time, and for what a record has
// several of (hosts, tags) lists of rows. Knows no record.
import { hash } from 'node:crypto'
import type { SearchIndex } from './search-index.ts'

/** More make a search quicker, and what is written for a single record dearer. */
export const CHUNK_ROWS = 2048

/** 0: absent, but where it says otherwise. Their order is that of the file: another one is another layout. */
const COLUMNS = {
  /** Ms since 1970. */
  at: Float64Array,
  seq: Float64Array,
  kind: Uint8Array,
  id: Uint32Array,
  caller: Uint32Array,
  adapter: Uint32Array,
  credential: Uint32Array,
  /** Of the credential, plus one. */
  version: Uint32Array,
  status: Uint16Array,
  error: Uint32Array,
  /** Ms; -1: absent. */
  duration: Float64Array,
  /** Where its line stands, in the file of its chunk. */
  start: Float64Array,
  length: Uint32Array,
  resultFile: Uint32Array,
  resultStart: Float64Array,
  resultLength: Uint32Array,
} as const

export type Column = keyof typeof COLUMNS
export type Facts = { readonly [K in Column]: number }
type Values = Float64Array | Uint32Array | Uint16Array | Uint8Array

const NAMES = Object.keys(COLUMNS) as Column[]
const SLOTS = 32

export interface Chunk {
  readonly id: number
  readonly file: number
  readonly chain: number
  readonly count: number
  readonly min_at: number
  readonly max_at: number
}

/** 48 bits that stand for a text. Two texts may share them, so what is found has to be held against the question once more. */
export function termOf(text: string): number {
  const known = terms.get(text)
  if (known !== undefined) return known
  const term = digest(text)
  // Tags have no end of values.
  if (terms.size > 20_000) terms.clear()
  terms.set(text, term)
  return term
}
const terms = new Map<string, number>()

const digest = (text: string): number => Number.parseInt(hash('sha256', text).slice(0, 12), 16)

/** The same for a column; 0: absent. */
export const codeOf = (text: string | null | undefined): number =>
  text === null || text === undefined ? 0 : termOf(text) % 2 ** 32 || 1

/** The same of a text that hardly comes again. */
export const codeOfId = (text: string | undefined): number => (text === undefined ? 0 : digest(text) % 2 ** 32 || 1)

const slot = (chunk: number, column: Column): number => chunk * SLOTS + NAMES.indexOf(column)

export function readColumn(index: SearchIndex, chunk: number, column: Column): Values {
  const bytes = index.prepare('SELECT bytes FROM columns WHERE id = ?').get(slot(chunk, column))?.bytes as Uint8Array | undefined
  const Type = COLUMNS[column]
  return bytes ? new Type(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / Type.BYTES_PER_ELEMENT) : new Type(0)
}

/** Rows of that chunk, in their order. */
export function readTerm(index: SearchIndex, chunk: number, term: number): Uint16Array {
  const row = index.prepare('SELECT rows FROM terms WHERE chunk = ? AND term = ?').get(chunk, term)
  const rows = row?.rows as Uint8Array | undefined
  return rows ? new Uint16Array(rows.buffer as ArrayBuffer, rows.byteOffset, rows.byteLength / 2) : new Uint16Array(0)
}

export interface ColumnWriter {
  /** Its number: that of its chunk times CHUNK_ROWS, plus its place there. */
  add(file: number, chain: number, facts: Facts, terms: readonly string[]): number
  change(row: number, facts: Partial<Facts>, terms: readonly string[]): void
  /** To be called within the same transaction. */
  flush(): void
}

interface OpenChunk {
  readonly id: number
  count: number
  min: number
  max: number
  readonly columns: { readonly [K in Column]: Values }
  readonly terms: Map<number, number[]>
}

/** For one transaction. */
export function writeColumns(index: SearchIndex): ColumnWriter {
  const open = new Map<number, OpenChunk>()
  const newest = new Map<string, OpenChunk>()

  const chunkOf = (id: number): OpenChunk => {
    const chunk = open.get(id) ?? loadChunk(index, id)
    open.set(id, chunk)
    return chunk
  }
  const roomFor = (file: number, chain: number): OpenChunk => {
    const key = `${file} ${chain}`
    const last = newest.get(key) ?? findLast(file, chain)
    if (last && last.count < CHUNK_ROWS) return last
    const added = index.prepare('INSERT INTO chunks (file, chain, count, min_at, max_at) VALUES (?, ?, 0, 0, 0)').run(file, chain)
    const chunk = chunkOf(Number(added.lastInsertRowid))
    newest.set(key, chunk)
    return chunk
  }
  const findLast = (file: number, chain: number): OpenChunk | undefined => {
    const sql = 'SELECT id FROM chunks WHERE file = ? AND chain = ? ORDER BY id DESC LIMIT 1'
    const row = index.prepare(sql).get(file, chain)
    return row && chunkOf(row.id as number)
  }

  return {
    add(file, chain, facts, terms) {
      const chunk = roomFor(file, chain)
      newest.set(`${file} ${chain}`, chunk)
      const row = chunk.count++
      chunk.min = Math.min(chunk.min, facts.at)
      chunk.max = Math.max(chunk.max, facts.at)
      put(chunk, row, facts, terms)
      return chunk.id * CHUNK_ROWS + row
    },
    change: (row, facts, terms) => put(chunkOf(Math.floor(row / CHUNK_ROWS)), row % CHUNK_ROWS, facts, terms),
    flush() {
      for (const chunk of open.values()) store(index, chunk)
    },
  }
}

function put({ columns, terms }: OpenChunk, row: number, facts: Partial<Facts>, texts: readonly string[]): void {
  for (const column of NAMES) {
    const value = facts[column]
    if (value !== undefined) columns[column][row] = value
  }
  for (const text of texts) {
    const term = termOf(text)
    const rows = terms.get(term)
    if (!rows) terms.set(term, [row])
    else if (rows.at(-1) !== row) rows.push(row)
  }
}

function loadChunk(index: SearchIndex, id: number): OpenChunk {
  const { count, min_at, max_at } = index.prepare('SELECT * FROM chunks WHERE id = ?').get(id) as unknown as Chunk
  const load = (column: Column): Values => {
    const values = new COLUMNS[column](CHUNK_ROWS)
    if (count > 0) values.set(readColumn(index, id, column))
    return values
  }
  const columns = Object.fromEntries(NAMES.map((column) => [column, load(column)])) as Record<Column, Values>
  const [min, max] = count === 0 ? [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY] : [min_at, max_at]
  return { id, count, min, max, columns, terms: new Map() }
}

function store(index: SearchIndex, { id, count, min, max, columns, terms }: OpenChunk): void {
  index.prepare('UPDATE chunks SET count = ?, min_at = ?, max_at = ? WHERE id = ?').run(count, min, max, id)
  const putColumn = index.prepare('INSERT OR REPLACE INTO columns (id, bytes) VALUES (?, ?)')
  for (const column of NAMES) putColumn.run(slot(id, column), bytesOf(columns[column].subarray(0, count)))
  const putTerm = index.prepare('INSERT OR REPLACE INTO terms (chunk, term, rows) VALUES (?, ?, ?)')
  for (const [term, rows] of terms) {
    const all = new Set([...readTerm(index, id, term), ...rows])
    putTerm.run(id, term, bytesOf(new Uint16Array(all).sort()))
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Values): Uint8Array => new Uint8Array(buffer, byteOffset, byteLength)

/** Within a transaction. */
export function forgetFile(index: SearchIndex, file: number): void {
  for (const { id } of index.all('SELECT id FROM chunks WHERE file = ?', file) as { id: number }[]) {
    index.prepare('DELETE FROM columns WHERE id >= ? AND id < ?').run(id * SLOTS, (id + 1) * SLOTS)
    index.prepare('DELETE FROM terms WHERE chunk = ?').run(id)
    index.prepare('DELETE FROM open_calls WHERE row >= ? AND row < ?').run(id * CHUNK_ROWS, (id + 1) * CHUNK_ROWS)
    index.prepare('DELETE FROM chunks WHERE id = ?').run(id)
  }
  index.prepare('DELETE FROM early_results WHERE file = ?').run(file)
}
