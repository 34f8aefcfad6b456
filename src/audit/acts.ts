// What operators do at the command line, recorded beside a gateway that may be running: a chain of its own, since the gateway's
// is the gateway's alone to write. An act that cannot be recorded is not done.
import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { GatewayError } from '../errors/gateway-error.ts'
import type { AuditSink } from '../model/audit-sink.ts'
import type { AuditAct, Clock } from '../model/ports.ts'
import { adopt } from './adopt.ts'
import type { AuditKeys } from './audit-keys.ts'
import { openChain } from './chain-writer.ts'
import { takeLock } from './folder-lock.ts'
import { openCursor } from './ship-cursor.ts'
import { shipTrail } from './ship-trail.ts'

export interface ActLogOptions {
  readonly dataDir: string
  readonly clock: Pick<Clock, 'date'>
  readonly keys: AuditKeys
  readonly who: string
  /** Stands in every record, such as the host. */
  readonly detail: AuditAct['detail']
  /** Where records of acts are sent as well; null: nowhere. One that cannot be sent waits in the file for a gateway, or the next act. */
  readonly sink?: AuditSink | null
}

export interface ActLog {
  /**
   * Records that `act` begins, does `work`, and records how it ended. `act`: noun and deed, such as `secret.set`; `subject`: what
   * it is done to, by name. Rejects, with `work` undone, where the beginning cannot be recorded; rejects as `work` does.
   */
  act<T>(act: string, subject: string | null, work: () => Promise<T>, detail?: AuditAct['detail']): Promise<T>
}

/** How long another process may take to write its own record, ms. */
const LOCK_WAIT_MS = 5000

export function createActLog(options: ActLogOptions): ActLog {
  const record = (act: AuditAct): Promise<void> => recordAct(options, act)
  return {
    async act(act, subject, work, detail = {}) {
      const common = {
        who: options.who,
        via: 'cli',
        act,
        subject,
        id: randomUUID(),
        detail: { ...options.detail, ...detail },
      } as const
      await record({ ...common, phase: 'begun', error: null })
      let ended: AuditAct['error'] = null
      try {
        return await work()
      } catch (error) {
        ended = error instanceof GatewayError ? error.type : 'Failed'
        throw error
      } finally {
        await record({ ...common, phase: 'ended', error: ended })
        if (options.sink) await sendActs(options.dataDir, options.sink)
      }
    },
  }
}

/** Appends one record on disk. Rejects with a message for the operator. */
export async function recordAct(options: Pick<ActLogOptions, 'dataDir' | 'clock' | 'keys'>, act: AuditAct): Promise<void> {
  const { dataDir } = options
  try {
    const folder = join(dataDir, 'audit')
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    adopt(folder, dataDir)
    const lock = takeLock(folder, 'acts', LOCK_WAIT_MS)
    if (!lock) throw new Error('another command has been writing its own record for 5 s')
    try {
      await append(folder, options, act)
    } finally {
      lock.release()
    }
  } catch (error) {
    const because = (error as NodeJS.ErrnoException).code ?? (error as Error).message
    throw new Error(`this cannot be recorded in the audit trail of ${dataDir} (${because}), and what is not recorded is not done`)
  }
}

async function append(folder: string, { clock, keys }: Pick<ActLogOptions, 'clock' | 'keys'>, act: AuditAct): Promise<void> {
  const chain = openChain({ folder, writer: 'acts', clock, keys })
  try {
    chain.append([{ kind: 'act', record: act }])
    await chain.file().sync()
  } finally {
    chain.close()
  }
}

/** The whole chain each time: what the stream has already is not added again. */
async function sendActs(dataDir: string, sink: AuditSink): Promise<void> {
  const quiet = { stopped: () => false, waiting: () => {}, sent: () => {} }
  const work = shipTrail({ folder: join(dataDir, 'audit'), cursor: openCursor(null), sink, batch: 500, writer: 'acts', ...quiet })
  await work.catch(() => {})
}
