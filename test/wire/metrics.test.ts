// What an operator reads off /metrics after real calls: which rule refused, whose fault a failure was, what the wire cost, and
// that nobody outside can make series.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { certificates } from '../support/certificates.ts'
import type { Behaviour } from '../support/rude-upstream.ts'
import { gatewayFor, setScene } from '../support/scene.ts'
import { createHold, loopbackAdapter, metric, setRudeScene, stateOf, until } from '../support/wire.ts'

const KEYS = { admin: 'operator-key-0123456789', billing: 'billing-key-0123456789' }
const CALLERS = [
  { name: 'operator', keys: [KEYS.admin], admin: true, may: [{ adapter: 'up' }] },
  { name: 'billing', keys: [KEYS.billing], may: [{ adapter: 'up', methods: ['GET'] }] },
]
const answering =
  (status: number): Behaviour =>
  (socket) =>
    void socket.write(`HTTP/1.1 ${status} So\r\nContent-Length: 0\r\n\r\n`)
const as = (key: string) => ({ headers: { 'x-sallyport-key': key } })

it('each refusal is counted under the rule that refused, and its log line says which', async (t) => {
  const { gateway, at } = await setScene(t, {
    config: { callers: CALLERS },
    adapter: { methods: ['GET', 'POST'] },
    others: () => [{ name: 'elsewhere', mount: 'http://10.255.255.1/' }],
  })
  const ask = (descriptor: object, key = KEYS.billing) => gateway.call(descriptor, as(key))
  await ask({ url: at('/'), method: 'POST' })
  await ask({ url: at('/'), method: 'DELETE' })
  await ask({ url: 'http://nobody.example/' })
  await ask({ url: at('/'), headers: { 'x-mine': KEYS.admin } })
  await ask({ url: at('/') }, 'no such key')
  await ask({ url: 'http://10.255.255.1/' }, KEYS.admin)
  const text = (await gateway.get('/metrics', as(KEYS.admin))).text
  for (const [adapter, rule, type] of [
    ['up', 'caller-grant', 'Forbidden'],
    ['up', 'adapter-method', 'Forbidden'],
    ['none', 'egress-mount', 'EgressDenied'],
    ['up', 'gateway-key', 'Forbidden'],
    ['none', 'caller-key', 'Unauthenticated'],
    ['elsewhere', 'caller-grant', 'Forbidden'],
  ] as const)
    assert.equal(metric(text, 'sallyport_refusals_total', { adapter, rule, type }), 1, rule)
  const lines = gateway
    .logs()
    .split('\n')
    .filter((line) => line.includes('"event":"call"'))
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    lines.map((line) => line.rule),
    ['caller-grant', 'adapter-method', 'egress-mount', 'gateway-key', 'caller-key', 'caller-grant'],
  )
  assert.equal(metric(text, 'sallyport_caller_calls_total', { caller: 'billing', fault: 'caller' }), 4)
  assert.equal(metric(text, 'sallyport_caller_calls_total', { caller: 'none', fault: 'caller' }), 1)
})

it('an address that may not be dialled is told from a URL that is not mounted', async (t) => {
  const gateway = await gatewayFor(t, { adapters: [{ name: 'inside', mount: 'http://127.0.0.1:9/' }] })
  await gateway.call({ url: 'http://127.0.0.1:9/' })
  const text = await gateway.metrics()
  assert.equal(metric(text, 'sallyport_refusals_total', { adapter: 'inside', rule: 'egress-address' }), 1)
})

it("whose fault it was: theirs, the caller's, ours or nobody's", async (t) => {
  const hold = createHold()
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: { limits: { concurrency: 1, queue: 0 } },
    upstream: { behaviours: { held: hold.behaviour, missing: answering(404), sick: answering(503) } },
  })
  const url = (path: string) => `${upstream.origin}${path}`
  await gateway.call({ url: url('/ok') })
  await gateway.call({ url: url('/missing') })
  await gateway.call({ url: url('/sick') })
  const held = gateway.call({ url: url('/held') })
  await until('the slot is taken', async () => (await stateOf(gateway, 'rude')).slots === 1)
  await gateway.call({ url: url('/ok') })
  hold.release()
  await held
  const text = await gateway.metrics()
  const count = (fault: string) => metric(text, 'sallyport_calls_total', { adapter: 'rude', fault })
  assert.deepEqual(['none', 'caller', 'upstream', 'gateway'].map(count), [2, 1, 1, 1])
})

it('connections opened and used again, handshakes and their failures are told apart', async (t) => {
  const made = certificates()
  const { gateway, at } = await setScene(t, {
    tls: made.selfSigned,
    adapter: { tls: { allowInsecure: true } },
    config: {},
  })
  await gateway.call({ url: at('/') })
  for (let i = 0; i < 3; i++) await gateway.call({ url: at('/'), verify: false })
  const text = await gateway.metrics()
  assert.equal(metric(text, 'sallyport_tls_handshake_failures_total', { adapter: 'up', reason: 'untrusted' }), 1)
  assert.equal(metric(text, 'sallyport_tls_handshake_duration_seconds_count', { resumed: 'false' }), 1)
  assert.equal(metric(text, 'sallyport_connect_duration_seconds_count', { adapter: 'up' }), 1)
  assert.equal(metric(text, 'sallyport_pool_reuses_total', { adapter: 'up' }), 2)
})

it("a wait in the queue and the gateway's own time are measured apart from the tries", async (t) => {
  const hold = createHold()
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: { limits: { concurrency: 1, queue: 1 } },
    upstream: { behaviours: { held: hold.behaviour } },
  })
  const calls = [1, 2].map(() => gateway.call({ url: `${upstream.origin}/held` }))
  await until('one waits', async () => (await stateOf(gateway, 'rude')).queued === 1)
  const during = await gateway.metrics()
  assert.equal(metric(during, 'sallyport_slots_used_ratio', { adapter: 'rude' }), 1)
  assert.equal(metric(during, 'sallyport_queue_used_ratio', { adapter: 'rude' }), 1)
  await new Promise((resolve) => setTimeout(resolve, 60))
  hold.release()
  await until('the other has come', () => upstream.received.length === 2)
  hold.release()
  await Promise.all(calls)
  const text = await gateway.metrics()
  assert.equal(metric(text, 'sallyport_wait_duration_seconds_count', { adapter: 'rude', because: 'queue' }), 1)
  assert.ok(metric(text, 'sallyport_wait_duration_seconds_sum', { adapter: 'rude', because: 'queue' }) >= 0.05)
  assert.equal(metric(text, 'sallyport_call_overhead_seconds_count'), 2)
  assert.ok(metric(text, 'sallyport_call_overhead_seconds_sum') < 0.05, 'neither the wait nor the upstream is in it')
})

it('hosts, paths, tags and request ids that callers make up leave the number of series as it is', async (t) => {
  const gateway = await gatewayFor(t, { adapters: [loopbackAdapter('any', 'http://')].map((a) => ({ ...a, mount: 'http://' })) })
  const round = async (from: number, to: number): Promise<number> => {
    for (let i = from; i < to; i++) {
      const options = { headers: { 'x-request-id': `made-up-${i}` } }
      await gateway.call({ url: `http://10.0.${i >> 8}.${i & 255}/made-up-${i}`, tags: { made: `up-${i}` } }, options)
      await gateway.call({ url: `ftp://made-up-${i}/` }, options)
    }
    const lines = (await gateway.metrics()).split('\n')
    assert.ok(!lines.some((line) => line.includes('made-up')))
    return lines.filter((line) => line.startsWith('sallyport_')).length
  }
  const few = await round(0, 3)
  assert.equal(await round(3, 60), few)
})

it('a scraper that asks for OpenMetrics gets it, with the trace of a call as its exemplar', async (t) => {
  const { gateway, at } = await setScene(t)
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  await gateway.call({ url: at('/') }, { headers: { traceparent } })
  const { headers, text } = await gateway.get('/metrics', {
    headers: { accept: 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5' },
  })
  assert.match(String(headers['content-type']), /^application\/openmetrics-text; version=1\.0\.0/)
  assert.match(text, /^sallyport_call_duration_seconds_bucket\{[^}]*\} \d+ # \{trace_id="4bf92f3577b34da6a3ce929d0e0e4736"\}/m)
})

it('a configuration that is taken or refused is told', async (t) => {
  const { gateway, up } = await setScene(t)
  await gateway.reload({ adapters: [loopbackAdapter('up', up.origin)] })
  const text = await gateway.metrics()
  assert.equal(metric(text, 'sallyport_config_generation'), 2)
  assert.equal(metric(text, 'sallyport_config_last_reload_successful'), 1)
  assert.ok(Math.abs(metric(text, 'sallyport_config_last_reload_success_timestamp_seconds') - Date.now() / 1000) < 60)
})
