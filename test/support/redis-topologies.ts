// Every other way to run Redis, with real servers on loopback: TLS, an ACL user, Sentinel, Cluster. Each stops all it started.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type {
  ClusterRedis,
  RedisAddress,
  RedisLogin,
  RedisTls,
  SentinelRedis,
  SingleRedis,
} from '../../src/model/redis-target.ts'
import { type Certificate, certificates } from './certificates.ts'
import { startRedis, type TestRedis, type TestRedisOptions } from './redis.ts'
import { until } from './wire.ts'

const HOST = '127.0.0.1'
const NO_LOGIN: RedisLogin = { username: null, password: null }
const at = ({ port }: { readonly port: number }): RedisAddress => ({ host: HOST, port })
const READY_WITHIN_MS = 20_000

/** PEM texts as the configuration would have read them. */
export function redisTls(over: Partial<RedisTls> = {}): RedisTls {
  return { ca: certificates().ca, cert: null, key: null, serverName: null, ...over }
}

/** The target of one server, with what `over` says otherwise. */
export function singleTarget(server: { readonly port: number }, over: Partial<SingleRedis> = {}): SingleRedis {
  return { kind: 'single', address: at(server), database: 0, login: NO_LOGIN, tls: null, ...over }
}

export interface TlsRedisOptions {
  /** What the server shows. Default: the good one. */
  readonly shows?: Certificate
  /** It wants a certificate of the client. Default false. */
  readonly wantsCertificate?: boolean
}

/** Speaks TLS on its port, and nothing else. */
export function startTlsRedis({
  shows = certificates().good,
  wantsCertificate = false,
}: TlsRedisOptions = {}): Promise<TestRedis> {
  const { ca, client } = certificates()
  return startRedis({
    access: { tls: { ca, cert: client.cert, key: client.key } },
    args: ({ port, dir }) => tlsArguments(port, dir, { shows, wantsCertificate }),
  })
}

function tlsArguments(port: number, dir: string, { shows, wantsCertificate }: Required<TlsRedisOptions>): string[] {
  const path = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text)
    return join(dir, name)
  }
  return [
    ...['--port', '0', '--tls-port', `${port}`, '--tls-auth-clients', wantsCertificate ? 'yes' : 'no'],
    ...['--tls-ca-cert-file', path('ca', certificates().ca), '--tls-cert-file', path('cert', shows.cert)],
    ...['--tls-key-file', path('key', shows.key)],
  ]
}

/** Starts servers one at a time, and stops all of them. */
function createFleet(): { start(options: TestRedisOptions): Promise<TestRedis>; stop(): Promise<void> } {
  const starting: Promise<TestRedis>[] = []
  return {
    start(options) {
      const server = startRedis(options)
      starting.push(server)
      return server
    },
    async stop() {
      await Promise.all(
        starting.map((server) =>
          server.then(
            (started) => started.stop(),
            () => {},
          ),
        ),
      )
    },
  }
}

export interface SentinelSetOptions {
  /** ACL rules of a user of the servers, its name first; absent: none. */
  readonly acl?: readonly string[]
  /** Password of the sentinels' own default user. */
  readonly sentinelPassword?: string
  /** Servers and sentinels speak TLS alone. */
  readonly tls?: boolean
}

export interface SentinelSet {
  readonly servers: readonly TestRedis[]
  readonly sentinels: readonly TestRedis[]
  target(over?: Partial<SentinelRedis>): SentinelRedis
  /** The server that all sentinels call the primary. */
  primary(): Promise<TestRedis>
  stop(): Promise<void>
}

export const MASTER = 'the-primary'

/** One primary, two replicas, three sentinels that give a server up after 500 ms. */
export async function startSentinelSet({ acl, sentinelPassword, tls = false }: SentinelSetOptions = {}): Promise<SentinelSet> {
  const fleet = createFleet()
  const access: NonNullable<TestRedisOptions['access']> = tls ? { tls: { ca: certificates().ca } } : {}
  const secured = (port: number, dir: string): string[] =>
    tls ? [...tlsArguments(port, dir, { shows: certificates().good, wantsCertificate: false }), '--tls-replication', 'yes'] : []
  const startServer = (primary: TestRedis | null): Promise<TestRedis> =>
    fleet.start({
      access,
      args: ({ port, dir }) => [
        ...['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1', ...secured(port, dir)],
        ...(acl ? ['--user', ...acl] : []),
        ...(primary ? ['--replicaof', `${HOST} ${primary.port}`] : []),
      ],
    })
  const startSentinel = (primary: TestRedis): Promise<TestRedis> =>
    fleet.start({
      access: { ...access, ...(sentinelPassword === undefined ? {} : { password: sentinelPassword }) },
      args: ({ port, dir }) => ['--sentinel', ...secured(port, dir)],
      config: [
        `sentinel monitor ${MASTER} ${HOST} ${primary.port} 2`,
        `sentinel down-after-milliseconds ${MASTER} 500`,
        `sentinel failover-timeout ${MASTER} 2000`,
        ...(sentinelPassword === undefined ? [] : [`requirepass ${sentinelPassword}`]),
        ...(sentinelPassword === undefined ? [] : [`sentinel sentinel-pass ${sentinelPassword}`]),
      ],
    })
  try {
    const first = await startServer(null)
    const servers = [first, ...(await Promise.all([startServer(first), startServer(first)]))]
    const sentinels = await Promise.all([startSentinel(first), startSentinel(first), startSentinel(first)])
    await until('the sentinels agree', async () => (await Promise.all(sentinels.map(knowsAll))).every(Boolean), READY_WITHIN_MS)
    return {
      servers,
      sentinels,
      target: (over = {}) => ({
        ...{ kind: 'sentinel', sentinels: sentinels.map(at), master: MASTER, database: 0, natMap: {} },
        ...{ login: NO_LOGIN, tls: tls ? redisTls() : null, sentinelTls: tls ? redisTls() : null },
        sentinelLogin: { username: null, password: sentinelPassword ?? null },
        ...over,
      }),
      async primary() {
        let named: (string | undefined)[] = []
        await until('the sentinels name the same', async () => {
          const told = await Promise.all(sentinels.map((one) => one.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER)))
          named = told.map((address) => (address as string[])[1])
          return new Set(named).size === 1
        }, READY_WITHIN_MS) // biome-ignore format: one call
        const found = servers.find((server) => server.port === Number(named[0]))
        if (!found) throw new Error(`the sentinels name a stranger: ${named}`)
        return found
      },
      stop: fleet.stop,
    }
  } catch (error) {
    await fleet.stop()
    throw error
  }
}

/** It sees the other two sentinels and both replicas. */
async function knowsAll(sentinel: TestRedis): Promise<boolean> {
  const facts = (await sentinel.command('SENTINEL', 'MASTER', MASTER)) as string[] | Record<string, string>
  const flat = Array.isArray(facts) ? facts : Object.entries(facts).flat()
  const read = (name: string): string | undefined => flat[flat.indexOf(name) + 1]
  return read('num-other-sentinels') === '2' && read('num-slaves') === '2'
}

export interface ClusterSetOptions {
  /** ACL rules of a user of every node, its name first; absent: none. */
  readonly acl?: readonly string[]
  /** Indexes of the primaries that get a replica. */
  readonly replicasOf?: readonly number[]
}

export interface ClusterSet {
  /** Three primaries with the slots 0-5460, 5461-10922 and 10923-16383, behind them the replicas. */
  readonly servers: readonly TestRedis[]
  target(over?: Partial<ClusterRedis>): ClusterRedis
  stop(): Promise<void>
}

/** What docs/redis.md tells operators to give the gateway's user: name and rules, for these keys, with the password `pw`. */
export function documentedAcl({
  prefix = 'sallyport:',
  more = [],
}: {
  readonly prefix?: string
  readonly more?: readonly string[]
} = {}): readonly string[] {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'redis.md'), 'utf8')
  const line = /^user (sallyport on >PASSWORD ~sallyport:\* .*)$/m.exec(text)?.[1] ?? ''
  return [...line.replace('>PASSWORD', '>pw').replace('~sallyport:', `~${prefix}`).split(' '), ...more]
}

export const ACL_LOGIN: RedisLogin = { username: 'sallyport', password: 'pw' }

const SLOTS = [[0, 5460], [5461, 10_922], [10_923, 16_383]] as const // biome-ignore format: one line

/** Nodes give one another up after 600 ms. */
export async function startCluster({ acl, replicasOf = [] }: ClusterSetOptions = {}): Promise<ClusterSet> {
  const fleet = createFleet()
  const startNode = (): Promise<TestRedis> =>
    fleet.start({
      args: [
        ...['--cluster-enabled', 'yes', '--cluster-node-timeout', '600'],
        ...['--repl-diskless-sync-delay', '0', ...(acl ? ['--user', ...acl] : [])],
      ],
    })
  try {
    const servers = await Promise.all(Array.from({ length: 3 + replicasOf.length }, startNode))
    const [first, ...others] = servers
    for (const server of others) await first?.command('CLUSTER', 'MEET', HOST, server.port)
    for (const [index, slots] of SLOTS.entries()) {
      await servers[index]?.command('CLUSTER', 'SET-CONFIG-EPOCH', index + 1).catch(() => {})
      await servers[index]?.command('CLUSTER', 'ADDSLOTSRANGE', ...slots)
    }
    await until('the nodes know one another', () => agree(servers, 'cluster_known_nodes', servers.length), READY_WITHIN_MS)
    for (const [index, primary] of replicasOf.entries()) {
      const id = String(await servers[primary]?.command('CLUSTER', 'MYID'))
      await servers[3 + index]?.command('CLUSTER', 'REPLICATE', id)
    }
    await until('the cluster is up', () => agree(servers, 'cluster_state', 'ok'), READY_WITHIN_MS)
    await until('each replica has its data', () => inSync(servers.slice(3)), READY_WITHIN_MS)
    return {
      servers,
      target: (over = {}) => ({ kind: 'cluster', seeds: servers.map(at), login: NO_LOGIN, tls: null, natMap: {}, ...over }),
      stop: fleet.stop,
    }
  } catch (error) {
    await fleet.stop()
    throw error
  }
}

async function agree(servers: readonly TestRedis[], fact: string, value: string | number): Promise<boolean> {
  const told = await Promise.all(servers.map((server) => server.command('CLUSTER', 'INFO')))
  return told.every((info) => String(info).includes(`${fact}:${value}\r\n`))
}

async function inSync(replicas: readonly TestRedis[]): Promise<boolean> {
  const told = await Promise.all(replicas.map((server) => server.command('INFO', 'replication')))
  return told.every((info) => String(info).includes('master_link_status:up'))
}
