// Sentinel, Cluster, TLS and ACL users when something is wrong: real servers that die, freeze, move and forbid. That the stores
// work on each of them when all is well: every-store.test.ts.
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { systemClock as clock } from '../../../src/installation.ts'
import type { RedisTarget } from '../../../src/model/redis-target.ts'
import { openRedis, type RedisConnection } from '../../../src/stores/redis.ts'
import { createRedisValues } from '../../../src/stores/redis-values.ts'
import { startFaultProxy } from '../../lab/fault-proxy.ts'
import { aMeter } from '../../support/builders.ts'
import { type Certificates, certificates } from '../../support/certificates.ts'
import { startRedis, type TestRedis } from '../../support/redis.ts'
import {
  ACL_LOGIN,
  documentedAcl,
  redisTls,
  type SentinelSet,
  singleTarget,
  startCluster,
  startSentinelSet,
  startTlsRedis,
} from '../../support/redis-topologies.ts'
import { pause, until } from '../../support/wire.ts'

const COMMAND_TIMEOUT_MS = 200
/** What a loaded machine may add. */
const SLACK_MS = 500
const FAILOVER_MS = 15_000

const closers: (() => void | Promise<void>)[] = []
after(async () => {
  for (const close of closers.reverse()) await close()
})

interface Connected {
  readonly redis: RedisConnection
  /** Event and reason of each log line. */
  readonly lines: readonly string[]
  /** What the metric was told. */
  states(): unknown[]
  /** So that they are not what grows. */
  forgetDeeds(): void
}

function connectTo(target: RedisTarget, { prefix = 'sallyport:', commandTimeoutMs = COMMAND_TIMEOUT_MS } = {}): Connected {
  const meter = aMeter()
  const lines: string[] = []
  const log = {
    log: (_level: string, event: string, fields?: Readonly<Record<string, unknown>>) =>
      void lines.push([event, fields?.because].filter(Boolean).join(': ')),
  }
  const redis = openRedis({ target, prefix, commandTimeoutMs, connectTimeoutMs: 500 }, { clock, meter, log })
  closers.push(() => redis.close())
  const forgetDeeds = (): void => void meter.deeds.splice(0)
  return {
    redis,
    lines,
    forgetDeeds,
    states: () => meter.deeds.filter(([name]) => name === 'storeHealthy').map((deed) => deed[2]),
  }
}

const isWell = ({ redis }: Connected, withinMs = 10_000): Promise<void> => until('Redis is used', redis.healthy, withinMs)

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function heldBytes(): number {
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

let written = 0
/** Writes a key that nobody wrote before. */
const write = ({ redis }: Connected): Promise<boolean> => {
  written += 1
  return createRedisValues(redis).put(`k${written}`, 'v', { ttlMs: 60_000, ifVersion: null })
}

/** Calls without a pause until one is taken. Fails if one waited longer than its time limit, or ended as anything but Overloaded. */
async function untilTaken(connected: Connected, withinMs = FAILOVER_MS): Promise<void> {
  const end = performance.now() + withinMs
  for (;;) {
    const began = performance.now()
    const taken = await write(connected).catch((error: unknown) => {
      assert.ok(error instanceof GatewayError && error.type === 'Overloaded', String(error))
      return false
    })
    assert.ok(performance.now() - began < COMMAND_TIMEOUT_MS + SLACK_MS, 'a command waited longer than its time limit')
    if (taken) return
    assert.ok(performance.now() < end, `not taken within ${withinMs} ms: ${connected.lines.join('\n')}`)
    await pause(5)
  }
}

async function refusal(connected: Connected): Promise<string> {
  const began = performance.now()
  const error: unknown = await write(connected).then(
    () => null,
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof GatewayError && error.type === 'Overloaded', String(error))
  assert.ok(performance.now() - began < COMMAND_TIMEOUT_MS + SLACK_MS)
  return error.message
}

/** Waits for the one line that says why it is away, and that a call is told the same. */
async function saysWhy(connected: Connected, why: RegExp): Promise<void> {
  await until('the log says why', () => connected.lines.length > 0, 5000)
  assert.equal(connected.lines.length, 1)
  assert.match(connected.lines[0] ?? '', why)
  assert.match(await refusal(connected), why)
  assert.doesNotMatch(connected.lines.join(), /canary/)
  assert.deepEqual(connected.states(), [false])
}

async function started<T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> {
  const it = await starting
  closers.push(() => it.stop())
  return it
}

describe('Sentinel', { concurrency: 4 }, () => {
  const setOf = (options?: Parameters<typeof startSentinelSet>[0]): Promise<SentinelSet> => started(startSentinelSet(options))

  test('a primary that dies, then one that falls silent: the next one is used without help, told once each way', async () => {
    const set = await setOf()
    const connected = connectTo(set.target())
    await isWell(connected)
    await (await set.primary()).kill()
    await untilTaken(connected)
    await isWell(connected)
    assert.deepEqual(connected.states(), [true, false, true])
    const silent = await set.primary()
    silent.pause()
    await until('it is seen', () => !connected.redis.healthy(), 3000)
    await untilTaken(connected)
    await isWell(connected)
    assert.notEqual((await set.primary()).port, silent.port)
    silent.resume()
    await pause(300)
    assert.deepEqual(connected.states(), [true, false, true, false, true])
    assert.equal(connected.lines.filter((line) => line.startsWith('store away')).length, 2, connected.lines.join('\n'))
    assert.equal(connected.lines.filter((line) => line === 'store connected').length, 3)
  })

  test('the sentinels are the ones that are away: what is connected stays; who comes is told, and gets in when one is back', async () => {
    const set = await setOf()
    const before = connectTo(set.target())
    await isWell(before)
    const [first, ...others] = set.sentinels
    for (const sentinel of others) await sentinel.kill()
    first?.pause()
    assert.equal(await write(before), true)
    const late = connectTo(set.target())
    await saysWhy(late, /has no sentinel that answers/)
    first?.resume()
    await isWell(late)
    assert.equal(await write(before), true)
  })

  test('sentinels that refuse us, and ones that do not know the name', async () => {
    const set = await setOf({ sentinelPassword: 'spw' })
    const login = (password: string | null) => ({ sentinelLogin: { username: null, password } })
    await saysWhy(
      connectTo(set.target(login('canary'))),
      /sentinels that refuse our user or password; set store\.redis\.sentinelPassword/,
    )
    await saysWhy(connectTo(set.target(login(null))), /sentinels that refuse our user or password/)
    await saysWhy(
      connectTo(set.target({ master: 'nobody' })),
      /not known to its sentinels under that name; set store\.redis\.master/,
    )
    await isWell(connectTo(set.target()))
  })

  test('one sentinel that names a replica does not keep the others from being asked', async () => {
    const set = await setOf()
    const primary = await set.primary()
    const replica = set.servers.find((server) => server !== primary)
    const liar = await started(
      startRedis({ args: ['--sentinel'], config: [`sentinel monitor the-primary 127.0.0.1 ${replica?.port} 9`] }),
    )
    const target = set.target()
    const connected = connectTo({ ...target, sentinels: [{ host: '127.0.0.1', port: liar.port }, ...target.sentinels] })
    await untilTaken(connected)
  })
})

describe('behind a NAT', { concurrency: 2 }, () => {
  test('the primary that sentinels name is reached where natMap says', async () => {
    const set = await started(startSentinelSet())
    const primary = await set.primary()
    const proxy = await startFaultProxy(primary)
    closers.push(() => proxy.close())
    await isWell(connectTo(set.target({ natMap: { [`127.0.0.1:${primary.port}`]: { host: '127.0.0.1', port: proxy.port } } })))
    assert.ok(proxy.accepted > 0)
  })

  test('so are the nodes that a cluster tells', async () => {
    const set = await started(startCluster())
    const proxies = await Promise.all(set.servers.map((server) => startFaultProxy(server)))
    for (const proxy of proxies) closers.push(() => proxy.close())
    const reached = proxies.map(({ port }) => ({ host: '127.0.0.1', port }))
    const natMap = Object.fromEntries(
      set.servers.map(({ port }, i) => [`127.0.0.1:${port}`, reached[i] ?? { host: '', port: 0 }]),
    )
    const connected = connectTo(set.target({ seeds: reached.slice(0, 1), natMap }), { prefix: '{sallyport}:' })
    await isWell(connected)
    assert.equal(await write(connected), true)
    assert.ok((proxies[1]?.accepted ?? 0) > 0, 'the owner of our slot, which is no seed')
  })
})

describe('a replica', () => {
  test('named by its URL says that it is one, and is used when it is promoted', async () => {
    const primary = await started(startRedis())
    const replica = await started(startRedis({ args: ['--replicaof', `127.0.0.1 ${primary.port}`] }))
    const connected = connectTo(replica.target)
    await saysWhy(connected, /is a read-only replica; name the primary in store\.redis, or its sentinels/)
    await replica.command('REPLICAOF', 'NO', 'ONE')
    await isWell(connected)
    assert.deepEqual(connected.states(), [false, true])
  })
})

describe('Cluster', { concurrency: 3 }, () => {
  const prefix = '{sallyport}:'
  const ownerOf = async (servers: readonly TestRedis[]): Promise<{ owner: number; slot: number }> => {
    const slot = Number(await servers[0]?.command('CLUSTER', 'KEYSLOT', prefix))
    return { slot, owner: slot <= 5460 ? 0 : slot <= 10_922 ? 1 : 2 }
  }
  const OWNER = 1

  test('the owner of our slot dies: its replica is used without help; another node may die unnoticed', async () => {
    const set = await started(startCluster({ replicasOf: [OWNER] }))
    assert.equal((await ownerOf(set.servers)).owner, OWNER, 'the replica stands behind the owner')
    const connected = connectTo(set.target(), { prefix })
    await isWell(connected)
    await set.servers[OWNER]?.kill()
    await until('it is seen', () => !connected.redis.healthy(), 3000)
    await untilTaken(connected)
    await isWell(connected)
    assert.deepEqual(connected.states(), [true, false, true])
    assert.equal(connected.lines.length, 3, connected.lines.join('\n'))
  })

  test('the owner of our slot falls silent: its replica is used without help', async () => {
    const set = await started(startCluster({ replicasOf: [OWNER] }))
    const connected = connectTo(set.target(), { prefix })
    await isWell(connected)
    set.servers[OWNER]?.pause()
    await until('it is seen', () => !connected.redis.healthy(), 3000)
    await untilTaken(connected)
    await isWell(connected)
    set.servers[OWNER]?.resume()
    await pause(300)
    assert.deepEqual(connected.states(), [true, false, true])
  })

  test('our slot moves to another node: calls follow it; a node that is asked and does not answer ends no process', async () => {
    const set = await started(startCluster())
    const { slot } = await ownerOf(set.servers)
    const [to, from] = set.servers
    const connected = connectTo(set.target(), { prefix })
    await isWell(connected)
    assert.equal(await write(connected), true)
    const ids = { to: String(await to?.command('CLUSTER', 'MYID')), from: String(await from?.command('CLUSTER', 'MYID')) }
    await to?.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', ids.from)
    await from?.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', ids.to)
    assert.equal(await write(connected), true, 'a new key is asked for at the other node')
    to?.pause()
    await refusal(connected)
    await pause(COMMAND_TIMEOUT_MS * 3)
    to?.resume()
    await isWell(connected)
    for (const server of set.servers) {
      await until('it knows the new owner', async () => {
        await server.command('CLUSTER', 'SETSLOT', slot, 'NODE', ids.to).catch(() => {})
        return true
      })
    }
    await untilTaken(connected)
  })

  test('a cluster that is down says so; one whose nodes are all away is found again', async () => {
    const set = await started(startCluster())
    const connected = connectTo(set.target(), { prefix })
    await isWell(connected)
    await set.servers[0]?.kill()
    await set.servers[2]?.kill()
    await until('the owner gave up', () => !connected.redis.healthy(), 10_000)
    assert.match(await refusal(connected), /is a cluster that is down or does not serve every slot|is not connected/)
    await set.servers[OWNER]?.kill()
    await until('nobody is left', async () => /refuses connections|is not connected/.test(await refusal(connected)), 5000)
    await Promise.all(set.servers.map((server) => server.restart()))
    await isWell(connected, FAILOVER_MS)
    assert.equal(connected.lines.filter((line) => line.startsWith('store away')).length, 1, connected.lines.join('\n'))
  })

  test('a seed that does not resolve and one that is dead keep nobody from the third', async () => {
    const set = await started(startCluster())
    const seeds = [{ host: 'nowhere.invalid', port: 6379 }, { host: '127.0.0.1', port: 1 }, ...set.target().seeds.slice(0, 1)]
    const connected = connectTo(set.target({ seeds }), { prefix })
    await untilTaken(connected)
  })

  test('a node named by its URL says what to write instead', async () => {
    const set = await started(startCluster())
    const connected = connectTo(singleTarget(set.servers[0] ?? { port: 0 }))
    // Two thirds of all keys are elsewhere.
    const isTold = async (): Promise<boolean> =>
      /is a node of a cluster; list its nodes under store\.redis\.cluster/.test(
        await write(connected).then(String, (error: Error) => error.message),
      )
    await until('a call is told', isTold)
  })
})

// Apart from the others, which run side by side and would be measured too.
test('a burst at a silent node of a cluster, then 10,000 commands while all are dead: memory stays flat', async () => {
  const set = await started(startCluster())
  const connected = connectTo(set.target(), { prefix: '{sallyport}:' })
  await isWell(connected)
  const put = (): Promise<unknown> => write(connected).catch(() => {})
  const before = heldBytes()
  const assertFlat = (when: string): void => {
    connected.forgetDeeds()
    const grown = heldBytes() - before
    assert.ok(grown < 5 * 1024 * 1024, `${grown} bytes more, ${when}`)
  }
  set.servers[1]?.pause()
  await Promise.all(Array.from({ length: 5000 }, put))
  await until('it is seen', () => !connected.redis.healthy(), 3000)
  await pause(COMMAND_TIMEOUT_MS * 3)
  assertFlat('after the burst')
  await Promise.all(set.servers.map((server) => server.kill()))
  for (let i = 0; i < 10_000; i++) await put()
  assertFlat('dead')
})

describe('TLS', () => {
  const SHOWN: readonly (readonly [shows: keyof Omit<Certificates, 'ca' | 'strangeCa'>, why: RegExp])[] = [
    ['unknownIssuer', /shows a certificate that nobody we trust has signed; give its CA in store\.redis\.tls\.ca/],
    ['selfSigned', /shows a certificate that nobody we trust has signed/],
    ['expired', /shows a certificate that has expired/],
    ['notYetValid', /shows a certificate that is not yet valid/],
    ['wrongHost', /shows a certificate for another name/],
  ]
  for (const [shows, why] of SHOWN)
    test(`a certificate that is ${shows} is refused, and is said to be what is wrong`, async () => {
      const server = await started(startTlsRedis({ shows: certificates()[shows] }))
      await saysWhy(connectTo(singleTarget(server, { tls: redisTls() })), why)
    })

  test('a certificate for another name is taken where that name is said', async () => {
    const server = await started(startTlsRedis({ shows: certificates().wrongHost }))
    await isWell(connectTo(singleTarget(server, { tls: redisTls({ serverName: 'elsewhere.invalid' }) })))
  })

  test('without the private authority the good one is refused too', async () => {
    const server = await started(startTlsRedis())
    await saysWhy(connectTo(singleTarget(server, { tls: redisTls({ ca: null }) })), /nobody we trust has signed/)
  })

  test('a server that wants a certificate of ours says so, and takes the right one', async () => {
    const server = await started(startTlsRedis({ wantsCertificate: true }))
    await saysWhy(connectTo(singleTarget(server, { tls: redisTls() })), /wants a client certificate, or another one/)
    const { client, unknownIssuer } = certificates()
    await saysWhy(
      connectTo(singleTarget(server, { tls: redisTls({ ...unknownIssuer }) })),
      /wants a client certificate, or another one/,
    )
    await isWell(connectTo(singleTarget(server, { tls: redisTls({ ...client }) })))
  })

  test('TLS to a port without, and the other way round', async () => {
    const plain = await started(startRedis())
    await saysWhy(
      connectTo(singleTarget(plain, { tls: redisTls() })),
      /fails in TLS; it may not speak TLS on that port|does not answer in time/,
    )
    const secured = await started(startTlsRedis())
    await saysWhy(connectTo(singleTarget(secured)), /answers something that is not Redis|is not connected/)
  })
})

describe('an ACL user', () => {
  const MISSING = /does not permit our user what Sallyport needs; give that user the rights that docs\/redis\.md lists/

  test('each right of the documented line is needed, and one that is missing shows without a call', async () => {
    const server = await started(startRedis({ args: ['--user', ...documentedAcl()] }))
    const target = singleTarget(server, { login: ACL_LOGIN })
    const rights = documentedAcl().filter((rule) => rule.startsWith('+'))
    assert.ok(rights.length > 5)
    await isWell(connectTo(target))
    for (const right of rights) {
      await server.command('ACL', 'SETUSER', 'sallyport', right.replace('+', '-'))
      const connected = connectTo(target)
      const isTold = (): boolean => connected.lines.some((line) => MISSING.test(line))
      // EVALSHA is for a script that the connection has sent before.
      await until(`without ${right} it is away`, isTold, 3000)
      connected.redis.close()
      await server.command('ACL', 'SETUSER', 'sallyport', right)
    }
    await server.command('ACL', 'SETUSER', 'sallyport', 'resetkeys', '~other:*')
    await saysWhy(connectTo(target), MISSING)
  })

  test('without the right to its database nothing is written to another', async () => {
    const server = await started(startRedis({ args: ['--user', ...documentedAcl()] }))
    const connected = connectTo(singleTarget(server, { login: ACL_LOGIN, database: 5 }))
    await saysWhy(connected, MISSING)
    for (let i = 0; i < 50; i++) {
      await refusal(connected)
      await pause(5)
    }
    assert.equal(await server.command('DBSIZE'), 0)
    await server.command('ACL', 'SETUSER', 'sallyport', '+select')
    await isWell(connected)
    assert.equal(await server.command('DBSIZE'), 0)
    await saysWhy(connectTo(singleTarget(server, { database: 999 })), /has no database of that number/)
  })

  test('a password that is changed while the gateway runs: told once, and used again when it is right again', async () => {
    const server = await started(startRedis({ args: ['--user', ...documentedAcl()] }))
    const connected = connectTo(singleTarget(server, { login: ACL_LOGIN }))
    await isWell(connected)
    await server.command('ACL', 'SETUSER', 'sallyport', 'resetpass', '>canary-new')
    assert.equal(await write(connected), true, 'who is in stays in')
    await server.command('CLIENT', 'KILL', 'USER', 'sallyport')
    await until('it is told', () => connected.lines.length > 1)
    assert.match(connected.lines[1] ?? '', /^store away: refuses our user or password; set those under store\.redis right$/)
    assert.match(await refusal(connected), /refuses our user or password/)
    await server.command('ACL', 'SETUSER', 'sallyport', '>pw')
    await isWell(connected)
    assert.deepEqual(connected.states(), [true, false, true])
    assert.equal(connected.lines.length, 3, connected.lines.join('\n'))
  })
})
