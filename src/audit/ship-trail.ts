// Carries the trail to one sink, from where the cursor stands to where the files end now. Stops, with the cursor where it got to,
// where the sink has no room or fails.
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { AuditSink, ShippedRecord } from '../model/audit-sink.ts'
import { listFiles, type TrailFile } from './file-names.ts'
import { linesOf, openTrailFile, type ReadBlock, readBlocks } from './read-blocks.ts'
import type { FilePosition, ShipCursor } from './ship-cursor.ts'

export interface ShipOptions {
  readonly folder: string
  readonly cursor: ShipCursor
  readonly sink: AuditSink
  /** Records sent at once, at most. */
  readonly batch: number
  /** The chain of one writer alone. Default: all. */
  readonly writer?: string
  readonly stopped: () => boolean
  /** What is about to be sent; null: everything is sent. */
  readonly waiting: (next: ShippedRecord | null) => void
  readonly sent: (records: readonly ShippedRecord[]) => void
}

/** And so many characters, whatever `batch` says: bodies may be among them. */
const BATCH_CHARACTERS = 1024 * 1024

/** False: the sink has no room. Rejects as the sink does. */
export async function shipTrail(options: ShipOptions): Promise<boolean> {
  const { folder, cursor, writer, waiting } = options
  const files = existsSync(folder) ? listFiles(folder, writer) : []
  cursor.keep(new Set(files.map(({ name }) => name)))
  for (const [at, file] of files.entries()) {
    const newest = files[at + 1]?.writer !== file.writer
    if (options.stopped()) return true
    if (!(await shipFile(file, newest, options))) return false
  }
  waiting(null)
  return true
}

async function shipFile(file: TrailFile, newest: boolean, options: ShipOptions): Promise<boolean> {
  const { folder, cursor } = options
  const before = cursor.get(file.name)
  if (before.done || (await isUnchanged(folder, file, before))) return true
  const reader = await openTrailFile(folder, file)
  try {
    const batch = createBatch(file.name, options)
    for await (const block of readBlocks(reader, before.pos)) {
      const skip = block.start === before.pos ? before.skip : 0
      for (const [index, record] of recordsOf(block).entries()) {
        if (index < skip) continue
        const last = index === block.block.count - 1
        batch.add(record, last ? { pos: block.end, skip: 0, done: false } : { pos: block.start, skip: index + 1, done: false })
        if (batch.full() && !(await batch.send())) return false
      }
      if (options.stopped()) return true
    }
    if (!(await batch.send())) return false
    if (!newest) cursor.set(file.name, { ...cursor.get(file.name), done: true })
    cursor.save()
    return true
  } finally {
    await reader.close()
  }
}

/** Spares the newest file, in which there is nothing new, being opened each time. */
async function isUnchanged(folder: string, { name, compressed }: TrailFile, { pos, skip }: FilePosition): Promise<boolean> {
  if (compressed || pos === 0 || skip > 0) return false
  return stat(join(folder, name)).then(
    ({ size }) => size === pos,
    () => false,
  )
}

function recordsOf(block: ReadBlock): ShippedRecord[] {
  const { chain, seq, count } = block.block
  return [...linesOf(block)].map(({ line }, index) => {
    const text = line.toString('utf8')
    return {
      chain,
      seq: seq - count + 1 + index,
      at: Date.parse(/^\{"seq":\d+,"at":"([^"]+)"/.exec(text)?.[1] ?? ''),
      line: text,
    }
  })
}

function createBatch(name: string, { cursor, sink, batch, waiting, sent }: ShipOptions) {
  let records: ShippedRecord[] = []
  let characters = 0
  let after: FilePosition | null = null
  return {
    add(record: ShippedRecord, position: FilePosition) {
      records.push(record)
      characters += record.line.length
      after = position
    },
    full: () => records.length >= batch || characters >= BATCH_CHARACTERS,
    async send(): Promise<boolean> {
      const [first] = records
      if (!first || !after) return true
      waiting(first)
      if (!(await sink.send(records))) return false
      sent(records)
      cursor.set(name, after)
      cursor.save()
      records = []
      characters = 0
      return true
    },
  }
}
