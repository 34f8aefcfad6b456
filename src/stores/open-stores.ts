// Which store stands behind which port: Redis where it is configured, else the embedded one; memory for secrets that there is
// no key to seal with. app.ts and the command line both open their stores here.
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditSink } from '../model/audit-sink.ts'
import type {
  BreakerBoard,
  Clock,
  CooldownBoard,
  IdempotencyStore,
  KeyValueStore,
  Logger,
  Meter,
  RateStore,
  SecretStore,
} from '../model/ports.ts'
import type { RedisTarget } from '../model/redis-target.ts'
import { openEmbedded } from './embedded.ts'
import { createEmbeddedIdempotency } from './embedded-idempotency.ts'
import { createEmbeddedSecrets } from './embedded-secrets.ts'
import { createEmbeddedValues } from './embedded-values.ts'
import { createMemoryIdempotency } from './memory-idempotency.ts'
import { createMemorySecrets } from './memory-secrets.ts'
import { createMemoryValues } from './memory-values.ts'
import { openRedis } from './redis.ts'
import { type AuditStreamOptions, createRedisAuditStream } from './redis-audit-stream.ts'
import { createRedisBreakers } from './redis-breakers.ts'
import { createRedisCooldowns } from './redis-cooldowns.ts'
import { createRedisIdempotency } from './redis-idempotency.ts'
import { createRedisRates } from './redis-rates.ts'
import { createRedisSecrets } from './redis-secrets.ts'
import { createRedisValues } from './redis-values.ts'

export interface StoresOptions {
  /** null: the embedded store in `dataDir`. */
  readonly redis: RedisTarget | null
  /** Before every key in Redis, such as "sallyport:". */
  readonly prefix: string
  readonly dataDir: string
  /** False: there is no key, and secrets stay in memory, whatever the store. */
  readonly canSeal: boolean
}

export interface Stores {
  readonly kind: 'redis' | 'embedded'
  readonly secrets: SecretStore
  readonly values: KeyValueStore
  /** What replicas share of obtained tokens; in memory where there is no key to seal it with. */
  readonly tokens: KeyValueStore
  /** Cookie jars, likewise. */
  readonly sessions: KeyValueStore
  readonly idempotency: IdempotencyStore
  /** For adapters with `idempotency: local`. */
  readonly localIdempotency: IdempotencyStore
  /** Where replicas tell each other of their breakers; null: there are none. */
  readonly breakers: BreakerBoard | null
  /** Likewise of cool-downs. */
  readonly cooldowns: CooldownBoard | null
  /** Where replicas share their rates; null: there are none. */
  readonly rates: RateStore | null
  /** Where the audit trail is shipped to; null: there is none. */
  readonly auditStream: ((options: AuditStreamOptions) => AuditSink) | null
  healthy(): boolean
  close(): void
}

export interface StoresPorts {
  readonly clock: Clock
  readonly meter: Pick<Meter, 'storeHealthy' | 'storeAnswered'>
  readonly log: Logger
}

/** Of all cookie jars in memory together. */
const SESSION_CHARACTERS = 64 * 1024 * 1024

/** A connection takes a moment; one that is not there after this long is away, and says so to whoever asks it. */
const CONNECT_MS = 2000

/** Resolves as soon as the store answers, and after two seconds all the same. */
export async function untilConnected(stores: Pick<Stores, 'healthy'>): Promise<void> {
  const until = performance.now() + CONNECT_MS
  while (!stores.healthy() && performance.now() < until) await sleep(10)
}

/** Throws where the data folder cannot be used; a Redis that is away is waited for in the background. */
export function openStores(options: StoresOptions, ports: StoresPorts): Stores {
  const { clock, log } = ports
  const localIdempotency = createMemoryIdempotency({ clock })
  if (!options.canSeal)
    log.log('warn', 'no sealing key: secrets and sessions are kept in memory only and are gone after a restart', {
      key: 'store.keyFile',
    })
  const memory = options.canSeal ? null : createMemorySecrets()
  const memoryTokens = options.canSeal ? null : createMemoryValues(clock)
  const memorySessions = options.canSeal ? null : createMemoryValues(clock, { maxCharacters: SESSION_CHARACTERS })
  if (options.redis !== null) {
    const redis = openRedis({ target: options.redis, prefix: options.prefix }, ports)
    return {
      kind: 'redis',
      secrets: memory ?? createRedisSecrets(redis),
      values: createRedisValues(redis),
      tokens: memoryTokens ?? createRedisValues(redis),
      sessions: memorySessions ?? createRedisValues(redis),
      idempotency: createRedisIdempotency(redis),
      localIdempotency,
      breakers: createRedisBreakers(redis),
      cooldowns: createRedisCooldowns(redis),
      rates: createRedisRates(redis),
      auditStream: (stream) => createRedisAuditStream(redis, stream),
      healthy: redis.healthy,
      close: redis.close,
    }
  }
  const embedded = openEmbedded(options.dataDir, ports)
  return {
    kind: 'embedded',
    secrets: memory ?? createEmbeddedSecrets(embedded),
    values: createEmbeddedValues(embedded, clock),
    tokens: memoryTokens ?? createEmbeddedValues(embedded, clock),
    sessions: memorySessions ?? createEmbeddedValues(embedded, clock),
    idempotency: createEmbeddedIdempotency(embedded, clock),
    localIdempotency,
    breakers: null,
    cooldowns: null,
    rates: null,
    auditStream: null,
    healthy: embedded.healthy,
    close: embedded.close,
  }
}
