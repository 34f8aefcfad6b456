// The audit trail of a gateway: two records a call. All records of one turn of the event loop are one write and one block of the
// chain; each promise resolves when that write is with the operating system (strict: on the disk).
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { GatewayError } from '../errors/gateway-error.ts'
import type { AuditLog, Clock, Logger, Meter } from '../model/ports.ts'
import { adopt } from './adopt.ts'
import type { AuditFile, DiskPort } from './audit-file.ts'
import type { AuditKeys } from './audit-keys.ts'
import type { AuditEntry } from './audit-record.ts'
import { type ChainEnd, type ChainWriter, openChain } from './chain-writer.ts'
import type { WriterName } from './file-names.ts'
import { type FolderLock, takeLock } from './folder-lock.ts'

export interface AuditLogOptions {
  /** Files go to `audit/YYYY-MM-DD.jsonl` in it, readable by the owner alone. */
  readonly dataDir: string
  readonly clock: Pick<Clock, 'date'>
  readonly meter: Pick<Meter, 'auditFailed'>
  readonly log: Logger
  /**
   * process: written to the operating system, which a killed process does not undo. strict: on the disk as well, by group
   * commit. best-effort: the call does not wait and is made even if the record cannot be.
   */
  readonly durability: 'process' | 'best-effort' | 'strict'
  readonly keys: AuditKeys
  /** See openChain. */
  readonly fileBytes?: number
  readonly disk?: DiskPort
}

export interface FileAuditLog extends AuditLog {
  /** Where its chain stands; null: nothing was ever written. */
  end(): ChainEnd | null
  readonly writer: WriterName
  /** Records that another process formed, in one piece. Resolves with the first one's number; null: nobody waits for records. */
  formed(texts: readonly string[]): Promise<number | null>
  /** Written at once, as one block. Throws where it cannot be. */
  note(entries: readonly AuditEntry[]): void
}

interface Batch {
  readonly entries: AuditEntry[]
  readonly written: Promise<void>
  /** null: it is written. */
  readonly settle: (failure: GatewayError | null) => void
  /** Number of its first record, once it is written. */
  first: number
}

/** Opens, or repairs and continues, the trail. Throws where the folder or today's file cannot be opened. */
export function createAuditLog(options: AuditLogOptions): FileAuditLog {
  const { durability } = options
  const waits = durability !== 'best-effort'
  const folder = join(options.dataDir, 'audit')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  adopt(folder, options.dataDir)
  const { lock, writer } = takeWriter(folder)
  const commits = createGroupCommit()
  const chain = openOrRelease(lock, () =>
    openChain({
      folder,
      writer,
      ...options,
      retire: (file) => void commits.idle().then(() => closeQuietly(file)),
    }),
  )
  let pending: Batch | null = null
  let closed = false
  let failing = false

  const recover = (): void => {
    if (failing) options.log.log('info', 'audit records are written again')
    failing = false
  }

  const succeed = (batch: Batch): void => {
    recover()
    batch.settle(null)
  }

  const fail = (batch: Batch, error: unknown): void => {
    if (!failing) options.log.log('error', 'audit records cannot be written', { because: codeOf(error) })
    failing = true
    options.meter.auditFailed()
    batch.settle(cannotRecord(error))
  }

  const flush = (): void => {
    const batch = pending
    if (!batch) return
    pending = null
    try {
      batch.first = chain.append(batch.entries)
      if (durability !== 'strict') succeed(batch)
      else commits.add(chain.file(), (error) => (error === null ? succeed(batch) : fail(batch, error)))
    } catch (error) {
      fail(batch, error)
    }
  }

  /** null: nothing is recorded any more. */
  const collecting = (): Batch | null => {
    if (closed) return null
    if (!pending) {
      pending = createBatch()
      setImmediate(flush)
    }
    return pending
  }

  const add = (entry: AuditEntry): Batch | null => {
    const batch = collecting()
    batch?.entries.push(entry)
    return batch
  }

  /** Resolves with the number of the batch's record of that index. */
  const numbered = (batch: Batch | null, index: number): Promise<number | null> => {
    const written = safe(batch)
    return batch === null || !waits ? written.then(() => null) : written.then(() => batch.first + index)
  }

  /** One promise for all records of a write. */
  const safe = (batch: Batch | null): Promise<void> => {
    if (!waits) return NOBODY_WAITS
    return batch?.written ?? Promise.reject(cannotRecord(new Error('the gateway is stopping')))
  }

  return {
    intent(record) {
      const batch = add({ kind: 'intent', record })
      return numbered(batch, batch === null ? 0 : batch.entries.length - 1)
    },
    formed(texts) {
      const batch = collecting()
      const index = batch?.entries.length ?? 0
      for (const text of texts) batch?.entries.push({ kind: 'formed', text })
      return numbered(batch, index)
    },
    result: (record) => safe(add({ kind: 'result', record })),
    act: (record) => safe(add({ kind: 'act', record })),
    writable() {
      if (!failing || !waits) return true
      // Nobody sends calls to a gateway that is not ready, so that none of them would find the disk well again.
      try {
        chain.append([{ kind: 'note', note: 'records can be written again' }])
        recover()
      } catch {
        // Still not: the next who asks tries again.
      }
      return !failing
    },
    end: () => chain.end(),
    writer,
    note: (entries) => void chain.append(entries),
    async close() {
      if (closed) return
      closed = true
      flush()
      await commits.idle()
      await chain
        .file()
        .sync()
        .catch(() => {}) // on a broken disk there is nothing left to do but end
      closeQuietly(chain)
      lock.release()
    },
  }
}

const NOBODY_WAITS: Promise<void> = Promise.resolve()

const MAX_WRITERS = 99

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
  return {
    entries: [],
    written: promise,
    settle: (failure) => (failure === null ? resolve() : reject(failure)),
    first: 0,
  }
}

function closeQuietly(file: AuditFile | ChainWriter): void {
  try {
    file.close()
  } catch {
    // The records are written; a descriptor that does not close loses nothing.
  }
}

/** Another gateway on the same folder keeps its own chain. */
function takeWriter(folder: string): { readonly lock: FolderLock; readonly writer: WriterName } {
  for (let number = 1; number <= MAX_WRITERS; number++) {
    const writer: WriterName = number === 1 ? 'gateway' : `gateway-${number}`
    const lock = takeLock(folder, writer, 0)
    if (lock) return { lock, writer }
  }
  throw new Error(`${MAX_WRITERS} gateways write their audit trails in ${folder} already; give this one its own dataDir`)
}

function openOrRelease(lock: FolderLock, open: () => ChainWriter): ChainWriter {
  try {
    return open()
  } catch (error) {
    lock.release()
    throw error
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : 'unknown'
}

function cannotRecord(error: unknown): GatewayError {
  return new GatewayError(
    'Overloaded',
    `The call cannot be recorded in the audit trail (${codeOf(error)}) and calls without a record are not made; free or repair dataDir, or set audit.durability: best-effort.`,
    { retryAfter: 5000, cause: error, rule: 'audit' },
  )
}
