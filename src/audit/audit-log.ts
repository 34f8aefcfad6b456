// The audit trail: JSON lines in a file a day (UTC), two records a call. All records of one turn of the event loop are one
// write; each promise resolves when that write is with the operating system (strict: on the disk).
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { GatewayError } from '../errors/gateway-error.ts'
import type { AuditLog, Clock, Meter } from '../model/ports.ts'
import { type AuditFile, openAuditFile } from './audit-file.ts'
import { type AuditEntry, formatRecords, type RecordFormatter } from './audit-record.ts'

export interface AuditLogOptions {
  /** Files go to `audit/YYYY-MM-DD.jsonl` in it, readable by the owner alone. */
  readonly dataDir: string
  readonly clock: Pick<Clock, 'date'>
  readonly meter: Pick<Meter, 'auditFailed'>
  /**
   * process: written to the operating system, which a killed process does not undo. strict: on the disk as well, by group
   * commit. best-effort: the call does not wait and is made even if the record cannot be.
   */
  readonly durability: 'process' | 'best-effort' | 'strict'
  /** How records become lines. Default: plain JSON. */
  readonly format?: RecordFormatter
}

interface Batch {
  readonly entries: AuditEntry[]
  readonly written: Promise<void>
  readonly settle: (error: GatewayError | null) => void
}

const DAY_MS = 86_400_000

/** Opens, or repairs and continues, the trail. Throws where the folder or today's file cannot be opened. */
export function createAuditLog(options: AuditLogOptions): AuditLog {
  const folder = join(options.dataDir, 'audit')
  const { durability, clock, format = formatRecords } = options
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  let { seq, tornFile } = findEnd(folder)
  let current: { readonly day: number; readonly file: AuditFile } | null = null
  let pending: Batch | null = null
  let closed = false
  let failing = false
  const commits = createGroupCommit()

  const write = (file: AuditFile, entries: readonly AuditEntry[]): void => {
    file.append(format(entries, seq + 1, new Date(clock.date()).toISOString()))
    seq += entries.length
  }

  const today = (): AuditFile => {
    const day = Math.floor(clock.date() / DAY_MS)
    if (current?.day === day) return current.file
    const previous = current
    const file = openAuditFile(join(folder, `${new Date(day * DAY_MS).toISOString().slice(0, 10)}.jsonl`))
    current = { day, file }
    if (previous) void commits.idle().then(() => closeQuietly(previous.file))
    if (tornFile !== null) write(file, [{ kind: 'note', note: `the last line of ${tornFile} was cut off before this record` }])
    tornFile = null
    return file
  }

  const succeed = (batch: Batch): void => {
    failing = false
    batch.settle(null)
  }

  const fail = (batch: Batch, error: unknown): void => {
    failing = true
    options.meter.auditFailed()
    batch.settle(cannotRecord(error))
  }

  const flush = (): void => {
    const batch = pending
    if (!batch) return
    pending = null
    try {
      const file = today()
      write(file, batch.entries)
      if (durability !== 'strict') succeed(batch)
      else commits.add(file, (error) => (error === null ? succeed(batch) : fail(batch, error)))
    } catch (error) {
      fail(batch, error)
    }
  }

  const add = (entry: AuditEntry): Promise<void> => {
    const waits = durability !== 'best-effort'
    if (closed) return waits ? Promise.reject(cannotRecord(new Error('the gateway is stopping'))) : Promise.resolve()
    if (!pending) {
      pending = createBatch()
      setImmediate(flush)
    }
    pending.entries.push(entry)
    return waits ? pending.written : Promise.resolve()
  }

  today()
  return {
    intent: (record) => add({ kind: 'intent', record }),
    result: (record) => add({ kind: 'result', record }),
    act: (record) => add({ kind: 'act', record }),
    writable() {
      if (!failing || durability === 'best-effort') return true
      // Nobody sends calls to a gateway that is not ready, so that none of them would find the disk well again.
      try {
        write(today(), [{ kind: 'note', note: 'records can be written again' }])
        failing = false
      } catch {
        // Still not: the next who asks tries again.
      }
      return !failing
    },
    async close() {
      if (closed) return
      closed = true
      flush()
      await commits.idle()
      if (!current) return
      await current.file.sync().catch(() => {}) // on a broken disk there is nothing left to do but end
      closeQuietly(current.file)
    },
  }
}

/** Calls every `done` of the time during which one fdatasync ran after the next one: many commits, one trip to the disk. */
function createGroupCommit(): {
  add(file: AuditFile, done: (error: unknown) => void): void
  /** Resolves when nothing waits for the disk. */
  idle(): Promise<void>
} {
  let waiting: { readonly file: AuditFile; readonly done: (error: unknown) => void }[] = []
  let running: Promise<void> | null = null

  const run = async (): Promise<void> => {
    while (waiting.length > 0) {
      const group = waiting
      waiting = []
      let failure: unknown = null
      for (const file of new Set(group.map((commit) => commit.file)))
        await file.sync().catch((error: unknown) => {
          failure = error
        })
      for (const commit of group) commit.done(failure)
    }
    running = null
  }

  return {
    add(file, done) {
      waiting.push({ file, done })
      running ??= run()
    },
    idle: () => running ?? Promise.resolve(),
  }
}

function createBatch(): Batch {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  promise.catch(() => {}) // in best-effort nobody listens
  return { entries: [], written: promise, settle: (error) => (error ? reject(error) : resolve()) }
}

function closeQuietly(file: AuditFile | null): void {
  try {
    file?.close()
  } catch {
    // The records are written; a descriptor that does not close loses nothing.
  }
}

function cannotRecord(error: unknown): GatewayError {
  const code = error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : 'unknown'
  return new GatewayError(
    'Overloaded',
    `The call cannot be recorded in the audit trail (${code}) and calls without a record are not made; free or repair dataDir, or set audit.durability: best-effort.`,
    { retryAfter: 5000, cause: error },
  )
}

/**
 * Number of the newest record in the folder (0: none), and the name of the newest file if its last line was cut off; that
 * line counts as never written.
 */
function findEnd(folder: string): { seq: number; tornFile: string | null } {
  const names = readdirSync(folder)
    .filter((name) => /^\d{4}-\d\d-\d\d\.jsonl$/.test(name))
    .sort()
    .reverse()
  let tornFile: string | null = null
  for (const name of names) {
    const file = openAuditFile(join(folder, name))
    const seq = file.findLast(sequenceOf)
    if (name === names[0] && file.torn) {
      tornFile = name
      file.append('')
    }
    file.close()
    if (seq !== null) return { seq, tornFile }
  }
  return { seq: 0, tornFile }
}

export function sequenceOf(line: string): number | null {
  try {
    const { seq } = JSON.parse(line) as { seq?: unknown }
    return typeof seq === 'number' ? seq : null
  } catch {
    return null
  }
}
