// What a 429 means for everybody who calls with the same credential, over the wire.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CANARY_TOKEN } from '../support/canary.ts'
import { setScene } from '../support/scene.ts'
import { valuesOf } from '../support/scripted-upstream.ts'
import { metric } from '../support/wire.ts'

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
