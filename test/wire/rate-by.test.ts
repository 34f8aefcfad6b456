// limits.rateBy over the wire: nobody takes the turns of another caller, or of another credential.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CANARY_TOKEN } from '../support/canary.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startRedis } from '../support/redis.ts'
import { gatewayFor, setScene, upstreamFor } from '../support/scene.ts'
import { loopbackAdapter, until } from '../support/wire.ts'

const KEY = 'key-of-this-caller-in-a-test'

test('each caller has the rate for itself, over two replicas that share a Redis', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const up = await upstreamFor(t)
  const limits = { rate: '6/h', rateBy: 'caller', whenSpent: 'reject' }
  const may = [{ adapter: 'up' }]
  const options = {
    adapters: [loopbackAdapter('up', up.origin, { limits })],
    config: { store: { redis: redis.url }, callers: ['a', 'b'].map((name) => ({ name, keys: [`${KEY}-${name}`], may })) },
  }
  const gateways = [await gatewayFor(t, options), await gatewayFor(t, options)]
  for (const gateway of gateways)
    await until('the store is reached', async () => (await gateway.get('/readyz')).text === '{"ready":true,"degraded":[]}')
  const ask = async (gateway: TestGateway, name: string) =>
    (await gateway.call({ url: `${up.origin}/` }, { headers: { 'x-sallyport-key': `${KEY}-${name}` } })).envelope
  for (const name of ['a', 'b']) {
    const before = up.received.length
    const answers = await Promise.all(gateways.flatMap((gateway) => Array.from({ length: 6 }, () => ask(gateway, name))))
    assert.equal(up.received.length - before, 6)
    for (const { error } of answers)
      if (error) assert.match(error.message, new RegExp(`limits\\.rate of adapter "up" is spent for caller "${name}" at`))
  }
})

test('each stored credential has the rate for itself', async (t) => {
  const { up, gateway, at } = await setScene(t, {
    adapter: { allowPlaintextSecrets: true, limits: { rate: '2/h', rateBy: 'credential', whenSpent: 'reject' } },
    secrets: ({ origin }) =>
      ['one', 'two'].map((name) => {
        const values = { token: `${CANARY_TOKEN}.${name}` }
        return { name, scheme: 'bearer', values, origins: [origin], callers: ['*'] }
      }),
  })
  for (const [index, secret] of ['one', 'two'].entries()) {
    const ask = async () => (await gateway.call({ url: at('/'), auth: { secret } })).envelope
    assert.deepEqual([(await ask()).status, (await ask()).status], [200, 200])
    const { error } = await ask()
    assert.deepEqual([error.type, error.sent, up.received.length], ['RateLimited', 'no', 2 * (index + 1)])
    assert.match(error.message, new RegExp(`is spent for credential "${secret}" at`))
  }
})
