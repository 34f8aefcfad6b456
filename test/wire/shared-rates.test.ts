// Replicas that share a Redis share their rates: what the upstream counts of all together is what one may send.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { startRedis } from '../support/redis.ts'
import { createScriptedUpstream } from '../support/scripted-upstream.ts'
import { loopbackAdapter, until } from '../support/wire.ts'

const KEY = 'key-of-this-caller-in-a-test'

test('a rate and a quota hold for two replicas to the letter, by halves without Redis, and again when it is back', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const upstream = await createScriptedUpstream()
  t.after(() => upstream.close())
  const limits = { rate: '20/h', whenSpent: 'reject' }
  const adapters = [loopbackAdapter('rated', upstream.origin, { limits }), loopbackAdapter('free', `${upstream.origin}/free`)]
  const may = [{ adapter: 'rated' }, { adapter: 'free' }]
  const config = {
    store: { redis: redis.url },
    callers: [
      { name: 'all', keys: [KEY], may },
      { name: 'few', keys: [`${KEY}-2`], may, quota: { rate: '6/h' } },
      { name: 'swift', keys: [`${KEY}-3`], may, quota: { rate: '40/s' } },
    ],
  }
  const gateways = await Promise.all([0, 1].map(() => startGateway({ adapters, config })))
  t.after(() => Promise.all(gateways.map((gateway) => gateway.stop())))
  const ask = async (gateway: TestGateway, path: string, key: string): Promise<string> => {
    const { envelope } = await gateway.call({ url: `${upstream.origin}${path}` }, { headers: { 'x-sallyport-key': key } })
    return envelope.error?.type ?? 'answered'
  }
  const flood = async (times: number, path: string, key: string): Promise<number> => {
    const before = upstream.received.length
    const turns = Array.from({ length: times }, () => gateways.map((gateway) => ask(gateway, path, key)))
    for (const answer of await Promise.all(turns.flat())) assert.match(answer, /^(answered|RateLimited)$/)
    return upstream.received.length - before
  }
  const logged = (event: string) => gateways.every((gateway) => gateway.logs().includes(event))

  assert.equal(await flood(25, '/', KEY), 20)
  assert.equal(await flood(10, '/free/', `${KEY}-2`), 6)
  await redis.kill()
  await until('both go by their part', async () => {
    await flood(1, '/free/', `${KEY}-3`)
    return logged('rates are not shared')
  })
  await until('the part is spent as it comes', async () => (await flood(5, '/free/', `${KEY}-3`)) > 0)
  assert.equal(await flood(5, '/', KEY), 0, 'the part begins empty')
  await redis.restart()
  await until(
    'both share again',
    async () => {
      await flood(1, '/free/', `${KEY}-3`)
      return logged('rates are shared again')
    },
    10_000,
  )
  assert.equal(await flood(10, '/', KEY), 0, 'replicas remember what an emptied Redis forgot')
})
