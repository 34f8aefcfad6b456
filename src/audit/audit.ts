// The audit trail of a running gateway, joined: what writes it, searches it, keeps house and ships it. app.ts opens it.
import { join } from 'node:path'
import { GatewayError } from '../errors/gateway-error.ts'
import type { AuditSearch } from '../model/audit-search.ts'
import type { AuditSink, Post, SinkSample } from '../model/audit-sink.ts'
import type { AuditLog, Clock, Logger, Meter, Random } from '../model/ports.ts'
import type { AuditKeys } from './audit-keys.ts'
import { createAuditLog, type FileAuditLog } from './audit-log.ts'
import { keepHouse } from './housekeeping.ts'
import { createSearchThread } from './search-thread.ts'
import { type Shipper, startShipper } from './shipper.ts'
import { openSink, type SinkSettings } from './sinks.ts'

/** As the configuration has it. */
export interface AuditSettings {
  readonly durability: 'process' | 'strict' | 'best-effort'
  readonly fileBytes: number
  /** null: files are kept as they were written. */
  readonly compressAfterMs: number | null
  readonly retentionMs: number | null
  readonly checkpoint: { readonly everyMs: number; readonly file: string | null } | null
  readonly sinks: readonly SinkSettings[]
  /** null: none. `refuseAfterMs`: calls are refused while the stream is further behind; null: never. */
  readonly stream: { readonly refuseAfterMs: number | null } | null
}

export interface AuditPorts {
  readonly dataDir: string
  readonly keys: AuditKeys
  readonly clock: Clock
  readonly random: Random
  readonly meter: Pick<Meter, 'auditFailed' | 'auditShipped'>
  readonly log: Logger
  readonly stdout: Pick<NodeJS.WritableStream, 'write'>
  readonly post: Post
  /** null: there is no Redis. */
  readonly stream: AuditSink | null
}

export interface Audit extends AuditLog {
  readonly search: AuditSearch
  /** How far each sink is behind. */
  lags(): SinkSample[]
}

/** The trail that this process writes, and others through it. */
export interface OwnAudit extends Audit {
  /** Records that another process formed, in one piece. Resolves with the first one's number; null: nobody waits for records. */
  formed(kind: 'intents' | 'ends', texts: readonly string[]): Promise<number | null>
}

const STREAM = 'stream'
const STREAM_BATCH = 500

/** Throws where the folder or today's file cannot be used. */
export function openAudit(settings: AuditSettings, ports: AuditPorts): OwnAudit {
  const { durability, fileBytes, compressAfterMs } = settings
  const { dataDir, keys, clock, meter, log } = ports
  const trail = createAuditLog({ dataDir, clock, meter, log, durability, fileBytes, keys })
  const folder = join(dataDir, 'audit')
  const search = createSearchThread({ dataDir, compressAfterMs }, { clock, log })
  const shippers = startShippers(settings, trail, ports)
  const stream = shippers.find((shipper) => shipper.sample().sink === STREAM)
  const needed: Parameters<typeof keepHouse>[1]['needed'] = (file) => shippers.some((shipper) => shipper.needs(file))
  const stopHousekeeping = keepHouse(settings, { folder, keys, clock, log, trail, needed })
  const limit = settings.stream?.refuseAfterMs ?? null
  const behind = (): boolean => limit !== null && stream !== undefined && stream.sample().lagSeconds * 1000 > limit
  const refused = (): Promise<never> => Promise.reject(streamBehind(limit ?? 0))
  return {
    ...trail,
    intent: (record) => (behind() ? refused() : trail.intent(record)),
    formed: (kind, texts) => (kind === 'intents' && behind() ? refused() : trail.formed(texts)),
    writable: () => !behind() && trail.writable(),
    search,
    lags: () => shippers.map((shipper) => shipper.sample()),
    async close() {
      await search.close()
      await trail.close()
      await stopHousekeeping()
      await Promise.all(shippers.map((shipper) => shipper.close()))
    },
  }
}

function startShippers({ sinks, stream }: AuditSettings, trail: FileAuditLog, ports: AuditPorts): Shipper[] {
  const start = (name: string, batch: number, sink: AuditSink): Shipper => {
    const cursorFile = join(ports.dataDir, 'audit-ship', `${name}.json`)
    return startShipper({ name, batch, cursorFile, folder: join(ports.dataDir, 'audit'), end: trail.end }, sink, ports)
  }
  const shippers = sinks.map((sink) => start(sink.name, sink.batch, openSink(sink, ports)))
  if (stream && ports.stream) shippers.push(start(STREAM, STREAM_BATCH, ports.stream))
  return shippers
}

function streamBehind(limitMs: number): GatewayError {
  return new GatewayError(
    'Overloaded',
    `The audit trail's stream in Redis is more than ${limitMs} ms behind (audit.stream.refuseAfter), and calls are not made meanwhile; see to what reads it.`,
    { retryAfter: 5000, rule: 'audit' },
  )
}
