// What callers may, beyond adapter, method and path: the secrets they name, their quotas, and policies that are only observed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CANARY_TOKEN } from '../support/canary.ts'
import { setScene } from '../support/scene.ts'
import { createHold, loopbackAdapter, metric, setRudeScene, until } from '../support/wire.ts'

const KEY = 'billing-key-0123456789'
const AS = { headers: { 'x-sallyport-key': KEY } }
const billing = (over: object) => ({ callers: [{ name: 'billing', keys: [KEY], ...over }] })
const secret = (name: string, origin: string) => ({
  ...{ name, scheme: 'bearer' as const, values: { token: CANARY_TOKEN }, origins: [origin], callers: ['billing'] },
})

test('a grant lists the secrets that a descriptor may name; the own ones of the adapter come with it', async (t) => {
  const { gateway, at } = await setScene(t, {
    adapter: { credentials: 'own', allowPlaintextSecrets: true },
    secrets: ({ origin }) => [secret('own', origin), secret('listed', origin), secret('other', origin)],
    config: billing({ may: [{ adapter: 'up', secrets: ['listed'] }] }),
  })
  const call = (descriptor: object) => gateway.call({ url: at('/p'), ...descriptor }, AS)
  assert.equal((await call({})).status, 200)
  assert.equal((await call({ auth: { secret: 'listed' } })).status, 200)
  for (const descriptor of [{ auth: { secret: 'other' } }, { auth: { secret: 'own' } }]) {
    const { status, envelope } = await call(descriptor)
    assert.deepEqual([status, envelope.error.type], [403, 'Forbidden'])
    assert.match(
      envelope.error.message,
      /caller "billing" may not use adapter "up" with secret "o\w+": its grant may\[0\] lists listed/,
    )
  }
})

test('a spent quota is refused at once, before anything is done for the call, and said in prepare', async (t) => {
  const { up, gateway, at } = await setScene(t, {
    config: { ...billing({ may: [{ adapter: 'up' }], quota: { rate: '2/h' } }), metrics: { public: true } },
  })
  for (let i = 0; i < 2; i++) assert.equal((await gateway.call({ url: at('/p') }, AS)).status, 200)
  const { status, envelope, headers } = await gateway.call({ url: at('/p') }, AS)
  assert.deepEqual([status, envelope.error.type, envelope.error.sent], [429, 'RateLimited', 'no'])
  assert.match(envelope.error.message, /caller "billing" has spent its quota\.rate/)
  assert.ok(envelope.error.retryAfter > 1_700_000 && envelope.error.retryAfter <= 1_800_000)
  assert.equal(headers['retry-after'], String(Math.ceil(envelope.error.retryAfter / 1000)))
  assert.equal(up.received.length, 2)
  const left = metric(await gateway.metrics(), 'sallyport_caller_quota_left_ratio', { caller: 'billing', quota: 'rate' })
  assert.ok(left < 0.01, `${left}`)
  const prepared = await gateway.post('/v1/prepare', JSON.stringify({ url: at('/p') }), AS)
  assert.deepEqual(
    [prepared.status, prepared.envelope.plan.refusedBy, prepared.envelope.plan.adapter],
    [429, 'RateLimited', 'up'],
  )
})

test('each item of a batch counts alone', async (t) => {
  const { gateway, at } = await setScene(t, { config: billing({ may: [{ adapter: 'up' }], quota: { rate: '3/h' } }) })
  const items = Array.from({ length: 5 }, () => ({ url: at('/p') }))
  const { status, envelope } = await gateway.post('/v1/batch', JSON.stringify({ requests: items, concurrency: 1 }), AS)
  assert.equal(status, 200)
  const types = envelope.responses.map(({ error }: { error: { type: string } | null }) => error?.type ?? 'ok')
  assert.deepEqual(types, ['ok', 'ok', 'ok', 'RateLimited', 'RateLimited'])
})

test('calls at once are bounded, and a place is free again when a call has ended, well or badly', async (t) => {
  const hold = createHold()
  const { upstream, gateway } = await setRudeScene(t, {
    config: billing({ may: [{ adapter: 'rude' }], quota: { concurrency: 1 } }),
    upstream: { behaviours: { held: hold.behaviour } },
  })
  const url = `${upstream.origin}/held`
  const first = gateway.call({ url }, AS)
  await until('the first is under way', () => upstream.received.length === 1)
  const { envelope } = await gateway.call({ url }, AS)
  assert.match(envelope.error.message, /has as many calls under way as its quota\.concurrency allows: 1/)
  hold.release()
  assert.equal((await first).status, 200)
  for (let i = 0; i < 3; i++) assert.equal((await gateway.call({ url: 'nonsense' }, AS)).status, 400, 'a place each')
})

test('what is only observed goes out, and is told in the answer, the log, the trail and the metrics', async (t) => {
  const { up, gateway, at } = await setScene(t, {
    others: ({ origin }) => [loopbackAdapter('narrow', `${origin}/narrow`, { methods: ['POST'] })],
    config: {
      ...billing({ observe: true, may: [{ adapter: 'up', methods: ['POST'], paths: ['/ok'] }], quota: { rate: '1/h' } }),
      metrics: { public: true },
    },
  })
  const first = await gateway.call({ url: at('/p') }, AS)
  assert.deepEqual([first.status, first.envelope.ok], [200, true])
  assert.deepEqual(first.envelope.warnings, [
    `would be refused: ${up.origin}: caller "billing" may not use adapter "up" with GET: its grant may[0] takes POST`,
  ])
  const second = await gateway.call({ url: at('/ok'), method: 'POST' }, AS)
  assert.equal(second.status, 200)
  assert.match(second.envelope.warnings[0], /would be refused: caller "billing" has spent its quota\.rate/)
  const prepared = await gateway.post('/v1/prepare', JSON.stringify({ url: at('/p') }), AS)
  assert.equal(prepared.status, 200)
  assert.equal(prepared.envelope.warnings.length, 2)
  const records = gateway.audit().filter(({ kind }) => kind === 'result')
  assert.deepEqual([records[0].observed, records[1].observed], [['caller-grant'], ['quota']])
  assert.match(gateway.logs(), /"observed":"caller-grant"/)
  const metrics = await gateway.metrics()
  for (const rule of ['caller-grant', 'quota']) assert.equal(metric(metrics, 'sallyport_observed_refusals_total', { rule }), 1)
  const refused = await gateway.call({ url: at('/narrow/x') }, AS)
  assert.equal(refused.status, 403, "the adapter's own rules are not observed")
})
