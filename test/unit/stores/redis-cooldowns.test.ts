// The board of cool-downs: one story, told in Redis and in the memory that other tests take for it.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { systemClock } from '../../../src/installation.ts'
import type { CooldownBoard } from '../../../src/model/ports.ts'
import { openRedis, type RedisConnection } from '../../../src/stores/redis.ts'
import { createRedisCooldowns } from '../../../src/stores/redis-cooldowns.ts'
import { aMeter } from '../../support/builders.ts'
import { createMemoryCooldowns } from '../../support/cooldown-board.ts'
import { redisTarget, startRedis, type TestRedis } from '../../support/redis.ts'
import { until } from '../../support/wire.ts'

describe('the board of cool-downs', () => {
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

  async function story(board: CooldownBoard): Promise<void> {
    const keysFor = async (replica: string) => (await board.exchange(replica, [])).map(({ key }) => key).sort()
    await board.exchange('a', [
      { key: 'x o\nstored k ', leftMs: 60_000.4 },
      { key: 'x o\nstored l ', leftMs: 500 },
    ])
    assert.deepEqual(await keysFor('a'), [], 'nobody hears what it told itself')
    assert.deepEqual(await keysFor('b'), ['x o\nstored k ', 'x o\nstored l '])
    const seen = await board.exchange('b', [{ key: 'x o\nstored k ', leftMs: 70_000 }])
    const first = seen.find(({ key }) => key.includes('stored k '))
    assert.ok(first && first.leftMs > 50_000 && first.leftMs <= 60_001, `${first?.leftMs}`)
    await board.exchange('a', [{ key: 'x o\nstored k ', leftMs: 10 }])
    const still = (await board.exchange('b', [])).find(({ id }) => id === first.id)
    assert.equal(still?.endsAt, first.endsAt, 'never shorter')
    await board.exchange('a', [{ key: 'x o\nstored k ', leftMs: 90_000 }])
    const made = (await board.exchange('b', [])).find(({ id }) => id === first.id)
    assert.ok(made && made.endsAt > first.endsAt, 'longer is told')
  }

  it('keeps what is told, for others, until it ends: in Redis', () => story(createRedisCooldowns(connection)))
  it('keeps what is told, for others, until it ends: in memory', () => story(createMemoryCooldowns({ now: () => 0 })))

  it('holds a thousand, and forgets each when its time has come', async () => {
    const board = createRedisCooldowns(connection)
    const told = Array.from({ length: 1100 }, (_, at) => ({ key: `y o\n${at}`, leftMs: 300 }))
    await board.exchange('flood', told)
    assert.ok((await board.exchange('z', [])).length <= 1000)
    await until('all have ended', async () => !(await board.exchange('z', [])).some(({ key }) => key.startsWith('y o')))
    assert.ok(Number(await redis.command('PTTL', 'sallyport:cooldowns')) <= 92_000)
  })
})
