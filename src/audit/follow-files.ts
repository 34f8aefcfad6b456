// Keeps the index up with the files, the newest first: reads what has been added since, forgets files that are gone, and begins anew
// where a file is not the one that it knew.
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { forgetFile } from './columns.ts'
import { dayEnd } from './compress.ts'
import { listFiles, type TrailFile } from './file-names.ts'
import { fillBlocks, settleEarly } from './fill-index.ts'
import { openTrailFile, type ReadBlock, readBlocks, type TrailReader } from './read-blocks.ts'
import type { SearchIndex } from './search-index.ts'

interface KnownFile {
  readonly id: number
  readonly pos: number
  readonly mac: string
  /** Indexed whole, and nothing is added to it any more. */
  readonly done: number
}

/** A file is not what it was when it was indexed: the index has to be made anew. */
export class FileChanged extends Error {}

/** Bytes of blocks that one transaction takes. */
const SLICE = 2 * 1024 * 1024
/** `…","mac":"<43>"}` and a line end. */
const MAC_END = 46

export interface Follower {
  /**
   * Reads until everything that stood in the files when it was called is in the index, or until `stop` says so. Answers from which
   * instant on (ms since 1970) all records are there; -Infinity: all are. Throws FileChanged.
   */
  catchUp(stop?: () => boolean): Promise<number>
}

export function followFiles(folder: string, index: SearchIndex): Follower {
  const checked = new Set<string>()
  const known = (name: string): KnownFile | undefined =>
    index.prepare('SELECT id, pos, mac, done FROM files WHERE name = ?').get(name) as unknown as KnownFile | undefined

  /** False: stopped before it was read whole. */
  async function followOne(file: TrailFile, how: Reading): Promise<boolean> {
    const before = known(file.name)
    if (before && !file.compressed && checked.has(file.name) && how.newest && (await sizeOf(folder, file)) === before.pos)
      return true
    const reader = await openTrailFile(folder, file)
    try {
      await checkKnown(reader, before, file.name)
      checked.add(file.name)
      return await addBlocks(index, file.name, reader, how)
    } finally {
      await reader.close()
    }
  }

  return {
    async catchUp(stop = () => false) {
      const files = existsSync(folder) ? listFiles(folder) : []
      forgetGone(index, new Set(files.map(({ name }) => name)))
      const latest = new Set(files.filter((file, at) => files[at + 1]?.writer !== file.writer))
      const done = new Set(index.all('SELECT name FROM files WHERE done = 1').map(({ name }) => name))
      // What was changed in a file of the past is the verifier's to find.
      const unread = files
        .filter(({ name }) => !done.has(name))
        .toSorted((a, b) => order(b, latest) - order(a, latest) || b.part - a.part)
      for (const [at, file] of unread.entries()) {
        const older = unread.slice(at + 1)
        const early = older.some(({ writer }) => writer === file.writer)
        const whole = await followOne(file, { newest: latest.has(file), early, stop }).catch((error: unknown) => {
          // Removed for its age since it was listed.
          if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
          return true
        })
        if (!whole) return indexedFrom(index, files, unread.slice(at))
        // However short the time is, one file more is done each time.
        if (older.length > 0 && !latest.has(file) && stop()) return indexedFrom(index, files, older)
      }
      settleEarly(index)
      return Number.NEGATIVE_INFINITY
    },
  }
}

/** What was written last comes first: files that more may be added to, then those of the latest days. */
const order = (file: TrailFile, latest: ReadonlySet<TrailFile>): number =>
  latest.has(file) ? Number.MAX_SAFE_INTEGER : dayEnd(file)

/**
 * The instant from which on no record of `unread`, which are not indexed whole, can be: its day ends, or the file after it begins,
 * unless the clock was set back between the two.
 */
function indexedFrom(index: SearchIndex, files: readonly TrailFile[], unread: readonly TrailFile[]): number {
  const sql = 'SELECT MIN(min_at) AS at FROM chunks WHERE file = (SELECT id FROM files WHERE name = ?)'
  const lacking = new Set(unread)
  let end = Number.NEGATIVE_INFINITY
  for (const [at, file] of files.entries()) {
    const next = files[at + 1]
    const follows = next?.writer === file.writer ? next : null
    // Where that one is lacking too, what it has is later.
    if (!lacking.has(file) || (follows && lacking.has(follows))) continue
    const begun = follows && (index.prepare(sql).get(follows.name)?.at as number | null | undefined)
    // In that millisecond this file may have been written too.
    end = Math.max(end, Math.min(dayEnd(file), (begun ?? Number.POSITIVE_INFINITY) + 1))
  }
  return end
}

interface Reading {
  /** Of its writer: more may be added to it. */
  readonly newest: boolean
  /** Older files of its writer are not indexed yet. */
  readonly early: boolean
  readonly stop: () => boolean
}

async function sizeOf(folder: string, { name }: TrailFile): Promise<number> {
  return stat(join(folder, name)).then(
    ({ size }) => size,
    () => -1,
  )
}

async function checkKnown(reader: TrailReader, before: KnownFile | undefined, name: string): Promise<void> {
  if (!before || before.pos === 0) return
  const end = before.pos - MAC_END >= 0 ? await readExactly(reader, before.pos - MAC_END, MAC_END) : null
  if (end?.toString('latin1') !== `${before.mac}"}\n`) throw new FileChanged(`${name} is not the file that was indexed`)
}

/** A member of a compressed file may end within. */
async function readExactly(reader: TrailReader, start: number, length: number): Promise<Buffer> {
  let bytes = await reader.read(start, length)
  while (bytes.length < length) {
    const more = await reader.read(start + bytes.length, length - bytes.length)
    if (more.length === 0) break
    bytes = Buffer.concat([bytes, more])
  }
  return bytes
}

/** False: stopped. */
async function addBlocks(index: SearchIndex, name: string, reader: TrailReader, how: Reading): Promise<boolean> {
  const get = index.prepare('SELECT pos FROM files WHERE name = ?')
  let from = (get.get(name)?.pos as number | undefined) ?? 0
  let slice: ReadBlock[] = []
  let bytes = 0
  const flush = (): boolean => {
    const done = addSlice(index, { name, from, slice, early: how.early })
    from = slice.at(-1)?.end ?? from
    slice = []
    bytes = 0
    return done
  }
  for await (const block of readBlocks(reader, from)) {
    slice.push(block)
    bytes += block.bytes.length
    if (bytes < SLICE) continue
    // Another process fills the same index: it is further than this one.
    if (!flush()) return addBlocks(index, name, reader, how)
    if (how.stop()) return false
  }
  if (slice.length > 0 && !flush()) return addBlocks(index, name, reader, how)
  if (!how.newest)
    index.prepare("INSERT INTO files (name, pos, mac, done) VALUES (?, 0, '', 1) ON CONFLICT DO UPDATE SET done = 1").run(name)
  return true
}

interface Slice {
  readonly name: string
  readonly from: number
  readonly slice: readonly ReadBlock[]
  readonly early: boolean
}

/** False, and nothing done, where the index is no longer at `from`. */
function addSlice(index: SearchIndex, { name, from, slice, early }: Slice): boolean {
  return index.write(() => {
    index.prepare("INSERT OR IGNORE INTO files (name, pos, mac, done) VALUES (?, 0, '', 0)").run(name)
    const { id, pos } = index.prepare('SELECT id, pos FROM files WHERE name = ?').get(name) as unknown as KnownFile
    if (pos !== from) return false
    fillBlocks(index, id, slice, early)
    const last = slice.at(-1)
    if (last) index.prepare('UPDATE files SET pos = ?, mac = ? WHERE id = ?').run(last.end, last.block.mac, id)
    return true
  })
}

/** What was removed for its age is found no more. */
function forgetGone(index: SearchIndex, present: ReadonlySet<string>): void {
  const rows = index.all('SELECT id, name FROM files') as unknown as { id: number; name: string }[]
  const gone = rows.filter(({ name }) => !present.has(name))
  if (gone.length === 0) return
  index.write(() => {
    for (const { id } of gone) {
      forgetFile(index, id)
      index.prepare('DELETE FROM files WHERE id = ?').run(id)
    }
  })
}
