// Searches the trail: the index says where, the files say what. In a process of its own (the command line) or a thread of its own
// (search-worker.ts), since both block.
import { existsSync } from 'node:fs'
import type { AuditFound, AuditPage, AuditPageQuery, AuditSearch } from '../model/audit-search.ts'
import { parseFileName } from './file-names.ts'
import { FileChanged, followFiles } from './follow-files.ts'
import { type TrailLine, toFound } from './found.ts'
import { matches } from './match.ts'
import { cursorOf, DEFAULT_LIMIT, type Place, queryIndex, type Row, readCursor } from './query-index.ts'
import { openTrailFile, type TrailReader } from './read-blocks.ts'
import { isDamage, openSearchIndex, removeIndex, type SearchIndex } from './search-index.ts'
import { streamPages } from './stream-pages.ts'

export interface TrailSearch extends AuditSearch {
  /** Brings the index up to the files, for about so long; default: until it is. Answers whether it is. */
  catchUp(forMs?: number): Promise<boolean>
  close(): Promise<void>
}

export interface SearchPatience {
  /**
   * So long, ms, a search waits for the index, and five times as long while it has found nothing: it then answers as far as the
   * index goes. Default: until that is whole.
   */
  readonly waitMs?: number
}

/** `indexFile` null: in memory. */
export function openTrailSearch(folder: string, indexFile: string | null, { waitMs }: SearchPatience = {}): TrailSearch {
  let index = openSearchIndex(indexFile)
  let follower = followFiles(folder, index)
  const readers = createReaders(folder)
  // One at a time: they share readers and the index.
  let turn: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work)
    turn = done.catch(() => {})
    return done
  }

  const anew = async (): Promise<void> => {
    await readers.close()
    index.close()
    if (indexFile !== null) removeIndex(indexFile)
    index = openSearchIndex(indexFile)
    follower = followFiles(folder, index)
  }

  /** Once more with an index made anew, where the one at hand is damaged or no longer fits the files. */
  const orAnew = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof FileChanged) && !isDamage(error)) throw error
      await anew()
      return work()
    }
  }

  let searchedAt = 0
  const patiently = async (query: AuditPageQuery): Promise<AuditPage> => {
    const enough = stopAfter(waitMs === undefined ? undefined : EMPTY_WAITS * waitMs)
    for (;;) {
      const page = await readPage(index, readers, query, await follower.catchUp(stopAfter(waitMs)))
      if (page.records.length > 0 || page.nextCursor === null || enough?.()) return page
    }
  }
  const search = (query: AuditPageQuery): Promise<AuditPage> =>
    inTurn(() => {
      searchedAt = performance.now()
      return orAnew(() => patiently(query))
    })

  const catchUp = async (forMs: number | undefined): Promise<boolean> => {
    // An open file that was compressed or removed since still has its place on the disk.
    if (performance.now() - searchedAt > KEEP_OPEN_MS) await readers.close()
    return (await follower.catchUp(stopAfter(forMs))) === Number.NEGATIVE_INFINITY
  }

  return {
    search,
    stream: (query) => streamPages(search, query),
    catchUp: (forMs) => inTurn(() => orAnew(() => catchUp(forMs))),
    close: () =>
      inTurn(async () => {
        await readers.close()
        index.close()
      }),
  }
}

const KEEP_OPEN_MS = 60_000
const EMPTY_WAITS = 5

function stopAfter(ms: number | undefined): (() => boolean) | undefined {
  if (ms === undefined) return undefined
  const until = performance.now() + ms
  return () => performance.now() >= until
}

/** Bytes of records from which on a page is full, so that nobody who passes it on is busy with it for long. */
const PAGE_BYTES = 2 * 1024 * 1024

/** `whole`: from which instant on all records are indexed. What is answered is exact: where the index ends, so does the page. */
async function readPage(index: SearchIndex, readers: Readers, query: AuditPageQuery, whole: number): Promise<AuditPage> {
  const { limit = DEFAULT_LIMIT, order = 'newest', from = Number.NEGATIVE_INFINITY } = query
  const cursor = query.cursor === undefined ? null : readCursor(query.cursor)
  const reached = order === 'newest' || whole <= Math.max(from, cursor?.at ?? from)
  const rows = queryIndex(index, order === 'newest' ? { ...query, from: Math.max(from, whole) } : query)
  if (!reached) return { records: [], nextCursor: cursorOf(cursor ?? { at: 0, chain: '0'.repeat(12), seq: 0 }) }
  const records: AuditFound[] = []
  let bytes = 0
  for (const [number, row] of rows.slice(0, limit).entries()) {
    const [first, second] = row.lines
    const line = await readLine(readers, first)
    const found = toFound(row.chain, line, second && (await readLine(readers, second)))
    if (matches(found, query)) records.push(found)
    bytes += first.length + (second?.length ?? 0)
    if (bytes >= PAGE_BYTES && number + 1 < rows.length) return { records, nextCursor: cursorOf(row) }
  }
  const last = rows[limit - 1]
  if (rows.length > limit && last) return { records, nextCursor: cursorOf(last) }
  return { records, nextCursor: order === 'newest' && whole > from ? edgeOf(whole, query.cursor, cursor) : null }
}

/** A page of the newest that ended where the index does: the next goes on from there. */
const edgeOf = (whole: number, text: string | undefined, cursor: Place | null): string =>
  text !== undefined && cursor !== null && cursor.at < whole ? text : cursorOf({ at: whole, chain: '0'.repeat(12), seq: 0 })

async function readLine(readers: Readers, { file, start, length }: Row['lines'][0]): Promise<TrailLine> {
  const bytes = await readers.read(file, start, length)
  try {
    return JSON.parse(bytes.toString('utf8')) as TrailLine
  } catch {
    throw new FileChanged(`${file} is not the file that was indexed`)
  }
}

interface Readers {
  read(file: string, start: number, length: number): Promise<Buffer>
  close(): Promise<void>
}

const MAX_OPEN = 64

/** Files are kept open: a page's records stand near one another, and the next page's near those. */
function createReaders(folder: string): Readers {
  const open = new Map<string, TrailReader>()
  const openOne = async (name: string): Promise<TrailReader> => {
    const found = open.get(name)
    if (found) return found
    const file = parseFileName(name)
    if (!file) throw new FileChanged(`${name} is no file of the trail`)
    const reader = await openTrailFile(folder, file)
    open.set(name, reader)
    const [oldest] = open.keys()
    if (open.size > MAX_OPEN && oldest !== undefined) {
      await open.get(oldest)?.close()
      open.delete(oldest)
    }
    return reader
  }
  return {
    async read(name, start, length) {
      const reader = await openOne(name).catch((error: unknown) => {
        throw existsSync(folder) && (error as NodeJS.ErrnoException).code === 'ENOENT'
          ? new FileChanged(`${name} is gone`)
          : error
      })
      let bytes = await reader.read(start, length)
      while (bytes.length < length) {
        const more = await reader.read(start + bytes.length, length - bytes.length)
        if (more.length === 0) break
        bytes = Buffer.concat([bytes, more])
      }
      return bytes
    },
    async close() {
      for (const reader of open.values()) await reader.close()
      open.clear()
    },
  }
}
