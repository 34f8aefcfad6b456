// Writes one chain: finds where it ended, accounts for what an interrupted write left, goes on in a new file each day and where
// one has grown too large, and hands over from key to key. One process at a time; the lock is taken by whoever opens it.
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Clock } from '../model/ports.ts'
import { adopt } from './adopt.ts'
import { type AuditFile, type DiskPort, openAuditFile } from './audit-file.ts'
import { type AuditKey, type AuditKeys, sealKey } from './audit-keys.ts'
import { type AuditEntry, formatRecords } from './audit-record.ts'
import { BLOCK_BEGIN, type Block, NO_MAC, parseBlock, writeBlock } from './block.ts'
import { readLastMember } from './compressed-file.ts'
import { fileName, listFiles, type TrailFile, type WriterName } from './file-names.ts'

export interface ChainOptions {
  readonly folder: string
  readonly writer: WriterName
  readonly clock: Pick<Clock, 'date'>
  readonly keys: AuditKeys
  /** A file is followed by the next part once it has so many bytes. Default: 256 MiB. */
  readonly fileBytes?: number
  readonly disk?: DiskPort
  /** A file that nothing more is written to; whoever still waits for its disk closes it. Default: closes it. */
  readonly retire?: (file: AuditFile) => void
}

/** The last block written: what a checkpoint says. */
export interface ChainEnd {
  /** Of the chain; drawn when it began. */
  readonly chain: string
  readonly file: string
  readonly seq: number
  readonly mac: string
}

export interface ChainWriter {
  /** One block; answers its first record's number. Throws where the operating system did not take all of it: nothing then counts. */
  append(entries: readonly AuditEntry[]): number
  /** The file of the last append, to be synced. */
  file(): AuditFile
  /** null: nothing was ever written. */
  end(): ChainEnd | null
  close(): void
}

const FILE_BYTES = 256 * 2 ** 20

/** Where a chain stands. */
interface State {
  readonly chain: string
  seq: number
  mac: string
  /** The key of the next block, as far as the last one says; null: there is none. */
  key: string | null
  /** The file that has the last block. */
  from: string | null
}

interface Current {
  readonly day: string
  readonly part: number
  readonly name: string
  readonly file: AuditFile
  /** Of the last whole block. */
  end: number
  /** Bytes after `end` may be those of an interrupted write. */
  damaged: boolean
}

/** Opens, or repairs and continues. Throws where the folder or the file cannot be used. */
export function openChain(options: ChainOptions): ChainWriter {
  const { folder, writer, clock, keys, fileBytes = FILE_BYTES, retire = (file) => file.close() } = options
  const files = listFiles(folder, writer)
  const newest = files.at(-1)
  const state = findEnd(folder, files)
  const now = (): string => new Date(clock.date()).toISOString()
  let current: Current | null = null
  let closed = false
  let failed = false

  /** Never a day before the newest file's, whatever the clock says: the order of the files is the chain's. */
  const place = (today: string): Current => {
    if (current && !failed && current.day >= today && current.end < fileBytes) return current
    // After a failure the folder is looked at anew: it may have been moved, emptied or put on another disk.
    const last = failed || !current ? listFiles(folder, writer).at(-1) : current
    const full = last === current || (last !== undefined && 'compressed' in last && last.compressed)
    const next = !last || last.day < today ? enter(options, today, 1) : enter(options, last.day, full ? last.part + 1 : last.part)
    if (current) retire(current.file)
    current = next
    failed = false
    settle(next, keys, state, now())
    return next
  }

  if (newest && !newest.compressed) {
    // A tail torn on an earlier day is accounted for in its own file.
    const at = enter(options, newest.day, newest.part)
    try {
      settle(at, keys, state, now())
    } finally {
      at.file.close()
    }
  }
  place(now().slice(0, 10))

  return {
    append(entries) {
      if (closed) throw new Error('the trail is closed')
      const instant = now()
      const at = place(instant.slice(0, 10))
      try {
        if (state.key !== null && state.key !== keys.active.id) settle(at, keys, state, instant)
        write(at, state, entries, { key: keys.active, instant, handover: null })
        return state.seq - entries.length + 1
      } catch (error) {
        failed = true
        throw error
      }
    },
    file() {
      if (!current) throw new Error('the trail is not open')
      return current.file
    },
    end: () => (state.from === null ? null : { chain: state.chain, file: state.from, seq: state.seq, mac: state.mac }),
    close() {
      closed = true
      current?.file.close()
    },
  }
}

function enter({ folder, writer, disk }: ChainOptions, day: string, part: number): Current {
  const name = fileName(writer, day, part)
  const path = join(folder, name)
  const file = openAuditFile(path, disk)
  try {
    adopt(path, folder)
    const end = file.findLast(parseBlock)?.end ?? 0
    return { day, part, name, file, end, damaged: file.size() > end }
  } catch (error) {
    file.close()
    throw error
  }
}

/** Before anything else is written: says what a crash left, and passes on from a key that is no longer the active one. */
function settle(at: Current, keys: AuditKeys, state: State, instant: string): void {
  const { active } = keys
  const notes: string[] = []
  if (at.damaged)
    notes.push(`the ${at.file.size() - at.end} bytes of ${at.name} before this block are of a write that was cut off`)
  const old = state.key === null || state.key === active.id ? null : keys.find(state.key)
  if (old) notes.push(`key ${old.id} hands over to key ${active.id}`)
  else if (state.key !== null && state.key !== active.id)
    notes.push(`key ${state.key} is not known here; key ${active.id} goes on`)
  if (notes.length === 0) return
  const handover = old ? { to: active.id, sealed: sealKey(old, active) } : null
  const entries = notes.map((text): AuditEntry => ({ kind: 'note', note: text }))
  write(at, state, entries, { key: old ?? active, instant, handover })
}

function write(
  at: Current,
  state: State,
  entries: readonly AuditEntry[],
  { key, instant, handover }: { key: AuditKey; instant: string; handover: Block['handover'] | null },
): void {
  const torn = at.damaged && at.file.size() > at.end ? Buffer.concat([at.file.readFrom(at.end), LINE_END]) : null
  const { chain, mac: prev } = state
  const seq = state.seq + entries.length
  const head = at.end === 0 ? { file: at.name, after: state.from, prev: state.from === null ? null : prev } : null
  const block = { chain, seq, count: entries.length, head, handover }
  const { bytes, mac } = writeBlock(formatRecords(entries, state.seq + 1, instant), block, { key, prev, torn })
  try {
    at.file.append(torn ? Buffer.concat([LINE_END, bytes]) : bytes)
  } catch (error) {
    // Most often all of it could be taken off again; where not, the next block accounts for what stands there.
    at.damaged = true
    throw error
  }
  at.end += (torn?.length ?? 0) + bytes.length
  at.damaged = false
  state.seq = seq
  state.mac = mac
  state.key = handover?.to ?? key.id
  state.from = at.name
}

/** The blank keeps a block's line that lacked nothing but its line end from becoming a block after all. */
const LINE_END = Buffer.from(' \n')

function findEnd(folder: string, files: readonly TrailFile[]): State {
  for (const file of files.toReversed()) {
    const block = lastBlockOf(folder, file)
    if (block) {
      const { chain, seq, mac, key, handover } = block
      return { chain, seq, mac, key: handover?.to ?? key, from: file.name }
    }
  }
  return { chain: randomBytes(6).toString('hex'), seq: 0, mac: NO_MAC, key: null, from: null }
}

export function lastBlockOf(folder: string, { name, compressed }: TrailFile): Block | null {
  if (compressed) return lastBlockIn(readLastMember(join(folder, `${name}.gz`)))
  const file = openAuditFile(join(folder, name))
  try {
    return file.findLast(parseBlock)?.value ?? null
  } finally {
    file.close()
  }
}

/** Compressed files end with a block. */
function lastBlockIn(text: Buffer): Block | null {
  const begin = text.lastIndexOf(`\n${BLOCK_BEGIN}`) + 1
  return parseBlock(text.toString('utf8', begin, text.length - 1))
}
