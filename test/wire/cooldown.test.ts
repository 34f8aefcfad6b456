// What a 429 means for everybody who calls with the same credential, over the wire.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CANARY_TOKEN } from '../support/canary.ts'
import type { TestGateway } from '../support/gateway.ts'
import { STORE_KEY, startRedis } from '../support/redis.ts'
import { gatewayFor, setScene, upstreamFor } from '../support/scene.ts'
import { valuesOf } from '../support/scripted-upstream.ts'
import { loopbackAdapter, metric, until } from '../support/wire.ts'

const SECRETS = ['one', 'two'].map((name) => ({ name, token: `${CANARY_TOKEN}.${name}` }))

const scene = (t: Parameters<typeof setScene>[0], adapter: object = {}) =>
  setScene(t, {
    adapter: { credentials: 'one', allowPlaintextSecrets: true, ...adapter },
    secrets: ({ origin }) =>
      SECRETS.map(({ name, token }) => ({ name, scheme: 'bearer', values: { token }, origins: [origin], callers: ['*'] })),
  })

test('one 429 with Retry-After refuses whoever cannot wait that long, and nobody with another credential', async (t) => {
  const { up, gateway, at } = await scene(t)
  up.answer({ status: 429, headers: [['Retry-After', '20']] })
  assert.equal((await gateway.call({ url: at('/a') })).envelope.status, 429)
  up.answer({ status: 200 })
  const { status, headers, envelope } = await gateway.call({ url: at('/b'), timeout: { total: 500 } })
  assert.deepEqual([status, envelope.error.type, envelope.error.sent, envelope.source], [429, 'RateLimited', 'no', 'gateway'])
  assert.match(envelope.error.message, /limits\.cooldown of adapter "up" holds credential "one" back for another \d+ ms/)
  assert.deepEqual([headers['retry-after'], envelope.attempts, up.received.length], ['20', [], 1])
  const text = await gateway.metrics()
  assert.equal(metric(text, 'sallyport_cooldowns_total', { adapter: 'up' }), 1)
  assert.equal(metric(text, 'sallyport_refusals_total', { adapter: 'up', rule: 'cooldown' }), 1)
  const left = metric(text, 'sallyport_cooldown_seconds', { adapter: 'up' })
  assert.ok(left > 10 && left <= 20, `${left} s`)
  const other = await gateway.call({ url: at('/d'), auth: { secret: 'two' } })
  assert.deepEqual([other.envelope.status, other.envelope.attempts[0].waited], [200, 0])
  assert.match(gateway.logs(), /"event":"held back by a 429"/)
})

test('whoever can wait until the end of a 429 does', async (t) => {
  const { up, gateway, at } = await scene(t)
  up.answer({ status: 429, headers: [['Retry-After', '1']] })
  const from = performance.now()
  assert.equal((await gateway.call({ url: at('/a') })).envelope.status, 429)
  up.answer({ status: 200 })
  for (const reply of await Promise.all([1, 2].map(() => gateway.call({ url: at('/c') })))) {
    assert.deepEqual([reply.envelope.status, reply.envelope.attempts[0].because], [200, 'rate limit'])
  }
  assert.ok(performance.now() - from >= 990)
})

test('limits.cooldown: false lets everybody go on', async (t) => {
  const { up, gateway, at } = await scene(t, { limits: { cooldown: false } })
  up.answer({ status: 429, headers: [['Retry-After', '60']] })
  for (let i = 0; i < 2; i++) assert.equal((await gateway.call({ url: at('/') })).envelope.status, 429)
  assert.equal(up.received.length, 2)
})

test('one key of a pool that met a 429 holds back itself, and not the pool', async (t) => {
  const { up, gateway, at } = await setScene(t, {
    adapter: { credentials: 'pool', allowPlaintextSecrets: true },
    secrets: ({ origin }) => [
      {
        ...{ name: 'pool', scheme: 'bearer', origins: [origin], callers: ['*'], values: { token: CANARY_TOKEN } },
        pool: { pick: 'round-robin', members: SECRETS.map(({ token }) => ({ token })) },
      },
    ],
  })
  up.answer((request) =>
    valuesOf(request, 'authorization')[0]?.endsWith('.one') ? { status: 429, headers: [['Retry-After', '20']] } : { status: 200 },
  )
  const post = async () => (await gateway.call({ url: at('/'), method: 'POST', data: 'x' })).envelope
  assert.deepEqual([(await post()).status, (await post()).status, (await post()).status], [429, 200, 200])
})

test('what one replica is told by a 429 the other honours too, while they share a Redis', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const up = await upstreamFor(t)
  const options = {
    adapters: [loopbackAdapter('up', up.origin, { credentials: 'one', allowPlaintextSecrets: true })],
    config: { store: { redis: redis.url, key: STORE_KEY } },
  }
  const a = await gatewayFor(t, options)
  const b = await gatewayFor(t, options)
  await until('the store is reached', async () => (await a.get('/readyz')).text === '{"ready":true,"degraded":[]}')
  const bound = { origins: [up.origin], callers: ['*'] }
  await a.provision({ name: 'one', scheme: 'bearer', values: { token: CANARY_TOKEN }, ...bound })
  const ask = async (gateway: TestGateway, over: object = {}) =>
    (await gateway.call({ url: `${up.origin}/`, method: 'POST', data: 'x', ...over })).envelope
  await until('the other has the secret', async () => (await ask(b)).status === 200)
  up.answer({ status: 429, headers: [['Retry-After', '2']] })
  const from = performance.now()
  assert.equal((await ask(a)).status, 429)
  up.answer({ status: 200 })
  const heldFor = async () => metric(await b.metrics(), 'sallyport_cooldown_seconds', { adapter: 'up' })
  await until('the other has heard', async () => (await heldFor()) > 0, 1500)
  const received = up.received.length
  const early = await ask(b, { timeout: { total: 50 } })
  assert.deepEqual([early.error.type, early.error.sent, up.received.length], ['RateLimited', 'no', received])
  assert.match(early.error.message, /answered 429 with a wait to another replica/)
  const late = await ask(b)
  assert.deepEqual([late.status, late.attempts[0].because], [200, 'rate limit'])
  assert.ok(performance.now() - from >= 1990, 'not before the instant')
})
