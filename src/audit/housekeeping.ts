// What has to be done to the trail from time to time: old files removed, and the end of the chain told to somewhere else. Files are
// compressed by the thread that reads them (search-worker.ts).
import { appendFile } from 'node:fs/promises'
import type { Clock, Logger } from '../model/ports.ts'
import type { AuditKeys } from './audit-keys.ts'
import type { FileAuditLog } from './audit-log.ts'
import type { AuditEntry } from './audit-record.ts'
import { type ChainOptions, openChain } from './chain-writer.ts'
import { listFiles, type TrailFile, type WriterName } from './file-names.ts'
import { takeLock } from './folder-lock.ts'
import { removeOld } from './retention.ts'

export interface HousekeepingOptions {
  /** null: files are kept for ever. */
  readonly retentionMs: number | null
  /** null: no checkpoints. `file` null: they go to the log. */
  readonly checkpoint: { readonly everyMs: number; readonly file: string | null } | null
}

export interface HousekeepingPorts {
  readonly folder: string
  readonly keys: AuditKeys
  readonly clock: Clock
  readonly log: Logger
  readonly trail: Pick<FileAuditLog, 'end' | 'writer' | 'note'>
  /** See RetentionOptions. */
  readonly needed: (file: TrailFile) => boolean
}

const RETENTION_EVERY_MS = 3_600_000

/** Stops, with a last checkpoint. Call it when nothing more is recorded. */
export type StopHousekeeping = () => Promise<void>

export function keepHouse({ retentionMs, checkpoint }: HousekeepingOptions, ports: HousekeepingPorts): StopHousekeeping {
  const { clock, log } = ports
  const stops: (() => void)[] = []
  const tell = checkpoint === null ? null : createCheckpoint(checkpoint.file, ports)
  const guarded = (work: () => unknown) => async (): Promise<void> => {
    try {
      await work()
    } catch (error) {
      log.log('warn', 'audit housekeeping failed', {
        code: (error as NodeJS.ErrnoException).code ?? null,
        because: (error as Error).name,
      })
    }
  }
  const repeat = (everyMs: number, work: () => Promise<void>): void => {
    let stop = (): void => {}
    const again = (): void => {
      stop = clock.after(everyMs, () => void work().then(again))
    }
    stops.push(() => stop())
    again()
  }
  const remove = guarded(() => retentionMs !== null && removeOlder(retentionMs, ports))
  if (retentionMs !== null) {
    repeat(RETENTION_EVERY_MS, remove)
    void remove()
  }
  if (checkpoint && tell) repeat(checkpoint.everyMs, guarded(tell))
  return async () => {
    for (const stop of stops) stop()
    if (tell) await guarded(tell)()
  }
}

/** Each where something was written since the last. */
function createCheckpoint(file: string | null, { trail, log, clock }: HousekeepingPorts): () => Promise<void> {
  let told = 0
  return async () => {
    const end = trail.end()
    if (!end || end.seq === told) return
    if (file === null) log.log('info', 'audit checkpoint', { ...end })
    else await appendFile(file, `${JSON.stringify({ at: new Date(clock.date()).toISOString(), ...end })}\n`, { mode: 0o600 })
    told = end.seq
  }
}

/** Other chains in the folder too: the command line's, and those of gateways that are no more. */
async function removeOlder(keepMs: number, { folder, keys, clock, log, trail, needed }: HousekeepingPorts): Promise<void> {
  const common = { folder, keepMs, needed, now: clock.date() }
  for (const writer of new Set(listFiles(folder).map((file) => file.writer))) {
    let count = 0
    if (writer === trail.writer) {
      count = removeOld({ ...common, writer, append: trail.note })
    } else {
      const lock = takeLock(folder, writer, 0)
      if (!lock) continue
      try {
        const append = (entries: readonly AuditEntry[]): void =>
          appendTo({ folder, writer: writer as WriterName, keys, clock }, entries)
        count = removeOld({ ...common, writer, append })
      } finally {
        lock.release()
      }
    }
    if (count > 0) log.log('info', 'audit files removed for their age', { count, name: writer })
  }
}

function appendTo(options: ChainOptions, entries: readonly AuditEntry[]): void {
  const chain = openChain(options)
  try {
    chain.append(entries)
  } finally {
    chain.close()
  }
}
