// The script that replicas share their rates by, in a real Redis on a turned clock, against the one in memory that the model
// of test/unit/adapters/shared-rates.test.ts uses.
import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../../../src/installation.ts'
import type { RateRequest } from '../../../src/model/ports.ts'
import { openRedis, type RedisConnection } from '../../../src/stores/redis.ts'
import { createRedisRates, EXCHANGE } from '../../../src/stores/redis-rates.ts'
import { aMeter } from '../../support/builders.ts'
import { createMemoryRates } from '../../support/memory-rates.ts'
import { redisTarget, startRedis, type TestRedis } from '../../support/redis.ts'
import { until } from '../../support/wire.ts'

const LEASE_MS = 1000

let redis: TestRedis
let connection: RedisConnection
before(async () => {
  redis = await startRedis()
  connection = openRedis(
    { target: redisTarget(redis.url), prefix: 'sallyport:' },
    { clock: systemClock, meter: aMeter(), log: { log() {} } },
  )
  await until('Redis answers', () => connection.healthy())
})
after(async () => {
  connection.close()
  await redis.stop()
})

const aRequest = (over: Partial<RateRequest> = {}): RateRequest => ({
  ...{ bucket: 'caller a', rate: { count: 10, perMs: 1000, burst: 10 }, holder: 'h', turn: 1, kept: 0, returned: 0, idleMs: 0 },
  ...{ need: 1, inLine: false, ahead: 0, leaseMs: LEASE_MS, start: 10, ...over },
})

/** As createRedisRates does, at `now` by a clock of ours instead of the server's. */
async function onTurnedClock(request: RateRequest, now: number) {
  const script = { keys: 1, lua: EXCHANGE.lua.replace("redis.call('TIME')", '{ARGV[13], ARGV[14]}') }
  const timed = {
    ...connection,
    run: (_: unknown, ...given: (string | number)[]) => connection.run(script, ...given, 0, now * 1000),
  }
  return await createRedisRates(timed).exchange(request)
}

it('is kept alike in Redis and in memory, whatever holders tell and ask', async () => {
  const step = fc.record({
    wait: fc.oneof(fc.nat(60), fc.nat(1500)),
    ...{ holder: fc.constantFrom('0', 'b', 'c.1'), kept: fc.nat(4), returned: fc.nat(3), idleMs: fc.nat(300) },
    ...{ need: fc.nat(4), inLine: fc.boolean(), ahead: fc.nat(10), stale: fc.boolean() },
  })
  const rate = fc.constantFrom(
    ...[
      { count: 10, perMs: 1000, burst: 8 },
      { count: 3, perMs: 1000, burst: 1 },
      { count: 1000, perMs: 60_000, burst: 1000 },
    ],
  )
  let bucket = 0
  await fc.assert(
    fc.asyncProperty(rate, fc.array(step, { minLength: 5, maxLength: 20 }), async (given, steps) => {
      let now = 1_700_000_000_000
      let turn = 0
      const memory = createMemoryRates(() => now)
      const own = { bucket: `caller ${++bucket}`, rate: given, leaseMs: LEASE_MS, start: given.burst }
      for (const { wait, stale, ...told } of steps) {
        now += wait
        const request = { ...own, ...told, turn: stale ? turn : ++turn }
        const [here, there] = [await memory.exchange(request), await onTurnedClock(request, now)]
        assert.ok(Math.abs(here.level - there.level) < 1e-6, `${here.level} in memory, ${there.level} in Redis`)
        assert.deepEqual({ ...there, level: 0 }, { ...here, level: 0 })
      }
    }),
    { numRuns: 20 },
  )
})

it('is gone when the bucket is full again and nothing is on loan', async () => {
  await createRedisRates(connection).exchange(aRequest())
  const ttl = Number(await redis.command('PTTL', 'sallyport:rate:caller a'))
  assert.ok(ttl > 1500 && ttl <= 2000, `${ttl} ms`)
})

it('begins with what the asker knows where the store knows nothing', async () => {
  const answer = await createRedisRates(connection).exchange(aRequest({ bucket: 'caller b', need: 5, start: 2.5 }))
  assert.deepEqual([answer.granted, answer.level], [2, 0.5])
})
