// A compressed file of the trail: gzip (RFC 1952), so that zcat reads it, in members of about 64 KiB that can each be opened
// alone, since a search opens one for nearly every record that it finds. Every member says how long it is in an extra field; block boundaries are kept.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { promisify } from 'node:util'
import { crc32, deflateRaw, inflateRaw, inflateRawSync } from 'node:zlib'

/** Uncompressed bytes that a member has at least, but for the last. */
export const MEMBER_BYTES = 64 * 1024

/** Magic, deflate, FEXTRA, no time, unknown OS; an extra field of 12 bytes: "SP", 8 bytes: member's length, plain length. */
const FIXED = Buffer.from([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 12, 0, 0x53, 0x50, 8, 0])
const HEADER = FIXED.length + 8
const TRAILER = 8

const deflate = promisify<Buffer, { level: number }, Buffer>(deflateRaw)
const inflate = promisify<Buffer, { maxOutputLength: number }, Buffer>(inflateRaw)

/** Off the event loop. */
export async function compressMember(plain: Buffer): Promise<Buffer> {
  const body = await deflate(plain, { level: 6 })
  const member = Buffer.alloc(HEADER + body.length + TRAILER)
  FIXED.copy(member)
  member.writeUInt32LE(member.length, FIXED.length)
  member.writeUInt32LE(plain.length, FIXED.length + 4)
  body.copy(member, HEADER)
  member.writeUInt32LE(crc32(plain), HEADER + body.length)
  member.writeUInt32LE(plain.length, HEADER + body.length + 4)
  return member
}

export interface Member {
  /** In the compressed file. */
  readonly at: number
  readonly length: number
  /** In what it stands for. */
  readonly start: number
  readonly plainLength: number
}

const WINDOW = 256 * 1024

/** Throws where it is no such file, or cut off. */
export async function readMembers(handle: FileHandle): Promise<Member[]> {
  const { size } = await handle.stat()
  const members: Member[] = []
  // Many headers a read: members are short.
  const window = Buffer.alloc(WINDOW)
  let windowAt = 0
  let filled = 0
  for (let at = 0, start = 0; at < size; ) {
    if (at + HEADER > windowAt + filled) {
      windowAt = at
      filled = (await handle.read(window, 0, WINDOW, at)).bytesRead
    }
    const member = toMember(window.subarray(at - windowAt, at - windowAt + HEADER), { at, start, size })
    members.push(member)
    at += member.length
    start += member.plainLength
  }
  return members
}

export async function readMember(handle: FileHandle, { at, length, plainLength }: Member): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  await handle.read(bytes, 0, length, at)
  return checked(bytes, await inflate(bodyOf(bytes), { maxOutputLength: plainLength + 1 }))
}

/** Empty where there is none. */
export function readLastMember(path: string): Buffer {
  const fd = openSync(path, 'r')
  try {
    const { size } = fstatSync(fd)
    const header = Buffer.alloc(HEADER)
    let last: Member | null = null
    for (let at = 0; at < size; at += last.length) {
      readSync(fd, header, 0, HEADER, at)
      last = toMember(header, { at, start: 0, size })
    }
    if (!last) return Buffer.alloc(0)
    const bytes = Buffer.alloc(last.length)
    readSync(fd, bytes, 0, bytes.length, last.at)
    return checked(bytes, inflateRawSync(bodyOf(bytes), { maxOutputLength: last.plainLength + 1 }))
  } finally {
    closeSync(fd)
  }
}

const bodyOf = (member: Buffer): Buffer => member.subarray(HEADER, member.length - TRAILER)

function checked(member: Buffer, plain: Buffer): Buffer {
  if (crc32(plain) !== member.readUInt32LE(member.length - TRAILER)) throw new Error('a compressed part is damaged')
  return plain
}

function toMember(header: Buffer, { at, start, size }: { at: number; start: number; size: number }): Member {
  const [length, plainLength] =
    header.length < HEADER ? [0, 0] : [header.readUInt32LE(FIXED.length), header.readUInt32LE(FIXED.length + 4)]
  if (!header.subarray(0, FIXED.length).equals(FIXED) || length < HEADER + TRAILER || at + length > size)
    throw new Error(`not compressed as this gateway compresses, or damaged, at byte ${at}`)
  return { at, length, start, plainLength }
}
