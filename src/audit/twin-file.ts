// A file that stands in the folder both plain and compressed.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { TrailFile } from './file-names.ts'
import { openTrailFile, type TrailReader } from './read-blocks.ts'

const CHUNK = 1024 * 1024

/** Whether the two differ. A crash while a file is compressed leaves both, alike. */
export async function hasOtherTwin(folder: string, file: TrailFile): Promise<boolean> {
  if (file.compressed || !existsSync(join(folder, `${file.name}.gz`))) return false
  const plain = await openTrailFile(folder, file)
  try {
    const compressed = await openTrailFile(folder, { ...file, compressed: true }).catch(() => null)
    if (!compressed) return true
    return await differ(plain, compressed).finally(() => compressed.close())
  } finally {
    await plain.close()
  }
}

async function differ(plain: TrailReader, compressed: TrailReader): Promise<boolean> {
  const size = await plain.size()
  if (size !== (await compressed.size())) return true
  for (let at = 0; at < size; ) {
    const piece = await compressed.read(at, CHUNK).catch(() => null)
    if (!piece?.length || !piece.equals(await plain.read(at, piece.length))) return true
    at += piece.length
  }
  return false
}
