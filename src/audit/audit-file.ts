// One audit file, append-only: written whole batches at a time, cut back where a batch failed half way. Knows bytes and lines,
// not records.
import { closeSync, fdatasync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'

export interface AuditFile {
  /** Bytes that it has now. */
  size(): number
  /** Its bytes from there to its end. */
  readFrom(start: number): Buffer
  /** The newest whole line that `parse` makes something of, and where the next one begins; null: none. Reads backwards. */
  findLast<T>(parse: (line: string) => T | null): { readonly value: T; readonly end: number } | null
  /**
   * Returns when the operating system has all of it. Throws where it has not; nothing of it then counts as written, and what
   * of it could not be taken off again stands at the file's end.
   */
  append(bytes: Buffer): void
  /** Resolves when everything appended is on disk. */
  sync(): Promise<void>
  close(): void
}

/** What a file does to the disk, so that a test can have a disk that is full. */
export interface DiskPort {
  write(fd: number, bytes: Buffer, offset: number): number
  sync(fd: number, done: (error: Error | null) => void): void
}

const NEWLINE = 0x0a
const CHUNK = 64 * 1024

const SYSTEM: DiskPort = { write: (fd, bytes, offset) => writeSync(fd, bytes, offset), sync: fdatasync }

export function openAuditFile(path: string, disk: DiskPort = SYSTEM): AuditFile {
  const fd = openSync(path, 'a+', 0o600)
  let open = true

  return {
    size: () => fstatSync(fd).size,
    readFrom(start) {
      const bytes = Buffer.alloc(Math.max(0, fstatSync(fd).size - start))
      let read = 0
      while (read < bytes.length) {
        const got = readSync(fd, bytes, read, bytes.length - read, start + read)
        if (got === 0) break
        read += got
      }
      return bytes.subarray(0, read)
    },
    findLast: (parse) => findLast(fd, parse),
    append(bytes) {
      let written = 0
      try {
        while (written < bytes.length) written += disk.write(fd, bytes, written)
      } catch (error) {
        cutOff(fd, written)
        throw error
      }
    },
    sync: () => new Promise((resolve, reject) => disk.sync(fd, (error) => (error ? reject(error) : resolve()))),
    close() {
      if (open) closeSync(fd)
      open = false
    },
  }
}

function cutOff(fd: number, bytes: number): void {
  try {
    if (bytes > 0) ftruncateSync(fd, fstatSync(fd).size - bytes)
  } catch {
    // It stays, and whoever writes next accounts for it.
  }
}

function findLast<T>(fd: number, parse: (line: string) => T | null): { value: T; end: number } | null {
  // Begins in the middle of a line until the file's start is reached; that first piece waits for the next chunk.
  let rest: Buffer = Buffer.alloc(0)
  for (let start = fstatSync(fd).size; start > 0; ) {
    const chunk = Buffer.alloc(Math.min(CHUNK, start))
    start -= chunk.length
    readSync(fd, chunk, 0, chunk.length, start)
    rest = Buffer.concat([chunk, rest])
    // Whole lines alone: each ends in a line end.
    for (let end = rest.lastIndexOf(NEWLINE); end >= 0; ) {
      const begin = end === 0 ? 0 : rest.lastIndexOf(NEWLINE, end - 1) + 1
      if (begin === 0 && start > 0) {
        rest = rest.subarray(0, end + 1)
        break
      }
      const value = begin < end ? parse(rest.toString('utf8', begin, end)) : null
      if (value !== null) return { value, end: start + end + 1 }
      rest = rest.subarray(0, begin)
      end = begin - 1
    }
  }
  return null
}
