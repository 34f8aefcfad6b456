// Keeps the index up with the files: reads what has been added since, forgets files that are gone, and begins anew where a file is
// not the one that it knew.
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { listFiles, type TrailFile } from './file-names.ts'
import { fillBlocks } from './fill-index.ts'
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
  /** Resolves when everything that stood in the files when it was called is in the index. Throws FileChanged. */
  catchUp(): Promise<void>
}

export function followFiles(folder: string, index: SearchIndex): Follower {
  const checked = new Set<string>()
  const known = (name: string): KnownFile | undefined =>
    index.prepare('SELECT id, pos, mac, done FROM files WHERE name = ?').get(name) as unknown as KnownFile | undefined

  async function followOne(file: TrailFile, newest: boolean): Promise<void> {
    const before = known(file.name)
    // What was changed in a file of the past is the verifier's to find.
    if (before?.done === 1) return
    if (before && !file.compressed && checked.has(file.name) && newest && (await sizeOf(folder, file)) === before.pos) return
    const reader = await openTrailFile(folder, file)
    try {
      await checkKnown(reader, before, file.name)
      checked.add(file.name)
      await addBlocks(index, file.name, reader, newest)
    } finally {
      await reader.close()
    }
  }

  return {
    async catchUp() {
      const files = existsSync(folder) ? listFiles(folder) : []
      forgetGone(index, new Set(files.map(({ name }) => name)))
      for (const [at, file] of files.entries()) {
        const newest = files[at + 1]?.writer !== file.writer
        await followOne(file, newest).catch((error: unknown) => {
          // Removed for its age since it was listed.
          if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
        })
      }
    },
  }
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

async function addBlocks(index: SearchIndex, name: string, reader: TrailReader, newest: boolean): Promise<void> {
  const get = index.prepare('SELECT pos FROM files WHERE name = ?')
  let from = (get.get(name)?.pos as number | undefined) ?? 0
  let slice: ReadBlock[] = []
  let bytes = 0
  const flush = (): boolean => {
    const done = addSlice(index, name, from, slice)
    from = slice.at(-1)?.end ?? from
    slice = []
    bytes = 0
    return done
  }
  for await (const block of readBlocks(reader, from)) {
    slice.push(block)
    bytes += block.bytes.length
    // Another process fills the same index: it is further than this one.
    if (bytes >= SLICE && !flush()) return addBlocks(index, name, reader, newest)
  }
  if (slice.length > 0 && !flush()) return addBlocks(index, name, reader, newest)
  if (!newest) index.prepare('UPDATE files SET done = 1 WHERE name = ?').run(name)
}

/** False, and nothing done, where the index is no longer at `from`. */
function addSlice(index: SearchIndex, name: string, from: number, slice: readonly ReadBlock[]): boolean {
  return index.write(() => {
    index.prepare("INSERT OR IGNORE INTO files (name, pos, mac, done) VALUES (?, 0, '', 0)").run(name)
    const { id, pos } = index.prepare('SELECT id, pos FROM files WHERE name = ?').get(name) as unknown as KnownFile
    if (pos !== from) return false
    fillBlocks(index, id, slice)
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
      index.prepare('DELETE FROM records WHERE file = ?').run(id)
      index.prepare('DELETE FROM files WHERE id = ?').run(id)
    }
    const oldest = (index.prepare('SELECT min(at) AS at FROM records').get()?.at ?? Number.MAX_SAFE_INTEGER) as number
    for (const { term } of index.all('SELECT DISTINCT term FROM terms') as unknown as { term: number }[])
      index.prepare('DELETE FROM terms WHERE term = ? AND at < ?').run(term, oldest)
  })
}
