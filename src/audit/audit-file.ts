// One audit file, append-only: opened with its torn tail ended, written whole batches at a time, cut back where a batch failed
// half way. Knows bytes and lines, not records.
import { closeSync, fdatasync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'

export interface AuditFile {
  /** The file ended without a line end, as after a crash in the middle of a write; it has one now. */
  readonly torn: boolean
  /** The newest line that `parse` makes something of; null: none. Reads backwards, not the whole file. */
  findLast<T>(parse: (line: string) => T | null): T | null
  /** Returns when the operating system has all of it. Throws where it has not; nothing of it then counts as written. */
  append(text: string): void
  /** Resolves when everything appended is on disk. */
  sync(): Promise<void>
  close(): void
}

const NEWLINE = 0x0a
const CHUNK = 64 * 1024

export function openAuditFile(path: string): AuditFile {
  const fd = openSync(path, 'a+', 0o600)
  const torn = endsTorn(fd)
  // A failed append that could not be cut off again: the next one starts on a line of its own.
  let damaged = torn
  let open = true

  return {
    torn,
    findLast: (parse) => findLast(fd, parse),
    append(text) {
      const bytes = Buffer.from(damaged ? `\n${text}` : text)
      let written = 0
      try {
        while (written < bytes.length) written += writeSync(fd, bytes, written)
        damaged = false
      } catch (error) {
        damaged = !cutOff(fd, written) || damaged
        throw error
      }
    },
    sync: () => new Promise((resolve, reject) => fdatasync(fd, (error) => (error ? reject(error) : resolve()))),
    close() {
      if (open) closeSync(fd)
      open = false
    },
  }
}

function endsTorn(fd: number): boolean {
  const { size } = fstatSync(fd)
  const last = Buffer.alloc(1)
  return size > 0 && readSync(fd, last, 0, 1, size - 1) === 1 && last[0] !== NEWLINE
}

/** Takes the last `bytes` off again; false: they are still there. */
function cutOff(fd: number, bytes: number): boolean {
  try {
    if (bytes > 0) ftruncateSync(fd, fstatSync(fd).size - bytes)
    return true
  } catch {
    return false
  }
}

function findLast<T>(fd: number, parse: (line: string) => T | null): T | null {
  // Begins in the middle of a line until the file's start is reached; that first piece waits for the next chunk.
  let rest: Buffer = Buffer.alloc(0)
  for (let start = fstatSync(fd).size; start > 0; ) {
    const chunk = Buffer.alloc(Math.min(CHUNK, start))
    start -= chunk.length
    readSync(fd, chunk, 0, chunk.length, start)
    rest = Buffer.concat([chunk, rest])
    for (let end = rest.length; end > 0; ) {
      const begin = rest.lastIndexOf(NEWLINE, end - 1) + 1
      if (begin === 0 && start > 0) {
        rest = rest.subarray(0, end)
        break
      }
      const found = begin < end ? parse(rest.toString('utf8', begin, end)) : null
      if (found !== null) return found
      end = begin - 1
      if (end <= 0) rest = Buffer.alloc(0)
    }
  }
  return null
}
