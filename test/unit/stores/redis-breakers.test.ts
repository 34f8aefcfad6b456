// The same story told to the board in Redis and to the one in memory that other tests use.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { systemClock } from '../../../src/installation.ts'
import type { BreakerBoard, BreakerReport } from '../../../src/model/ports.ts'
import { openRedis, type RedisConnection } from '../../../src/stores/redis.ts'
import { createRedisBreakers } from '../../../src/stores/redis-breakers.ts'
import { createMemoryBoard } from '../../support/breaker-board.ts'
import { aMeter } from '../../support/builders.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { redisTarget, startRedis, type TestRedis } from '../../support/redis.ts'
import { until } from '../../support/wire.ts'

const KEY = 'github https://api.github.com'

function tell(board: BreakerBoard, replica: string, over: Partial<BreakerReport> = {}) {
  return board.exchange({ replica, tripped: [], wanted: [], recovered: [], ...over })
}

/** Everything but what only time can show. */
async function story(board: BreakerBoard): Promise<void> {
  await tell(board, 'a')
  await tell(board, 'b', { tripped: [KEY, 'other o'] })
  const told = await tell(board, 'c', { tripped: [KEY], wanted: [KEY] })
  assert.deepEqual([told.live, told.votes.get(KEY), told.votes.get('other o')], [3, 2, 1])
  assert.deepEqual([...told.leases], [KEY])
  assert.deepEqual([...(await tell(board, 'a', { wanted: [KEY] })).leases], [], 'another replica holds it')
  assert.deepEqual([...(await tell(board, 'c', { tripped: [KEY], wanted: [KEY] })).leases], [KEY], 'it may go on')
  const withdrawn = await tell(board, 'b')
  assert.deepEqual([withdrawn.votes.get(KEY), withdrawn.votes.get('other o')], [1, undefined])
  const recovery = await tell(board, 'c', { recovered: [KEY] })
  assert.equal(recovery.recovered.has(KEY), true)
  const late = await tell(board, 'b', { tripped: [KEY] })
  assert.deepEqual([late.votes.get(KEY), late.recovered.has(KEY)], [undefined, true], 'who has not heard yet brings no vote back')
}

describe('the board of breakers', () => {
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

  it('tells votes, leases and recoveries in Redis', () => story(createRedisBreakers(connection)))
  it('tells them alike in memory', () => story(createMemoryBoard(createFakeClock())))

  it('forgets what nobody repeats', async () => {
    const board = createRedisBreakers(connection)
    await tell(board, 'x', { tripped: ['k o'], wanted: ['k o'] })
    await until('the replica that fell silent is gone', async () => !(await tell(board, 'y')).votes.has('k o'), 20_000)
    await until('its lease is free', async () => (await tell(board, 'y', { wanted: ['k o'] })).leases.has('k o'), 20_000)
  })
})
