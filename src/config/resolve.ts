// What a file wrote, completed: adapters from their defaults, keys of callers hashed. Pure but for hashing; judges nothing.
import { createHash } from 'node:crypto'
import type {
  AdapterPolicy,
  AuditPolicy,
  BreakerPolicy,
  LimitsPolicy,
  PoolPolicy,
  ProxyPolicy,
  RetryPolicy,
} from '../model/adapter-policy.ts'
import type { Grant, Quota } from '../model/caller.ts'
import { type AdapterWritten, BUILT_IN_BREAKER, BUILT_IN_RETRY, type DefaultsWritten } from './adapter-schema.ts'
import type { Config, ConfiguredCaller, ListenPems } from './config.ts'
import { type PemTexts, resolveRedis } from './redis-store.ts'
import type { Written } from './schema.ts'

type CallerWritten = Written['callers'][number]

/** What the file system adds: absolute paths and the text of CA bundles. */
export interface Surroundings {
  readonly dataDir: string
  readonly keyFile: string | null
  readonly auditKeyFile: string | null
  readonly checkpointFile: string | null
  readonly highWater: string
  /** What `workers: auto` comes to. */
  readonly cores: number
  readonly caBundles: ReadonlyMap<string, string>
  readonly listenPems: ListenPems | null
  readonly redisPems: PemTexts
}

export function resolveConfig(written: Written, surroundings: Surroundings): Config {
  const { listen, store, ceilings, metrics } = written
  return {
    listen: {
      host: listen.host,
      port: listen.port,
      descriptorBytes: listen.descriptorSize,
      headTimeoutMs: listen.headTimeout,
      bodyTimeoutMs: listen.bodyTimeout,
      keepAliveMs: listen.keepAlive,
      connections: listen.connections,
      drainMs: listen.drain,
      drainNoticeMs: Math.min(listen.drainNotice, listen.drain / 2),
      tls: listen.tls ? { asksClient: listen.tls.clientCa !== undefined, requiresClient: listen.tls.requireClientCert } : null,
    },
    listenPems: surroundings.listenPems,
    workers: written.workers === 'auto' ? surroundings.cores : written.workers,
    dataDir: surroundings.dataDir,
    dns: { servers: written.dns.servers },
    store: {
      redis: resolveRedis(store.redis, surroundings.redisPems),
      prefix: store.prefix.endsWith(':') ? store.prefix : `${store.prefix}:`,
      keyFile: surroundings.keyFile,
      key: store.key ?? null,
      installation: store.installation,
      highWater: surroundings.highWater,
      staleForMs: store.staleFor,
    },
    callers: written.callers.map(resolveCaller),
    ceilings: {
      timeout: {
        connectMs: ceilings.timeout.connect ?? ceilings.timeout.total,
        readMs: ceilings.timeout.read ?? ceilings.timeout.total,
        totalMs: ceilings.timeout.total,
      },
      maxRetries: ceilings.maxRetries,
      responseSize: ceilings.responseSize,
    },
    adapters: written.adapters.map((adapter) => resolveAdapter(adapter, written.defaults, written.idempotency.ttl)),
    caBundles: surroundings.caBundles,
    overload: {
      calls: written.overload.calls,
      eventLoopDelayMs: written.overload.eventLoopDelay,
      memory: written.overload.memory,
    },
    audit: resolveAudit(written.audit, surroundings),
    metrics: { public: metrics.public, listen: metrics.listen ?? null },
    log: written.log,
    sessions: { ttlMs: written.sessions.ttl },
    idempotency: { ttlMs: written.idempotency.ttl },
  }
}

function resolveAudit(written: Written['audit'], { auditKeyFile, checkpointFile, caBundles }: Surroundings): Config['audit'] {
  const { durability, key, fileSize, compressAfter, retention, checkpoint, stream } = written
  return {
    durability,
    keyFile: auditKeyFile,
    key: key ?? null,
    fileBytes: fileSize,
    compressAfterMs: compressAfter,
    retentionMs: retention,
    checkpoint: checkpoint && { everyMs: checkpoint.every, file: checkpointFile },
    sinks: written.sinks.map(({ type, name = type, url = '', headers, ca, batch }) =>
      type === 'stdout'
        ? { name, batch, type }
        : { name, batch, type, url, headers, ca: ca === undefined ? null : (caBundles.get(ca) ?? null) },
    ),
    stream: stream && { maxRecords: stream.maxRecords, group: stream.group, refuseAfterMs: stream.refuseAfter },
  }
}

/** SHA-256, lower-case hexadecimal. */
export function hashKey(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}

function resolveCaller(written: CallerWritten): ConfiguredCaller {
  const { name, admin, may, keys, jwt, certificates, quota, priority, observe } = written
  return {
    caller: {
      ...{ name, admin, may: may.map(resolveGrant) },
      ...(quota && { quota: resolveQuota(quota) }),
      ...(priority !== 'normal' && { priority }),
      ...(observe && { observe }),
    },
    keyHashes: keys.map((key) => (typeof key === 'string' ? hashKey(key) : key.sha256.toLowerCase())),
    jwt: jwt === undefined ? null : { ...jwt, claims: Object.entries(jwt.claims) },
    certificates: certificates.map(({ san, subject, sha256 }) => ({
      ...(san !== undefined && { san }),
      ...(subject !== undefined && { subject }),
      ...(sha256 !== undefined && { sha256 }),
    })),
  }
}

function resolveGrant({ adapter, methods, paths, secrets }: CallerWritten['may'][number]): Grant {
  return { adapter, methods: methods ?? null, paths: paths ?? null, ...(secrets && { secrets }) }
}

function resolveQuota({ rate, burst, concurrency }: NonNullable<CallerWritten['quota']>): Quota {
  return { rate: rate === undefined ? null : { ...rate, burst: burst ?? rate.count }, concurrency: concurrency ?? null }
}

export function resolveAdapter(own: AdapterWritten, defaults: DefaultsWritten, idempotencyTtlMs: number): AdapterPolicy {
  const timeout = { ...defaults.timeout, ...own.timeout }
  const pool = resolvePool(own, defaults)
  return {
    name: own.name,
    mount: own.mount,
    methods: own.methods ?? null,
    paths: own.paths ?? null,
    ...resolveCredentials(own.credentials),
    headers: own.headers,
    params: own.params,
    cookies: own.cookies,
    timeout: { connectMs: timeout.connect, readMs: timeout.read, totalMs: timeout.total },
    retry: resolveRetry(own, defaults),
    breaker: resolveBreaker(own, defaults),
    limits: resolveLimits(own, defaults, pool),
    pool,
    tls: { ...own.tls, ca: own.tls.ca ?? defaults.tls.ca ?? null, cert: own.tls.cert ?? null },
    proxy: resolveProxy(own.proxy === undefined ? defaults.proxy : own.proxy),
    egress: { ...own.egress, ports: own.egress.ports ?? null },
    redirects: resolveRedirects(own, defaults),
    responseSize: own.responseSize ?? defaults.responseSize,
    allowHostHeader: own.allowHostHeader,
    allowPlaintextSecrets: own.allowPlaintextSecrets,
    propagate: own.propagate ?? defaults.propagate,
    timeoutHeader: own.timeoutHeader ?? null,
    idempotencyHeader: own.idempotencyHeader ?? defaults.idempotencyHeader,
    idempotency: own.idempotency ?? defaults.idempotency,
    idempotencyTtlMs: own.idempotencyTtl ?? idempotencyTtlMs,
    sessions: own.sessions ?? defaults.sessions,
    tunnel: own.tunnel,
    audit: resolveBodies(own, defaults),
  }
}

function resolveCredentials(credentials: AdapterWritten['credentials']): Pick<AdapterPolicy, 'credentials' | 'placement'> {
  if (typeof credentials !== 'object') return { credentials: credentials ?? null, placement: null }
  const { secret, path = null, ...places } = credentials
  return { credentials: secret, placement: { path, ...places } }
}

function resolveRetry(own: AdapterWritten, defaults: DefaultsWritten): RetryPolicy {
  const base = defaults.retry ?? { ...BUILT_IN_RETRY.parse({}), total: 0 }
  const retry = own.retry === null ? { ...base, total: 0 } : { ...base, ...own.retry }
  return {
    total: retry.total,
    connect: retry.connect ?? null,
    read: retry.read ?? null,
    status: retry.status ?? null,
    statusForcelist: retry.statusForcelist,
    allowedMethods: retry.allowedMethods,
    backoffFactorMs: retry.backoffFactor,
    backoffMaxMs: retry.backoffMax,
    respectRetryAfterHeader: retry.respectRetryAfterHeader,
    retryAfterMaxMs: retry.retryAfterMax,
    raiseOnStatus: retry.raiseOnStatus,
    budget: retry.budget,
  }
}

/** Every 5xx but 501: a server that does not know a method is not sick. */
const SERVER_FAILURES: readonly number[] = Array.from({ length: 100 }, (_, i) => 500 + i).filter((status) => status !== 501)

function resolveBreaker(own: AdapterWritten, defaults: DefaultsWritten): BreakerPolicy | null {
  if (own.breaker === null || (own.breaker === undefined && defaults.breaker === null)) return null
  const breaker = { ...(defaults.breaker ?? BUILT_IN_BREAKER.parse({})), ...own.breaker }
  return {
    errorRate: breaker.errorRate,
    volume: breaker.volume,
    windowMs: breaker.window,
    openForMs: breaker.openFor,
    probes: breaker.probes,
    statuses: breaker.statuses ?? SERVER_FAILURES,
    slowMs: breaker.slow ?? null,
    rampMs: breaker.ramp,
  }
}

function resolvePool(own: AdapterWritten, defaults: DefaultsWritten): PoolPolicy {
  const { connections, idle, http2 } = { ...defaults.pool, ...own.pool }
  return { connections, idleMs: idle, http2 }
}

function resolveLimits(own: AdapterWritten, defaults: DefaultsWritten, pool: PoolPolicy): LimitsPolicy {
  const limits = { ...defaults.limits, ...own.limits }
  const { rateBy, whenSpent, mode, cooldown } = limits
  const concurrency = limits.concurrency ?? pool.connections
  const rate = limits.rate ?? null
  // A burst that `defaults` gives lowers whatever rate an adapter has; it never raises it.
  const burst = Math.min(limits.burst ?? Number.POSITIVE_INFINITY, rate?.count ?? 0)
  const queue = limits.queue ?? concurrency * 2
  return { concurrency, queue, rate: rate === null ? null : { ...rate, burst }, rateBy, whenSpent, mode, cooldown }
}

function resolveBodies(own: AdapterWritten, defaults: DefaultsWritten): AuditPolicy {
  const { bodies, bodySize, contentTypes, redact } = { ...defaults.audit, ...own.audit }
  return { bodies, bodyBytes: bodySize, contentTypes: contentTypes.map((type) => type.toLowerCase()), redact }
}

function resolveProxy(proxy: AdapterWritten['proxy']): ProxyPolicy | null {
  if (!proxy) return null
  return { url: proxy.url, credentials: proxy.credentials ?? null, resolve: proxy.resolve }
}

function resolveRedirects(own: AdapterWritten, defaults: DefaultsWritten): AdapterPolicy['redirects'] {
  const { follow, drop = [] } = { drop: [], ...defaults.redirects, ...own.redirects }
  return { follow, drop }
}
