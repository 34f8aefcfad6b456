// What was refused for want of an answer may have been done all the same, or may be done yet: a proxy holds answers and
// commands back, and what each store makes of that is looked at afterwards.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { systemClock as clock } from '../../../src/installation.ts'
import { openRedis, type RedisConnection } from '../../../src/stores/redis.ts'
import { createRedisIdempotency } from '../../../src/stores/redis-idempotency.ts'
import { createRedisSecrets } from '../../../src/stores/redis-secrets.ts'
import { createRedisValues } from '../../../src/stores/redis-values.ts'
import { type FaultProxy, startFaultProxy } from '../../lab/fault-proxy.ts'
import { aMeter } from '../../support/builders.ts'
import { startRedis, type TestRedis } from '../../support/redis.ts'
import { singleTarget } from '../../support/redis-topologies.ts'
import { pause, until } from '../../support/wire.ts'

const COMMAND_TIMEOUT_MS = 150
/** Later than the command's limit and the socket's. */
const LATE_MS = 900

const closers: (() => void | Promise<void>)[] = []
after(async () => {
  for (const close of closers.reverse()) await close()
})

interface Late {
  readonly server: TestRedis
  readonly proxy: FaultProxy
  readonly redis: RedisConnection
  /** Does `work` while answers are held back, or commands are; fails unless it is refused. Resolves when Redis is well again. */
  refused(direction: 'up' | 'down', work: () => Promise<unknown>): Promise<void>
}

async function setUp(): Promise<Late> {
  const server = await startRedis()
  const proxy = await startFaultProxy(server)
  const ports = { clock, meter: aMeter(), log: { log: () => {} } }
  const redis = openRedis({ target: singleTarget(proxy), prefix: 'sallyport:', commandTimeoutMs: COMMAND_TIMEOUT_MS }, ports)
  closers.push(
    () => server.stop(),
    () => proxy.close(),
    () => redis.close(),
  )
  await until('Redis is used', redis.healthy)
  return {
    ...{ server, proxy, redis },
    async refused(direction, work) {
      proxy.set({ latencyMs: LATE_MS }, direction)
      const pending = work()
      await pause(30)
      proxy.heal()
      await assert.rejects(pending, (error) => error instanceof GatewayError && error.type === 'Overloaded')
      await until('it is seen', () => !redis.healthy())
      await until('Redis is used again', redis.healthy, 5000)
    },
  }
}

test('a value that was put although the answer was lost is not put again over somebody else’s', async () => {
  const { redis, refused } = await setUp()
  const values = createRedisValues(redis)
  const put = (value: string, ifVersion: number | null = null) => values.put('jar', value, { ttlMs: 60_000, ifVersion })
  await refused('down', () => put('mine'))
  const stored = await values.get('jar')
  assert.equal(stored?.value, 'mine')
  assert.equal(await put('mine again'), false, 'the retry sees that there is one')
  assert.equal(await put('theirs', stored.version), true)
  await refused('up', () => put('late', stored.version))
  await pause(LATE_MS)
  assert.equal((await values.get('jar'))?.value, 'theirs', 'a write that arrives late finds a newer version')
})

test('a version of a secret that was put although the answer was lost stands once', async () => {
  const { redis, refused } = await setUp()
  const secrets = createRedisSecrets(redis)
  const put = (record: string, after: number) => secrets.put('github', record, { after, revision: after + 1 })
  await refused('down', () => put('one', 0))
  assert.equal(await put('one again', 0), false)
  assert.equal(await put('two', 1), true)
  await refused('up', () => put('late', 1))
  await pause(LATE_MS)
  assert.equal((await secrets.load(null))?.records.get('github'), 'two')
})

for (const direction of ['down', 'up'] as const)
  test(`a claim whose ${direction === 'down' ? 'answer' : 'command'} came late blocks its key for nobody`, async () => {
    const { server, redis, refused } = await setUp()
    const store = createRedisIdempotency(redis)
    await refused(direction, () => store.claim('k', 'print', 60_000))
    await pause(LATE_MS)
    assert.notEqual(await server.command('HEXISTS', 'sallyport:idempotency:k', 'fingerprint'), 1, 'no claim is left')
    assert.equal((await store.claim('k', 'another', 60_000)).state, 'mine')
  })

test('a late withdrawal takes nothing from the next owner of the key', async () => {
  const { redis, refused } = await setUp()
  const store = createRedisIdempotency(redis)
  await refused('down', () => store.claim('k', 'print', 60_000))
  const next = await store.claim('k', 'print', 60_000)
  assert.equal(next.state, 'mine')
  await refused('down', () => store.claim('other', 'print', 60_000))
  assert.equal((await store.claim('k', 'print', 60_000)).state, 'running')
  if (next.state === 'mine') await next.complete('outcome', 60_000)
  assert.deepEqual(await store.claim('k', 'print', 60_000), { state: 'done', outcome: 'outcome' })
})

test('an outcome whose answer was lost is remembered; a release that was lost is made up for', async () => {
  const { redis, refused } = await setUp()
  const store = createRedisIdempotency(redis)
  const first = await store.claim('k', 'print', 60_000)
  assert.ok(first.state === 'mine')
  await refused('down', () => first.complete('outcome', 60_000))
  assert.deepEqual(await store.claim('k', 'print', 60_000), { state: 'done', outcome: 'outcome' })
  const second = await store.claim('k2', 'print', 60_000)
  assert.ok(second.state === 'mine')
  await refused('up', () => second.release())
  await until('it is released', async () => (await store.claim('k2', 'print', 60_000)).state === 'mine')
})

test('claims that were refused without being sent leave no trace', async () => {
  const { server, proxy, redis } = await setUp()
  const store = createRedisIdempotency(redis)
  proxy.refuse(true)
  proxy.cut()
  await until('Redis is away', () => !redis.healthy())
  for (let i = 0; i < 50; i++) await assert.rejects(store.claim(`k${i}`, 'print', 60_000))
  proxy.heal()
  await until('Redis is used again', redis.healthy, 5000)
  await pause(50)
  assert.deepEqual(await server.command('KEYS', '*:idempotency:*'), [])
})
