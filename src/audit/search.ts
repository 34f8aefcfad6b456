// Searches the trail: the index says where, the files say what. In a process of its own (the command line) or a thread of its own
// (search-worker.ts), since both block.
import { existsSync } from 'node:fs'
import type { AuditFound, AuditPage, AuditPageQuery, AuditSearch } from '../model/audit-search.ts'
import { parseFileName } from './file-names.ts'
import { FileChanged, followFiles } from './follow-files.ts'
import { type TrailLine, toFound } from './found.ts'
import { cursorOf, DEFAULT_LIMIT, queryIndex, type Row } from './query-index.ts'
import { openTrailFile, type TrailReader } from './read-blocks.ts'
import { isDamage, openSearchIndex, removeIndex, type SearchIndex } from './search-index.ts'
import { streamPages } from './stream-pages.ts'

export interface TrailSearch extends AuditSearch {
  /** Brings the index up to the files. */
  catchUp(): Promise<void>
  close(): Promise<void>
}

/** `indexFile` null: in memory. */
export function openTrailSearch(folder: string, indexFile: string | null): TrailSearch {
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

  const search = (query: AuditPageQuery): Promise<AuditPage> =>
    inTurn(() =>
      orAnew(async () => {
        await follower.catchUp()
        return readPage(index, readers, query)
      }),
    )

  return {
    search,
    stream: (query) => streamPages(search, query),
    catchUp: () => inTurn(() => orAnew(() => follower.catchUp())),
    close: () =>
      inTurn(async () => {
        await readers.close()
        index.close()
      }),
  }
}

async function readPage(index: SearchIndex, readers: Readers, query: AuditPageQuery): Promise<AuditPage> {
  const { limit = DEFAULT_LIMIT } = query
  const rows = queryIndex(index, query)
  const records: AuditFound[] = []
  for (const row of rows.slice(0, limit)) {
    const [first, second] = row.lines
    const line = await readLine(readers, first)
    records.push(toFound(row.chain, line, second && (await readLine(readers, second))))
  }
  const last = rows[limit - 1]
  return { records, nextCursor: rows.length > limit && last ? cursorOf(last) : null }
}

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

const MAX_OPEN = 8

/** A few files are kept open: a page's records stand near one another. */
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
