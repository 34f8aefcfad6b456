// Keeps one sink supplied for as long as the gateway runs: looks for new records each half second, waits longer after a failure, and
// never holds up a call. What a sink does not take stays in the files.
import type { AuditSink, ShippedRecord, SinkSample } from '../model/audit-sink.ts'
import type { Clock, Logger, Meter, Random } from '../model/ports.ts'
import type { ChainEnd } from './chain-writer.ts'
import type { TrailFile } from './file-names.ts'
import { openCursor, type ShipCursor } from './ship-cursor.ts'
import { shipTrail } from './ship-trail.ts'

export interface ShipperOptions {
  /** Of the sink; its label and its cursor's file. */
  readonly name: string
  readonly folder: string
  readonly cursorFile: string
  readonly batch: number
  /** The end of the gateway's own chain. */
  readonly end: () => ChainEnd | null
}

export interface ShipperPorts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly meter: Pick<Meter, 'auditShipped'>
}

export interface Shipper {
  sample(): SinkSample
  /** The sink does not have all of that file. */
  needs(file: TrailFile): boolean
  /** Sends what there is, once more, for at most a few seconds. */
  close(): Promise<void>
}

const POLL_MS = 500
const RETRY_FROM_MS = 1000
const RETRY_MAX_MS = 60_000
const CLOSE_MS = 3000

export function startShipper(options: ShipperOptions, sink: AuditSink, ports: ShipperPorts): Shipper {
  const { clock, log, meter, random } = ports
  const { name } = options
  const cursor: ShipCursor = openCursor(options.cursorFile)
  let first: ShippedRecord | null = null
  let last: ShippedRecord | null = null
  let failures = 0
  let batch = options.batch
  let closing = false
  let stopTimer = (): void => {}
  let running: Promise<void> = Promise.resolve()
  const ended = Promise.withResolvers<never>()
  ended.promise.catch(() => {})
  // Whoever waits for a sink that hangs is let go at the end, with the file that it reads.
  const bounded: AuditSink = { ...sink, send: (records) => Promise.race([sink.send(records), ended.promise]) }

  const work = async (): Promise<void> => {
    const room = await shipTrail({
      ...{ folder: options.folder, cursor, sink: bounded, batch },
      stopped: () => closing && clock.now() > closeBy,
      waiting: (next) => {
        first = next
      },
      sent: (records) => {
        last = records.findLast(({ chain }) => chain === options.end()?.chain) ?? last
        meter.auditShipped(name, 'shipped', records.length)
        succeeded()
      },
    })
    if (!room) meter.auditShipped(name, 'refused', 1)
    if (room) succeeded()
    else failed('there is no room in it')
  }
  let closeBy = Number.POSITIVE_INFINITY

  const succeeded = (): void => {
    if (failures > 0) log.log('info', 'audit sink takes records again', { name })
    failures = 0
    batch = Math.min(options.batch, batch * 2)
  }
  const failed = (because: string): void => {
    failures++
    if (failures === 1) log.log('warn', 'audit sink takes no records, which wait in the files', { name, because })
  }
  const turn = async (): Promise<void> => {
    try {
      await work()
    } catch (error) {
      meter.auditShipped(name, 'failed', 1)
      if (sink.tooMany?.(error) && batch > 1) batch = Math.ceil(batch / 4)
      failed(reasonOf(error))
    }
  }
  const next = (): void => {
    if (closing) return
    const ceiling = failures === 0 ? POLL_MS : Math.min(RETRY_MAX_MS, RETRY_FROM_MS * 2 ** Math.min(failures - 1, 10))
    const wait = failures === 0 ? ceiling : ceiling * (0.5 + random() / 2)
    stopTimer = clock.after(wait, () => {
      running = turn().then(next)
    })
  }
  next()

  return {
    sample() {
      const end = options.end()
      const lagRecords = first === null || !end ? 0 : end.seq - (last?.chain === end.chain ? last.seq : 0)
      return { sink: name, lagSeconds: first === null ? 0 : Math.max(0, clock.date() - first.at) / 1000, lagRecords }
    },
    needs: (file) => !cursor.get(file.name).done,
    async close() {
      closing = true
      closeBy = clock.now() + CLOSE_MS
      stopTimer()
      const stopClock = clock.after(CLOSE_MS, () => ended.reject(new SinkError('the gateway ended')))
      await running
      if (failures === 0) await turn()
      stopClock()
    },
  }
}

/** Codes and our own words; never a body or a URL. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  return error instanceof SinkError ? error.message : ((error as NodeJS.ErrnoException).code ?? error.name)
}

/** Its message is safe to log. */
export class SinkError extends Error {
  /** Of the answer; null: there was none. */
  readonly status: number | null

  constructor(message: string, status: number | null = null) {
    super(message)
    this.status = status
  }
}
