// The primary: starts the workers, puts another in the place of one that ended, and keeps what the machine has one of: the audit
// trail, the metrics page, the configuration as it was validated, the level of the log.
import cluster, { type Worker } from 'node:cluster'
import type { Socket } from 'node:net'
import type { ConfigChange } from '../admin/config-change.ts'
import type { Reloaded } from '../admin/process.ts'
import type { OwnAudit } from '../audit/audit.ts'
import type { Config } from '../config/config.ts'
import type { LogLevel } from '../model/ports.ts'
import type { MetricSamples } from '../telemetry/exposition.ts'
import type { ProcessLogger } from '../telemetry/logger.ts'
import { createTotals } from '../telemetry/merge.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { type AuditAnswers, answerAudit } from './audit-by-primary.ts'
import { createPeer, type Peer } from './peer.ts'
import { createPulse } from './pulse.ts'
import { takeRecords, WORKER_STDIO } from './record-pipe.ts'
import { refuseWorkers, shareOf } from './share.ts'

export interface LevelSet {
  readonly level: LogLevel | null
  readonly by: string
  readonly forMs: number | null
}

/** What a worker can be asked. */
export interface WorkerAnswers {
  readonly start: (given: {
    readonly config: Config
    readonly level: LevelSet | null
  }) => Promise<{ address: string; port: number }>
  readonly take: (config: Config) => Promise<ConfigChange>
  readonly samples: (_: null) => Promise<readonly MetricSamples[]>
  readonly setLevel: (set: LevelSet) => Promise<void>
  readonly drain: (_: null) => Promise<void>
}

/** What the primary can be asked. */
export interface PrimaryAnswers extends AuditAnswers {
  readonly reload: (_: null) => Promise<Reloaded>
  readonly scrape: (accept: string) => Promise<{ readonly contentType: string; readonly text: string }>
  readonly setLevel: (set: LevelSet) => Promise<void>
}

export interface PrimaryPorts {
  readonly audit: OwnAudit
  readonly metrics: Metrics
  readonly log: ProcessLogger
  /** Reads the configuration anew and gives it to `take`, as a signal does. */
  readonly reload: () => Promise<Reloaded>
}

export interface Primary {
  /** Rejects where a worker cannot listen. */
  start(): Promise<{ readonly address: string; readonly port: number }>
  /** By all workers. Throws, and none takes it, where they cannot divide it. */
  take(config: Config): Promise<ConfigChange>
  /** Each ends when its calls have ended. Resolves with the exit code. */
  drain(): Promise<0 | 1>
  /** At once. */
  kill(): void
}

interface Seated {
  readonly worker: Worker
  readonly peer: Peer<WorkerAnswers>
  readonly index: number
  readonly since: number
  /** null: it does not serve yet. */
  pulse: ReturnType<typeof createPulse> | null
}

/** How often the workers' counts are fetched, so that little of them is lost with one. */
const COLLECT_EVERY_MS = 500
/** A worker that ended is replaced after this long, twice that the next time and so on, and from the beginning once one held out. */
const BACKOFF_MS = 100
const MOST_BACKOFF_MS = 30_000
const HELD_OUT_MS = 60_000

export function createPrimary(first: { readonly config: Config; readonly count: number }, ports: PrimaryPorts): Primary {
  const { count } = first
  const { audit, metrics, log } = ports
  const seated = new Map<number, Seated>()
  const totals = createTotals()
  let config = first.config
  let level: LevelSet | null = null
  let ending = false
  let failed = false
  let backoffMs = BACKOFF_MS
  let whenEmpty = (): void => {}
  cluster.setupPrimary({ serialization: 'advanced', stdio: [...WORKER_STDIO] })
  metrics.register('workers', () => seated.size)

  const each = <T>(work: (seat: Seated) => Promise<T>): Promise<PromiseSettledResult<T>[]> =>
    Promise.allSettled([...seated.values()].map(work))
  const fetchFrom = async ({ worker, peer }: Seated): Promise<void> =>
    totals.put(String(worker.id), await peer.ask('samples', null))
  const collecting = setInterval(() => {
    for (const { pulse } of seated.values()) pulse?.beat()
  }, COLLECT_EVERY_MS)

  const giveUp = ({ worker }: Seated): void => {
    log.log('error', 'worker does not answer and is ended', { pid: worker.process.pid ?? null })
    worker.process.kill('SIGKILL')
  }

  const answers: PrimaryAnswers = {
    ...answerAudit(audit),
    reload: () => ports.reload(),
    async scrape(accept) {
      await each(fetchFrom)
      totals.put('primary', await metrics.samples())
      return totals.print(accept)
    },
    async setLevel(set) {
      level = set.level === null ? null : set
      await each(({ peer }) => peer.ask('setLevel', set))
    },
  }

  const ended = ({ worker, peer, index, since }: Seated, code: number | null, signal: string | null): void => {
    peer.lost()
    totals.bury(String(worker.id))
    seated.delete(index)
    if (ending) {
      failed ||= code !== 0
      if (seated.size === 0) whenEmpty()
      return
    }
    backoffMs = performance.now() - since > HELD_OUT_MS ? BACKOFF_MS : Math.min(2 * backoffMs, MOST_BACKOFF_MS)
    metrics.workerReplaced()
    const pid = worker.process.pid ?? null
    log.log('error', 'worker ended, another takes its place', { pid, code, signal, afterMs: backoffMs })
    setTimeout(() => void replace(index), backoffMs)
  }

  const replace = async (index: number): Promise<void> => {
    if (ending) return
    // One that cannot start ends, and is replaced in its turn.
    await seat(index).catch((error: unknown) => {
      log.log('error', 'worker did not start', { because: error instanceof Error ? error.message : 'unknown' })
      seated.get(index)?.worker.process.kill('SIGKILL')
    })
  }

  const seat = async (index: number): Promise<{ readonly address: string; readonly port: number }> => {
    const worker = cluster.fork()
    const peer = createPeer<WorkerAnswers>(worker, answers)
    takeRecords(worker.process.stdio[WORKER_STDIO.indexOf('pipe')] as Socket, audit)
    const mine: Seated = { worker, peer, index, since: performance.now(), pulse: null }
    seated.set(index, mine)
    worker.once('exit', (code: number | null, signal: string | null) => ended(mine, code, signal))
    worker.on('error', () => {}) // of its channel; its end says all
    await new Promise((resolve) => worker.once('message', resolve)) // it says that it can be asked
    const bound = await peer.ask('start', { config: shareOf(config, { index, count }), level })
    mine.pulse = createPulse(
      () => fetchFrom(mine),
      () => giveUp(mine),
    )
    log.log('info', 'worker serves', { pid: worker.process.pid ?? null })
    return bound
  }

  return {
    async start() {
      const bound = await seat(0) // alone: it makes what is not there yet
      await Promise.all(Array.from({ length: count - 1 }, (_, other) => seat(other + 1)))
      return bound
    },
    async take(next) {
      const refusal = refuseWorkers(next, count)
      if (refusal !== null) throw new Error(refusal)
      config = next
      const [change] = await each(({ peer, index }) => peer.ask('take', shareOf(next, { index, count })))
      if (change?.status !== 'fulfilled') throw new Error('no worker could take the configuration')
      return change.value
    },
    async drain() {
      ending = true
      const empty = new Promise<void>((resolve) => {
        whenEmpty = resolve
      })
      void each(({ peer }) => peer.ask('drain', null))
      if (seated.size > 0) await empty
      clearInterval(collecting)
      return failed ? 1 : 0
    },
    kill() {
      ending = true
      clearInterval(collecting)
      for (const { worker } of seated.values()) worker.process.kill('SIGKILL')
    },
  }
}
