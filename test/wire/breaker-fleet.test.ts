// Replicas that share a Redis share what their breakers see.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startGateway } from '../support/gateway.ts'
import { startRedis } from '../support/redis.ts'
import { createScriptedUpstream } from '../support/scripted-upstream.ts'
import { loopbackAdapter, until } from '../support/wire.ts'

test('two of three that have tripped shut the third, and an upstream that is well again is found by all', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const upstream = await createScriptedUpstream()
  t.after(() => upstream.close())
  const breaker = { volume: 2, window: '10s', openFor: '1s' }
  const adapters = [loopbackAdapter('a', upstream.origin, { breaker })]
  const gateways = await Promise.all([0, 1, 2].map(() => startGateway({ adapters, config: { store: { redis: redis.url } } })))
  t.after(() => Promise.all(gateways.map((gateway) => gateway.stop())))
  const ask = async (index: number) => (await gateways[index]?.call({ url: `${upstream.origin}/` }))?.envelope
  assert.equal((await ask(2)).status, 200) // it has met the host, and knows nothing bad of it
  upstream.answer({ status: 503 })
  for (const index of [0, 1]) for (let times = 0; times < 2; times++) await ask(index)
  await until('the third is shut', async () => (await ask(2)).error?.type === 'BreakerOpen', 10_000)
  upstream.answer({ status: 200 })
  for (const index of [0, 1, 2]) await until('it is open to calls', async () => (await ask(index)).status === 200, 20_000)
})
