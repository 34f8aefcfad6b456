// Compresses files that nobody writes any more. A crash at any moment leaves the file as it was, or both forms of it, of which
// readers take the plain one until it is gone.
import { open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { adopt } from './adopt.ts'
import { compressMember, MEMBER_BYTES } from './compressed-file.ts'
import { listFiles, type TrailFile } from './file-names.ts'
import { takeLock } from './folder-lock.ts'
import { openTrailFile, readBlocks } from './read-blocks.ts'

const DRAFT = '.gz.draft'

/**
 * Every plain file whose day ended `afterMs` ago, but for the newest of each writer. Answers how many; 0 also where another process
 * is at it.
 */
export async function compressOld(
  folder: string,
  { now, afterMs }: { readonly now: number; readonly afterMs: number },
): Promise<number> {
  const files = listFiles(folder)
  const due = files.filter(
    (file, at) => !file.compressed && files[at + 1]?.writer === file.writer && dayEnd(file) + afterMs <= now,
  )
  if (due.length === 0) return 0
  const lock = takeLock(folder, 'compress', 0)
  if (!lock) return 0
  try {
    for (const entry of await readdir(folder)) if (entry.endsWith(DRAFT)) await rm(join(folder, entry))
    for (const file of due) await compressFile(folder, file)
    return due.length
  } finally {
    lock.release()
  }
}

/** Of the file's day, ms since 1970. */
export const dayEnd = ({ day }: TrailFile): number => Date.parse(`${day}T00:00:00Z`) + 86_400_000

async function compressFile(folder: string, file: TrailFile): Promise<void> {
  const path = join(folder, file.name)
  const draft = `${path}${DRAFT}`
  const target = await open(draft, 'w', 0o600)
  try {
    adopt(draft, folder)
    for await (const plain of pieces(folder, file)) await target.appendFile(await compressMember(plain))
    await target.sync()
  } finally {
    await target.close()
  }
  await rename(draft, `${path}.gz`)
  await syncFolder(dirname(path))
  await rm(path)
}

/** Of about a member's size, ending where a block ends; what follows the last block comes last. */
async function* pieces(folder: string, file: TrailFile): AsyncGenerator<Buffer> {
  const reader = await openTrailFile(folder, file)
  try {
    let waiting: Buffer[] = []
    let length = 0
    let end = 0
    for await (const block of readBlocks(reader, 0)) {
      waiting.push(block.bytes)
      length += block.bytes.length
      end = block.end
      if (length < MEMBER_BYTES) continue
      yield Buffer.concat(waiting)
      waiting = []
      length = 0
    }
    for (let rest = await reader.read(end, MEMBER_BYTES); rest.length > 0; rest = await reader.read(end, MEMBER_BYTES)) {
      waiting.push(rest)
      end += rest.length
    }
    // An empty file has one too: what has none is no gzip.
    if (waiting.length > 0 || end === 0) yield Buffer.concat(waiting)
  } finally {
    await reader.close()
  }
}

/** So that the new name is on disk before the old file goes. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
