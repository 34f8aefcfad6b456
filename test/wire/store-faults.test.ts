// The whole gateway while its Redis is sick, in every way that Redis knows. Always the same is held: calls go on with the last
// known credential for store.staleFor and then end at once; nothing is ever sent without it; whatever needs Redis is refused
// within its time limit; readyz, metrics and one log line say so; recovery needs nobody.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { type FaultProxy, startFaultProxy } from '../lab/fault-proxy.ts'
import { CANARY_TOKEN } from '../support/canary.ts'
import type { TestGateway } from '../support/gateway.ts'
import { STORE_KEY, startRedis, type TestRedis } from '../support/redis.ts'
import { documentedAcl, MASTER, startSentinelSet } from '../support/redis-topologies.ts'
import { gatewayFor, upstreamFor } from '../support/scene.ts'
import { type ScriptedUpstream, valuesOf } from '../support/scripted-upstream.ts'
import { loopbackAdapter, metric, pause, until } from '../support/wire.ts'

const STALE_FOR_MS = 1000
/** Of a call that waits for nothing: some milliseconds on a quiet machine. One that waited for a command would take its limit, 500 ms. */
const AT_ONCE_MS = 480
/** store's own limit on a command, and as much again. */
const REFUSED_WITHIN_MS = 1000
const RECOVERY_MS = 10_000
/** Survives a kill, as docs/redis.md asks for. */
const LASTING = ['--appendonly', 'yes']

interface House {
  readonly up: ScriptedUpstream
  readonly gateway: TestGateway
  /** A call that needs the stored credential: its status and error. */
  call(
    more?: object,
  ): Promise<{ readonly status: number; readonly error: string | null; readonly message: string; readonly ms: number }>
  isReady(degraded: readonly string[], withinMs?: number): Promise<void>
  /** The metric says so: 1, healthy. */
  isMetered(healthy: 0 | 1): Promise<void>
  /** Those of the log. */
  lines(event: string): string[]
}

/** A gateway whose only way to its upstream takes a stored bearer token. */
async function houseOn(t: TestContext, redis: unknown, { staleForMs = STALE_FOR_MS } = {}): Promise<House> {
  const up = await upstreamFor(t)
  const gateway = await gatewayFor(t, {
    adapters: [loopbackAdapter('up', up.origin, { credentials: 'it', allowPlaintextSecrets: true })],
    config: { store: { redis, key: STORE_KEY, staleFor: staleForMs } },
  })
  t.after(() => {
    const bare = up.received.filter((request) => valuesOf(request, 'authorization')[0] !== `Bearer ${CANARY_TOKEN}`)
    assert.deepEqual(
      bare.map(({ target }) => target).filter((target) => target !== '/open'),
      [],
      'no call without its credential',
    )
  })
  return {
    up,
    gateway,
    async call(more = {}) {
      const { status, envelope } = await gateway.call({ url: `${up.origin}/p`, ...more })
      const { type = null, message = '' } = envelope.error ?? {}
      return { status, error: type, message, ms: envelope.timings.total }
    },
    async isReady(degraded, withinMs = RECOVERY_MS) {
      const wanted = JSON.stringify({ ready: true, degraded })
      await until(`readyz says ${wanted}`, async () => {
        const { status, text } = await gateway.get('/readyz')
        assert.equal(status, 200)
        return text === wanted
      }, withinMs) // biome-ignore format: one call
    },
    isMetered: (healthy) =>
      until(
        `the metric says ${healthy}`,
        async () => metric(await gateway.metrics(), 'sallyport_store_healthy', { store: 'redis' }) === healthy,
      ),
    lines: (event) =>
      gateway
        .logs()
        .split('\n')
        .filter((line) => line.includes(`"event":"${event}"`)),
  }
}

async function provision({ gateway, up, call, isReady }: House): Promise<void> {
  await isReady([])
  await gateway.provision({ name: 'it', scheme: 'bearer', values: { token: CANARY_TOKEN }, origins: [up.origin], callers: ['*'] })
  assert.equal((await call()).status, 200)
}

interface Fault {
  readonly house: House
  readonly strike: () => unknown
  readonly heal: () => unknown
  /** What log and refusals say. */
  readonly reason: RegExp
  /** Reads are answered all the same, and so secrets are still followed. Default false. */
  readonly reads?: boolean
}

async function endure({ house, strike, heal, reason, reads = false }: Fault): Promise<void> {
  await strike()
  await assertKnownServe(house)
  await house.isReady(['redis'], 4000)
  await house.isMetered(0)
  // An ended connection says nothing of why; the next attempt does, and the line waits for it.
  await until('the log says why', () => house.lines('store away').length > 0)
  await assertRefused(house, reason, reads)
  await assertStale(house, reads)
  await heal()
  await house.isReady([])
  await house.isMetered(1)
  assert.equal((await house.call()).status, 200)
  assert.equal((await house.call({ idempotencyKey: 'after', session: 's' })).status, 200)
  const [away, ...more] = house.lines('store away')
  assert.match(away ?? '', reason)
  assert.deepEqual(more, [], 'one line for the way down')
  assert.equal(house.lines('store connected').length, 2, 'one for the start, one for the way back')
}

async function assertKnownServe({ call }: House): Promise<void> {
  for (let i = 0; i < 3; i++) {
    const { status, ms } = await call()
    assert.equal(status, 200)
    assert.ok(ms < AT_ONCE_MS, `${ms} ms`)
  }
}

/** What needs Redis for itself: keys to write, sessions at least to read. */
async function assertRefused({ call, up }: House, reason: RegExp, reads = false): Promise<void> {
  const before = up.received.length
  for (const needs of [{ idempotencyKey: 'meanwhile' }, { session: 'other', idempotencyKey: 'k' }, { session: 's' }]) {
    if (reads && needs.idempotencyKey === undefined) continue
    const { status, error, message, ms } = await call({ ...needs, method: 'PUT' })
    assert.deepEqual([status, error], [503, 'Overloaded'])
    assert.match(message, /^the store \(redis .*; try again once it is back$/)
    assert.match(message, reason)
    assert.ok(ms < REFUSED_WITHIN_MS, `${ms} ms`)
  }
  assert.equal(up.received.length, before)
}

async function assertStale({ call, up }: House, reads: boolean): Promise<void> {
  if (reads) {
    await pause(STALE_FOR_MS + 600)
    assert.equal((await call()).status, 200)
    return
  }
  await until('the last known are too old', async () => (await call()).error === 'CredentialUnavailable', STALE_FOR_MS + 4000)
  const before = up.received.length
  for (let i = 0; i < 5; i++) {
    const { status, error, ms } = await call()
    assert.deepEqual([status, error], [503, 'CredentialUnavailable'])
    assert.ok(ms < AT_ONCE_MS, `${ms} ms`)
  }
  assert.equal(up.received.length, before)
  assert.equal((await call({ url: `${up.origin}/open`, auth: null })).status, 200, 'a call without a credential goes out')
}

async function redisFor(t: TestContext, args: readonly string[] = []): Promise<TestRedis> {
  const redis = await startRedis({ args })
  t.after(() => redis.stop())
  return redis
}

async function proxyFor(t: TestContext, redis: TestRedis): Promise<FaultProxy> {
  const proxy = await startFaultProxy(redis)
  t.after(() => proxy.close())
  return proxy
}

/** Speaks on `port` to whoever connects. */
async function startImpostor(port: number, speak: (socket: Socket) => void): Promise<() => Promise<void>> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', () => speak(socket))
  }).listen(port, '127.0.0.1')
  await once(server, 'listening')
  return async () => {
    if (!server.listening) return
    server.close()
    for (const socket of sockets) socket.destroy()
    await once(server, 'close')
  }
}

describe('a Redis in trouble', { concurrency: 2 }, () => {
  it('is killed', async (t) => {
    const redis = await redisFor(t, LASTING)
    const house = await houseOn(t, redis.url)
    await provision(house)
    await endure({ house, strike: redis.kill, heal: redis.restart, reason: /refuses connections/ })
  })

  it('is frozen', async (t) => {
    const redis = await redisFor(t)
    const house = await houseOn(t, redis.url)
    await provision(house)
    await endure({ house, strike: redis.pause, heal: redis.resume, reason: /does not answer in time/ })
  })

  it('is busy with one long command', async (t) => {
    const redis = await redisFor(t, ['--enable-debug-command', 'local'])
    const house = await houseOn(t, redis.url)
    await provision(house)
    let done: Promise<unknown> = Promise.resolve()
    const strike = (): void => {
      done = redis.command('DEBUG', 'SLEEP', '5')
    }
    await endure({ house, strike, heal: () => done, reason: /does not answer in time/ })
  })

  it('takes connections and answers no script', async (t) => {
    const redis = await redisFor(t)
    const house = await houseOn(t, redis.url)
    await provision(house)
    const strike = () => redis.command('CLIENT', 'PAUSE', 60_000, 'WRITE')
    await endure({ house, strike, heal: () => redis.command('CLIENT', 'UNPAUSE'), reason: /does not answer in time/ })
  })

  it('is slower than a command may be', async (t) => {
    const redis = await redisFor(t)
    const proxy = await proxyFor(t, redis)
    const house = await houseOn(t, `redis://127.0.0.1:${proxy.port}`)
    await provision(house)
    const strike = (): void => proxy.set({ latencyMs: 700 }, 'down')
    await endure({ house, strike, heal: proxy.heal, reason: /does not answer in time/ })
  })

  it('is cut off in the middle of its answers', async (t) => {
    const redis = await redisFor(t)
    const proxy = await proxyFor(t, redis)
    const house = await houseOn(t, `redis://127.0.0.1:${proxy.port}`)
    await provision(house)
    const strike = (): void => {
      proxy.set({ cutAfterBytes: 20, cutBy: 'end', sliceBytes: 3 }, 'down')
      proxy.cut()
    }
    await endure({ house, strike, heal: proxy.heal, reason: /is not connected/ })
  })

  it('gives way to somebody else on its port', async (t) => {
    const redis = await redisFor(t, LASTING)
    const house = await houseOn(t, redis.url)
    await provision(house)
    let leave = async (): Promise<void> => {}
    await endure({
      ...{ house, reason: /answers something that is not Redis|refuses connections/ },
      async strike() {
        await redis.kill()
        leave = await startImpostor(redis.port, (socket) => socket.write('HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n'))
        t.after(leave)
      },
      async heal() {
        await leave()
        await redis.restart()
      },
    })
  })

  it('changes the password', async (t) => {
    const redis = await redisFor(t, ['--user', ...documentedAcl()])
    const house = await houseOn(t, `redis://sallyport:pw@127.0.0.1:${redis.port}`)
    await provision(house)
    await endure({
      ...{ house, reason: /refuses our user or password; set those under store\.redis right/ },
      async strike() {
        await redis.command('ACL', 'SETUSER', 'sallyport', 'resetpass', '>another')
        await redis.command('CLIENT', 'KILL', 'USER', 'sallyport')
      },
      heal: () => redis.command('ACL', 'SETUSER', 'sallyport', '>pw'),
    })
  })

  it('takes a right away', async (t) => {
    const redis = await redisFor(t, ['--user', ...documentedAcl()])
    const house = await houseOn(t, { url: `redis://127.0.0.1:${redis.port}`, username: 'sallyport', password: 'pw' })
    await provision(house)
    await endure({
      ...{ house, reason: /does not permit our user what Sallyport needs; give that user the rights that docs\/redis\.md lists/ },
      strike: () => redis.command('ACL', 'SETUSER', 'sallyport', '-@hash'),
      heal: () => redis.command('ACL', 'SETUSER', 'sallyport', ...documentedAcl().filter((rule) => rule.startsWith('+'))),
    })
  })

  it('loads its data', async (t) => {
    const slow = ['--key-load-delay', '40000', '--loading-process-events-interval-bytes', '1024', '--rdbcompression', 'no']
    const redis = await redisFor(t, slow)
    const house = await houseOn(t, redis.url)
    await provision(house)
    await redis.command('EVAL', "for i = 1, 100 do redis.call('SET', 'filler' .. i, string.rep('x', 1100)) end", 0)
    await endure({
      ...{ house, reason: /is still loading its data|refuses connections/, heal: () => {} },
      async strike() {
        await redis.command('SAVE')
        await redis.restart()
      },
    })
    assert.match(house.gateway.logs(), /is still loading its data/)
  })

  it('is full', async (t) => {
    const redis = await redisFor(t, ['--maxmemory-policy', 'noeviction'])
    const house = await houseOn(t, redis.url)
    await provision(house)
    await endure({
      ...{ house, reason: /is full; raise its maxmemory, with maxmemory-policy noeviction/, reads: true },
      strike: () => redis.command('CONFIG', 'SET', 'maxmemory', '1'),
      heal: () => redis.command('CONFIG', 'SET', 'maxmemory', '0'),
    })
  })

  it('becomes a replica', async (t) => {
    const redis = await redisFor(t)
    const house = await houseOn(t, redis.url)
    await provision(house)
    const strike = () => redis.command('REPLICAOF', '127.0.0.1', '1')
    await endure({ house, strike, heal: () => redis.command('REPLICAOF', 'NO', 'ONE'), reason: /is a read-only replica/ })
  })

  it('becomes a replica that has lost its primary', async (t) => {
    const redis = await redisFor(t, ['--replica-serve-stale-data', 'no'])
    const house = await houseOn(t, redis.url)
    await provision(house)
    const strike = () => redis.command('REPLICAOF', '127.0.0.1', '1')
    await endure({
      house,
      strike,
      heal: () => redis.command('REPLICAOF', 'NO', 'ONE'),
      reason: /is a replica that has lost its primary/,
    })
  })

  it('cannot write to its disk', { skip: process.platform !== 'linux' }, async (t) => {
    const redis = await redisFor(t, ['--save', '3600 1', '--enable-protected-configs', 'yes'])
    const house = await houseOn(t, redis.url)
    await provision(house)
    const [, dir = ''] = (await redis.command('CONFIG', 'GET', 'dir')) as string[]
    const saveTo = async (folder: string, status: string): Promise<void> => {
      await redis.command('CONFIG', 'SET', 'dir', folder)
      await redis.command('BGSAVE')
      await until(`the save is ${status}`, async () =>
        String(await redis.command('INFO', 'persistence')).includes(`rdb_last_bgsave_status:${status}`),
      )
    }
    await endure({
      ...{ house, reason: /cannot write to its disk, and so takes no writes/, reads: true },
      // Nobody can make a file there.
      strike: () => saveTo('/proc', 'err'),
      heal: () => saveTo(dir, 'ok'),
    })
  })

  it('is dead when the gateway starts', async (t) => {
    const redis = await redisFor(t, LASTING)
    const before = await houseOn(t, redis.url)
    await provision(before)
    await redis.kill()
    const house = await houseOn(t, redis.url)
    const { status, error, ms } = await house.call()
    assert.deepEqual([status, error], [503, 'CredentialUnavailable'])
    assert.ok(ms < AT_ONCE_MS, `${ms} ms`)
    await house.isReady(['redis'])
    await assertRefused(house, /refuses connections/)
    assert.equal((await house.call({ url: `${house.up.origin}/open`, auth: null })).status, 200)
    await redis.restart()
    await house.isReady([])
    assert.equal(house.lines('store away').length, 1)
    assert.equal(house.lines('store connected').length, 1)
    await house.isReady([])
  })

  it('forgets its scripts, and nobody notices', async (t) => {
    const redis = await redisFor(t)
    const house = await houseOn(t, redis.url)
    await provision(house)
    for (let i = 0; i < 10; i++) {
      await redis.command('SCRIPT', 'FLUSH')
      assert.equal((await house.call({ idempotencyKey: `key-${i}`, session: 's' })).status, 200)
    }
    assert.deepEqual(house.lines('store away'), [])
  })

  it('fails over, twice, the second time in silence: no call with a credential is lost, one with a key waits for nothing', async (t) => {
    const set = await startSentinelSet()
    t.after(() => set.stop())
    const sentinels = set.sentinels.map(({ port }) => `127.0.0.1:${port}`)
    const house = await houseOn(t, { sentinels, master: MASTER }, { staleForMs: 20_000 })
    await provision(house)
    let keys = 0
    const untilBack = async (): Promise<void> => {
      const end = performance.now() + 15_000
      for (;;) {
        assert.equal((await house.call()).status, 200)
        const { status, error, ms } = await house.call({ method: 'PUT', idempotencyKey: `key-${keys++}` })
        if (status === 200) break
        assert.deepEqual([status, error], [503, 'Overloaded'])
        assert.ok(ms < REFUSED_WITHIN_MS, `${ms} ms`)
        assert.ok(performance.now() < end, 'there is a new primary')
        await pause(20)
      }
      await house.isReady([])
    }
    await (await set.primary()).kill()
    await house.isReady(['redis'])
    await untilBack()
    const silent = await set.primary()
    silent.pause()
    await house.isReady(['redis'])
    await untilBack()
    silent.resume()
    assert.equal(house.lines('store away').length, 2)
    assert.equal(house.lines('store connected').length, 3)
  })
})
