// Reads a file of the trail, plain or compressed, from any byte, block by block. Only whole blocks count: what follows the last
// one is being written, or was never finished.
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { BLOCK_BEGIN, type Block, parseBlock } from './block.ts'
import { type Member, readMember, readMembers } from './compressed-file.ts'
import type { TrailFile } from './file-names.ts'

export interface TrailReader {
  /** Uncompressed bytes that can be read now. */
  size(): Promise<number>
  /** At most `length` bytes from there; none at the end. */
  read(start: number, length: number): Promise<Buffer>
  close(): Promise<void>
}

export interface ReadBlock {
  readonly block: Block
  /** Where its bytes begin and end in the uncompressed file. */
  readonly start: number
  readonly end: number
  /** All of it, the block's own line too. */
  readonly bytes: Buffer
}

const CHUNK = 1024 * 1024
const NEEDLE = Buffer.from(BLOCK_BEGIN)
const NEWLINE = 0x0a

/** A file that was compressed since it was listed is found all the same. */
export async function openTrailFile(folder: string, file: TrailFile): Promise<TrailReader> {
  const plain = (): Promise<TrailReader> => open(join(folder, file.name), 'r').then(readPlain)
  const compressed = (): Promise<TrailReader> => open(join(folder, `${file.name}.gz`), 'r').then(readCompressed)
  const [first, second] = file.compressed ? [compressed, plain] : [plain, compressed]
  try {
    return await first()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return second()
  }
}

function readPlain(handle: FileHandle): TrailReader {
  return {
    size: async () => (await handle.stat()).size,
    async read(start, length) {
      const bytes = Buffer.allocUnsafe(length)
      const { bytesRead } = await handle.read(bytes, 0, length, start)
      return bytes.subarray(0, bytesRead)
    },
    close: () => handle.close(),
  }
}

async function readCompressed(handle: FileHandle): Promise<TrailReader> {
  let members: Member[]
  try {
    members = await readMembers(handle)
  } catch (error) {
    await handle.close()
    throw error
  }
  const last = members.at(-1)
  const size = last ? last.start + last.plainLength : 0
  let opened: { readonly member: Member; readonly plain: Buffer } | null = null
  return {
    size: async () => size,
    async read(start, length) {
      const member = members.findLast((each) => each.start <= start)
      if (!member || start >= size) return Buffer.alloc(0)
      if (opened?.member !== member) opened = { member, plain: await readMember(handle, member) }
      return opened.plain.subarray(start - member.start, start - member.start + length)
    },
    close: () => handle.close(),
  }
}

/** Every whole block from `start`, which is the end of one, or 0. */
export async function* readBlocks(reader: TrailReader, start: number): AsyncGenerator<ReadBlock> {
  let rest: Buffer = Buffer.alloc(0)
  let restAt = start
  let searched = 0
  for (;;) {
    const chunk = await reader.read(restAt + rest.length, CHUNK)
    if (chunk.length === 0) return
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    for (;;) {
      const found = nextBlock(rest, searched)
      if (found === null) break
      yield { block: found.block, start: restAt, end: restAt + found.end, bytes: rest.subarray(0, found.end) }
      restAt += found.end
      rest = rest.subarray(found.end)
      searched = 0
    }
    // The beginning of a block's line may stand at the very end.
    searched = Math.max(0, rest.lastIndexOf(NEWLINE))
  }
}

function nextBlock(bytes: Buffer, from: number): { block: Block; end: number } | null {
  for (let at = bytes.indexOf(NEEDLE, from); at >= 0; at = bytes.indexOf(NEEDLE, at + 1)) {
    if (at > 0 && bytes[at - 1] !== NEWLINE) continue
    const end = bytes.indexOf(NEWLINE, at)
    if (end < 0) return null
    const block = parseBlock(bytes.toString('utf8', at, end))
    if (block) return { block, end: end + 1 }
  }
  return null
}

/** Its records' lines, without their line ends, and where each begins in the block. */
export function* linesOf({ bytes, block }: ReadBlock): Generator<{ readonly at: number; readonly line: Buffer }> {
  for (let at = block.torn ?? 0, left = block.count; left > 0; left--) {
    const end = bytes.indexOf(NEWLINE, at)
    if (end < 0) return
    yield { at, line: bytes.subarray(at, end) }
    at = end + 1
  }
}
