// An ioredis client for each kind of Redis, with every wait bounded and no queue of its own. Which option bounds what depends
// on the kind: the notes say what happens without each.
import { createRequire } from 'node:module'
import type { Cluster, Redis, RedisOptions } from 'ioredis'
import type { RedisLogin, RedisTarget, RedisTls } from '../model/redis-target.ts'

export interface RedisClock {
  /** The longest that a command waits for its answer, ms. */
  readonly commandTimeoutMs: number
  /** TCP and TLS of one connection, ms. */
  readonly connectTimeoutMs: number
  /** How long to wait before the next connection, ms. */
  readonly delay: () => number
}

export type RedisClient = Redis | Cluster

/** Loaded with the first client: a gateway without Redis should not wait for it. */
const ioredis = (): typeof import('ioredis') => createRequire(import.meta.url)('ioredis')

type Options = Omit<RedisOptions, 'replyMapping'>

/** A sentinel's answer, connecting to it included. */
const SENTINEL_TIMEOUT_MS = 1000

export function createRedisClient(target: RedisTarget, prefix: string, clock: RedisClock): RedisClient {
  const { Redis } = ioredis()
  switch (target.kind) {
    case 'single':
      return new Redis({
        ...connection(target.login, target.tls, clock),
        ...{ host: target.address.host, port: target.address.port, db: target.database },
        ...{ keyPrefix: prefix, enableOfflineQueue: false, retryStrategy: clock.delay },
      })
    case 'sentinel':
      return new Redis({
        ...connection(target.login, target.tls, clock),
        sentinels: target.sentinels.map((address) => ({ ...address })),
        name: target.master,
        db: target.database,
        ...{ keyPrefix: prefix, enableOfflineQueue: false, retryStrategy: clock.delay },
        // Without it `tls` would be for nothing: the primary that sentinels name is reached in plain TCP.
        enableTLSForSentinelMode: target.tls !== null,
        ...(target.sentinelTls === null ? {} : { sentinelTLS: tlsOptions(target.sentinelTls) }),
        sentinelUsername: target.sentinelLogin.username ?? '',
        sentinelPassword: target.sentinelLogin.password ?? '',
        // A frozen sentinel keeps its sockets open: without this nobody would ask the next one.
        sentinelCommandTimeout: SENTINEL_TIMEOUT_MS,
        // Must be a number: with anything else a round in which no sentinel answers is the last one.
        sentinelRetryStrategy: clock.delay,
        natMap: { ...target.natMap },
      })
    case 'cluster':
      return createCluster(target, prefix, clock)
    default:
      return target satisfies never
  }
}

/** What holds for each connection to a server that keeps data. */
function connection(login: RedisLogin, tls: RedisTls | null, clock: RedisClock): Options {
  return {
    ...(login.username === null ? {} : { username: login.username }),
    ...(login.password === null && login.username === null ? {} : { password: login.password ?? '' }),
    ...(tls === null ? {} : { tls: tlsOptions(tls) }),
    // Nothing is sent again when Redis is back: whoever asked has been told no.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: clock.commandTimeoutMs,
    // A frozen server keeps its sockets open: without this, commands would pile up behind one that never answers.
    socketTimeout: clock.commandTimeoutMs * 2,
    connectTimeout: clock.connectTimeoutMs,
    // A frozen server never closes its side: this long, and the socket is gone.
    disconnectTimeout: clock.commandTimeoutMs,
    // Commands go out at once and are told LOADING or READONLY by the server itself, so that the reason can be said; and no
    // right to INFO and CLIENT is needed.
    enableReadyCheck: false,
    disableClientInfo: true,
    // A primary that became a replica: connect anew, by name or by the sentinels' word, to whoever is primary now.
    reconnectOnError: (error) => /\bREADONLY\b/.test(error.message),
  }
}

function createCluster(target: Extract<RedisTarget, { kind: 'cluster' }>, prefix: string, clock: RedisClock): Cluster {
  const { Cluster } = ioredis()
  const cluster = new Cluster(
    target.seeds.map((address) => ({ ...address })),
    {
      redisOptions: connection(target.login, target.tls, clock),
      keyPrefix: prefix,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      clusterRetryStrategy: clock.delay,
      slotsRefreshTimeout: clock.commandTimeoutMs * 2,
      // These would keep commands for later, unbounded in number, and send them after whoever asked was told no.
      retryDelayOnFailover: 0,
      retryDelayOnClusterDown: 0,
      maxRedirections: 3,
      // A seed whose name does not resolve would keep the others from being asked; and certificates are for names.
      dnsLookup: (host, found) => found(null, host),
      natMap: { ...target.natMap },
    },
  )
  // ioredis awaits no answer to ASKING: on a node that is away its rejection would end the process.
  cluster.on('+node', (node: Redis) => {
    const asking = node.asking.bind(node)
    node.asking = () => asking().catch(() => 'OK')
  })
  return cluster
}

function tlsOptions({ ca, cert, key, serverName }: RedisTls): NonNullable<RedisOptions['tls']> {
  return {
    ...(ca === null ? {} : { ca }),
    ...(cert === null || key === null ? {} : { cert, key }),
    ...(serverName === null ? {} : { servername: serverName }),
  }
}
