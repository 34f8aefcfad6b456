// The circuit breaker over the wire: when it opens, what it refuses, how it probes, and what is not held against a host.
import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import { freePort } from '../support/free-port.ts'
import type { Reply, TestGateway } from '../support/gateway.ts'
import type { Behaviour, RudeOptions, RudeUpstream } from '../support/rude-upstream.ts'
import { assertFreed, createHold, loopbackAdapter, metric, pause, setRudeScene, until } from '../support/wire.ts'

const BREAKER = { errorRate: '50%', volume: 4, window: '10s', openFor: '300ms', probes: 1 }

interface Scene {
  readonly upstream: RudeUpstream
  readonly gateway: TestGateway
  ask(path: string, more?: object): Promise<Reply>
  /** Opens the breaker with failures of that kind. */
  open(path: string): Promise<void>
}

async function scene(
  t: TestContext,
  { adapter = {}, behaviours = {} }: { adapter?: object; behaviours?: RudeOptions['behaviours'] } = {},
): Promise<Scene> {
  const { upstream, gateway } = await setRudeScene(t, { adapter: { breaker: BREAKER, ...adapter }, upstream: { behaviours } })
  const ask: Scene['ask'] = (path, more = {}) => gateway.call({ url: upstream.origin + path, ...more })
  return {
    ...{ upstream, gateway, ask },
    async open(path) {
      for (let n = 0; n < BREAKER.volume; n++) await ask(path, { timeout: { read: 50 } })
    },
  }
}

const status =
  (code: number): Behaviour =>
  (socket) =>
    void socket.write(`HTTP/1.1 ${code} Such\r\nContent-Length: 0\r\n\r\n`)

const statuses = Object.fromEntries([200, 404, 429, 500, 501, 502, 503, 504].map((code) => [`${code}`, status(code)]))

it('refuses at once when it is open: BreakerOpen with retryAfter, nothing sent', async (t) => {
  const { upstream, gateway, ask, open } = await scene(t)
  await open('/short-body')
  const before = upstream.received.length
  const { status, headers, envelope } = await ask('/ok')
  assert.deepEqual([status, envelope.error.type, envelope.error.sent], [503, 'BreakerOpen', 'no'])
  assert.deepEqual([envelope.source, envelope.status, envelope.breaker, envelope.attempts], ['gateway', null, 'open', []])
  assert.ok(envelope.error.retryAfter > 0 && envelope.error.retryAfter <= 300, `retryAfter ${envelope.error.retryAfter}`)
  assert.equal(headers['retry-after'], '1')
  assert.equal(envelope.error.retryable, true)
  assert.equal(envelope.notRetried, 'BreakerOpen is never retried')
  assert.match(envelope.error.message, new RegExp(`adapter "rude" for ${upstream.origin} is open`))
  assert.equal(upstream.received.length, before)
  const text = await gateway.metrics()
  assert.equal(metric(text, 'sallyport_breaker_transitions_total', { adapter: 'rude', to: 'open' }), 1)
  assert.equal(metric(text, 'sallyport_breaker_origins', { adapter: 'rude', state: 'open' }), 1)
  assert.match(gateway.logs(), /"event":"breaker moved"/)
  await assertFreed(gateway, 'rude')
})

for (const path of ['/resets-before-headers', '/short-body', '/stalls-before-headers', '/garbage', '/500', '/503', '/504']) {
  it(`${path} is a failure`, async (t) => {
    const { ask, open } = await scene(t, { behaviours: statuses })
    await open(path)
    assert.equal((await ask('/ok')).envelope.error.type, 'BreakerOpen')
  })
}

for (const path of ['/404', '/429', '/501', '/bad-gzip', '/bomb']) {
  it(`${path} is none: the host answered`, async (t) => {
    const { ask, open } = await scene(t, { behaviours: statuses, adapter: { responseSize: '64KiB' } })
    await open(path)
    await open(path)
    const { envelope } = await ask('/ok')
    assert.deepEqual([envelope.error, envelope.breaker], [null, 'closed'])
  })
}

it('refused connections open it, per origin: another host under the same adapter is untouched', async (t) => {
  const { upstream, gateway } = await setRudeScene(t)
  await gateway.reload({ adapters: [{ ...loopbackAdapter('all', 'http://', { breaker: BREAKER }), mount: 'http://' }] })
  const gone = `http://127.0.0.1:${await freePort()}/`
  for (let n = 0; n < 4; n++) await gateway.call({ url: gone })
  const refused = await gateway.call({ url: gone })
  assert.deepEqual([refused.status, refused.envelope.error.type], [503, 'BreakerOpen'])
  const well = await gateway.call({ url: `${upstream.origin}/ok` })
  assert.deepEqual([well.envelope.status, well.envelope.breaker], [200, 'closed'])
})

it('opens at its rate and volume, not before', async (t) => {
  const { ask } = await scene(t, { behaviours: statuses })
  for (const path of ['/500', '/500', '/500']) assert.equal((await ask(path)).envelope.breaker, 'closed')
  assert.equal((await ask('/200')).envelope.breaker, 'closed', 'a success at the volume does not open it, whatever the rate')
  assert.equal((await ask('/500')).envelope.breaker, 'open', 'four failures of five')
})

it('probes when its time is over: one good answer closes it', async (t) => {
  const { gateway, ask, open } = await scene(t, { behaviours: statuses })
  await open('/500')
  await pause(320)
  const probe = await ask('/200')
  assert.deepEqual([probe.envelope.status, probe.envelope.breaker], [200, 'closed'])
  for (const path of ['/500', '/500', '/500']) assert.equal((await ask(path)).envelope.breaker, 'closed', 'it starts afresh')
  const text = await gateway.metrics()
  for (const to of ['open', 'half-open', 'closed']) {
    assert.equal(metric(text, 'sallyport_breaker_transitions_total', { adapter: 'rude', to }), 1, to)
  }
})

it('one failing probe opens it again', async (t) => {
  const { ask, open } = await scene(t, { behaviours: statuses })
  await open('/500')
  await pause(320)
  assert.deepEqual((await ask('/503')).envelope.breaker, 'open')
  assert.equal((await ask('/200')).envelope.error.type, 'BreakerOpen')
})

it('half-open admits `probes` at once and refuses the rest', async (t) => {
  const { upstream, ask, open } = await scene(t, { adapter: { breaker: { ...BREAKER, probes: 2 } } })
  await open('/short-body')
  await pause(320)
  const before = upstream.received.length
  const replies = await Promise.all(Array.from({ length: 6 }, () => ask('/slow-but-well')))
  const refused = replies.filter(({ envelope }) => envelope.error?.type === 'BreakerOpen')
  assert.deepEqual([upstream.received.length - before, refused.length], [2, 4])
  for (const { envelope } of refused) assert.deepEqual([envelope.breaker, envelope.attempts.length], ['half-open', 0])
  assert.equal((await ask('/ok')).envelope.breaker, 'closed')
})

it('a probe whose caller hung up frees its place and decides nothing', async (t) => {
  const { upstream, gateway, ask, open } = await scene(t)
  await open('/short-body')
  await pause(320)
  const before = upstream.received.length
  const hangUp = new AbortController()
  const probe = gateway.call({ url: `${upstream.origin}/stalls-in-body` }, { signal: hangUp.signal })
  await until('the probe is under way', () => upstream.received.length > before)
  await pause(20) // its head is read: a status that was well, and still no success
  hangUp.abort()
  await assert.rejects(probe)
  await upstream.drained()
  await assertFreed(gateway, 'rude')
  const text = await gateway.metrics()
  assert.equal(metric(text, 'sallyport_breaker_origins', { adapter: 'rude', state: 'half-open' }), 1)
  assert.equal((await ask('/ok')).envelope.breaker, 'closed', 'the next probe is admitted')
})

it('callers who hang up open nothing', async (t) => {
  const { upstream, gateway, ask } = await scene(t)
  for (const path of [
    '/stalls-before-headers',
    '/stalls-in-body',
    '/stalls-in-headers',
    '/stalls-before-headers',
    '/drips-body',
  ]) {
    const hangUp = new AbortController()
    const before = upstream.received.length
    const call = gateway.call({ url: upstream.origin + path }, { signal: hangUp.signal })
    await until('it is under way', () => upstream.received.length > before)
    hangUp.abort()
    await assert.rejects(call)
  }
  const { envelope } = await ask('/ok')
  assert.deepEqual([envelope.status, envelope.breaker], [200, 'closed'])
})

it('what the gateway itself refuses opens nothing', async (t) => {
  const hold = createHold()
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: { breaker: BREAKER, limits: { concurrency: 1, queue: 0 }, egress: { allow: ['127.0.0.1/32'] } },
    upstream: { behaviours: { held: hold.behaviour } },
  })
  const held = gateway.call({ url: `${upstream.origin}/held` })
  await until('the slot is taken', () => upstream.received.length === 1)
  for (let n = 0; n < 6; n++) {
    const { envelope } = await gateway.call({ url: `${upstream.origin}/ok` })
    assert.equal(envelope.error.type, 'BulkheadFull')
  }
  hold.release()
  await held
  assert.equal((await gateway.call({ url: `${upstream.origin}/ok` })).envelope.breaker, 'closed')
})

it('a try is refused too once it has opened under the call: no retry sleeps into it', async (t) => {
  const { ask, upstream } = await scene(t, { behaviours: statuses, adapter: { retry: { total: 5, backoffFactor: '1ms' } } })
  const { envelope } = await ask('/503')
  assert.deepEqual([envelope.status, envelope.breaker], [503, 'open'])
  assert.equal(envelope.attempts.length, 4)
  assert.equal(upstream.received.length, 4)
  assert.equal(envelope.notRetried, 'the circuit breaker has opened and would refuse another try')
})

it('a call in the queue is refused when its turn comes and the breaker has opened', async (t) => {
  const one = { breaker: { ...BREAKER, volume: 1 }, limits: { concurrency: 1, queue: 10 } }
  const { upstream, gateway, ask } = await scene(t, { adapter: one })
  const failing = ask('/stalls-before-headers', { timeout: { read: 100 } })
  await until('the slot is taken', () => upstream.received.length === 1)
  const queued = Array.from({ length: 3 }, () => ask('/ok'))
  await failing
  for (const { status, envelope } of await Promise.all(queued)) {
    assert.deepEqual([status, envelope.error.type, envelope.error.sent], [503, 'BreakerOpen', 'no'])
  }
  assert.equal(upstream.received.length, 1)
  await assertFreed(gateway, 'rude')
})

it('off is off', async (t) => {
  const { ask } = await scene(t, { behaviours: statuses, adapter: { breaker: 'off' } })
  for (let n = 0; n < 30; n++) assert.equal((await ask('/500')).envelope.breaker, null)
})
