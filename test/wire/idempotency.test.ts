// Idempotency keys over the wire: one key is one call at the upstream, for this replica and the next, whatever breaks between.
import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { STORE_KEY, startRedis, type TestRedis } from '../support/redis.ts'
import { createRudeUpstream, type RudeUpstream } from '../support/rude-upstream.ts'
import { assertFreed, createHold, loopbackAdapter, pause, setRudeScene, until } from '../support/wire.ts'

const hold = createHold('HTTP/1.1 201 Created\r\nSet-Cookie: a=b\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\ndone')

const post = (upstream: RudeUpstream, path: string, more: object = {}): object => ({
  ...{ url: upstream.origin + path, method: 'POST', json: { amount: 1 }, idempotencyKey: 'key-1' },
  ...more,
})

interface Replicas {
  readonly upstream: RudeUpstream
  readonly redis: TestRedis
  readonly one: TestGateway
  readonly two: TestGateway
}

/** Two replicas over one Redis. */
async function replicas(t: TestContext, adapter: object = {}): Promise<Replicas> {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const upstream = await createRudeUpstream({ behaviours: { held: hold.behaviour } })
  t.after(() => upstream.close())
  const options = {
    adapters: [loopbackAdapter('rude', upstream.origin, adapter)],
    config: { store: { redis: redis.url, key: STORE_KEY } },
  }
  const one = await startGateway(options)
  t.after(() => one.stop())
  const two = await startGateway(options)
  t.after(() => two.stop())
  for (const gateway of [one, two]) {
    await until('Redis is there', async () => JSON.parse((await gateway.get('/readyz')).text).degraded?.length !== 1)
  }
  return { upstream, redis, one, two }
}

it('a second call gets the outcome of the first, whole, with no attempt', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, { upstream: { behaviours: { made: hold.behaviour } } })
  const first = gateway.call(post(upstream, '/made'))
  await until('it is there', () => upstream.received.length === 1)
  hold.release()
  const original = (await first).envelope
  const again = await gateway.call(post(upstream, '/made'))
  const { envelope } = again
  assert.deepEqual([again.status, envelope.replayed, envelope.attempts, original.replayed], [200, true, [], undefined])
  for (const key of [
    'ok',
    'status',
    'reason',
    'url',
    'headers',
    'text',
    'bytes',
    'cookies',
    'history',
    'request',
    'error',
    'source',
  ]) {
    assert.deepEqual(envelope[key], original[key], key)
  }
  assert.equal(upstream.received.length, 1)
  const sent = upstream.received[0]?.headers.filter(([name]) => name === 'Idempotency-Key')
  assert.deepEqual(sent, [['Idempotency-Key', 'key-1']])
})

it('the key of another request is IdempotencyConflict, and nothing is sent', async (t) => {
  const { upstream, gateway } = await setRudeScene(t)
  await gateway.call(post(upstream, '/ok'))
  const others = [
    post(upstream, '/ok', { json: { amount: 2 } }),
    post(upstream, '/ok?x=1'),
    post(upstream, '/ok', { method: 'PUT' }),
    post(upstream, '/ok', { json: undefined, data: '{"amount":1} ' }),
  ]
  for (const other of others) {
    const { status, envelope } = await gateway.call(other)
    assert.deepEqual(
      [status, envelope.error.type, envelope.error.sent],
      [409, 'IdempotencyConflict', 'no'],
      JSON.stringify(other),
    )
    assert.deepEqual([envelope.source, envelope.attempts, envelope.error.retryable], ['gateway', [], false])
  }
  assert.equal(upstream.received.length, 1)
})

it('two in flight are one call at the upstream', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, { upstream: { behaviours: { held: hold.behaviour } } })
  const calls = Array.from({ length: 5 }, () => gateway.call(post(upstream, '/held')))
  await until('one is there', () => upstream.received.length === 1)
  await pause(50)
  hold.release()
  const replies = await Promise.all(calls)
  assert.equal(upstream.received.length, 1)
  for (const { envelope } of replies) assert.deepEqual([envelope.status, envelope.text, envelope.error], [201, 'done', null])
  assert.equal(replies.filter(({ envelope }) => envelope.replayed === true).length, 4)
  assert.equal(replies.filter(({ envelope }) => envelope.attempts.length === 1).length, 1)
  await assertFreed(gateway, 'rude')
})

it('the shared call goes on while anybody waits for it, and ends when all have hung up', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, { upstream: { behaviours: { held: hold.behaviour } } })
  const leave = [new AbortController(), new AbortController()]
  const first = gateway.call(post(upstream, '/held'), { signal: leave[0]?.signal as AbortSignal })
  await until('it is there', () => upstream.received.length === 1)
  const second = gateway.call(post(upstream, '/held'))
  await pause(50)
  leave[0]?.abort()
  await assert.rejects(first)
  await pause(30)
  hold.release()
  assert.deepEqual([(await second).envelope.status, (await second).envelope.replayed], [201, true])
  assert.equal(upstream.received.length, 1)

  const alone = gateway.call(post(upstream, '/held', { idempotencyKey: 'key-2' }), { signal: leave[1]?.signal as AbortSignal })
  await until('it is there too', () => upstream.received.length === 2)
  const open = upstream.open
  leave[1]?.abort()
  await assert.rejects(alone)
  await until("the upstream's connection is closed", () => upstream.open === open - 1)
  await assertFreed(gateway, 'rude')
  const later = await gateway.call(post(upstream, '/held', { idempotencyKey: 'key-2' }))
  assert.deepEqual([later.status, later.envelope.error.type], [409, 'OutcomeUnknown'])
  assert.equal(upstream.received.length, 2, 'never a silent repeat')
})

it('a failure that was not sent is not remembered; one that may have arrived is', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: { limits: { concurrency: 1, queue: 0 } },
    upstream: { behaviours: { held: hold.behaviour } },
  })
  const taker = gateway.call({ url: `${upstream.origin}/held` })
  await until('the only slot is taken', () => upstream.received.length === 1)
  const full = await gateway.call(post(upstream, '/ok'))
  assert.deepEqual([full.envelope.error.type, full.envelope.error.sent], ['BulkheadFull', 'no'])
  hold.release()
  await taker
  const carriedOut = await gateway.call(post(upstream, '/ok'))
  assert.deepEqual([carriedOut.envelope.status, carriedOut.envelope.replayed], [200, undefined])

  const dead = await gateway.call(post(upstream, '/resets-before-headers', { idempotencyKey: 'key-2' }))
  assert.deepEqual([dead.envelope.error.type, dead.envelope.error.sent], ['ConnectionError', 'maybe'])
  const received = upstream.received.length
  const again = await gateway.call(post(upstream, '/resets-before-headers', { idempotencyKey: 'key-2' }))
  assert.deepEqual([again.status, again.envelope.error.type, again.envelope.error.sent], [502, 'ConnectionError', 'maybe'])
  assert.deepEqual([again.envelope.replayed, again.envelope.attempts, upstream.received.length], [true, [], received])
})

it('an answer of any status is an outcome', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, {
    upstream: { behaviours: { fails: (socket) => socket.write('HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno') } },
  })
  for (const replayed of [undefined, true]) {
    const { envelope } = await gateway.call(post(upstream, '/fails'))
    assert.deepEqual([envelope.status, envelope.bytes, envelope.replayed], [500, 2, replayed])
  }
  assert.equal(upstream.received.length, 1)
})

it('an outcome is forgotten after idempotencyTtl', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, { adapter: { idempotencyTtl: '150ms' } })
  assert.equal((await gateway.call(post(upstream, '/ok'))).envelope.replayed, undefined)
  assert.equal((await gateway.call(post(upstream, '/ok'))).envelope.replayed, true)
  await pause(200)
  assert.equal((await gateway.call(post(upstream, '/ok'))).envelope.replayed, undefined)
  assert.equal(upstream.received.length, 2)
})

it("callers' keys are their own", async (t) => {
  const keys = { billing: 'billing-key-0123456789', search: 'search-key-0123456789' }
  const callers = Object.entries(keys).map(([name, key]) => ({ name, keys: [key], may: [{ adapter: 'rude' }] }))
  const { upstream, gateway } = await setRudeScene(t, { config: { callers } })
  const as = (key: string) => ({ headers: { 'x-sallyport-key': key } })
  for (const key of Object.values(keys)) {
    const { envelope } = await gateway.call(post(upstream, '/ok', { json: { of: key.slice(0, 6) } }), as(key))
    assert.deepEqual([envelope.status, envelope.replayed], [200, undefined])
  }
  assert.equal(upstream.received.length, 2)
})

it('replicas share keys: outcomes, calls under way, conflicts', async (t) => {
  const { upstream, one, two } = await replicas(t)
  assert.equal((await one.call(post(upstream, '/ok'))).envelope.replayed, undefined)
  const replayed = (await two.call(post(upstream, '/ok'))).envelope
  assert.deepEqual([replayed.status, replayed.json, replayed.replayed], [200, { hello: 'world' }, true])
  const conflict = await two.call(post(upstream, '/ok', { json: { amount: 2 } }))
  assert.deepEqual([conflict.status, conflict.envelope.error.type], [409, 'IdempotencyConflict'])

  const first = one.call(post(upstream, '/held', { idempotencyKey: 'key-2' }))
  await until('it is there', () => upstream.received.length === 2)
  const second = two.call(post(upstream, '/held', { idempotencyKey: 'key-2' }))
  await pause(80)
  hold.release()
  assert.equal((await first).envelope.replayed, undefined)
  assert.deepEqual([(await second).envelope.text, (await second).envelope.replayed], ['done', true])
  assert.equal(upstream.received.length, 2)
})

it('while Redis is away a call with a key is Overloaded, unsent; one without a key goes out; and back is back', async (t) => {
  const { upstream, redis, one } = await replicas(t)
  await redis.kill()
  const from = performance.now()
  const { status, headers, envelope } = await one.call(post(upstream, '/ok'))
  assert.ok(performance.now() - from < 3000)
  assert.deepEqual([status, envelope.error.type, envelope.error.sent, envelope.source], [503, 'Overloaded', 'no', 'gateway'])
  assert.ok(Number(headers['retry-after']) >= 1 && envelope.error.retryAfter > 0 && envelope.error.retryable)
  assert.match(envelope.error.message, /store/)
  assert.deepEqual([envelope.attempts, upstream.received.length], [[], 0])
  assert.equal((await one.call({ url: `${upstream.origin}/ok`, method: 'POST', data: 'x' })).envelope.status, 200)
  const ready = await one.get('/readyz')
  assert.deepEqual([ready.status, JSON.parse(ready.text)], [200, { ready: true, degraded: ['redis'] }])
  await redis.restart()
  const back = async (): Promise<boolean> => (await one.call(post(upstream, '/ok'))).envelope.status === 200
  await until('it is used again', back, 10_000)
  assert.equal(upstream.received.length, 2)
})

it('a Redis that is frozen costs a call its time limit at most', async (t) => {
  const { upstream, redis, one } = await replicas(t)
  redis.pause()
  const from = performance.now()
  const { status, envelope } = await one.call(post(upstream, '/ok', { timeout: { total: 10_000 } }))
  redis.resume()
  assert.ok(performance.now() - from < 4000, `${performance.now() - from} ms`)
  assert.deepEqual([status, envelope.error.type, upstream.received.length], [503, 'Overloaded', 0])
})

it('a Redis that dies under a call loses its memory, not its answer', async (t) => {
  const { upstream, redis, one } = await replicas(t)
  const call = one.call(post(upstream, '/held'))
  await until('it is there', () => upstream.received.length === 1)
  await redis.kill()
  hold.release()
  const { envelope } = await call
  assert.deepEqual([envelope.status, envelope.text, envelope.error], [201, 'done', null])
  assert.match(envelope.warnings.join(), /could not be remembered/)
})

it('with idempotency: local a key needs no Redis', async (t) => {
  const { upstream, redis, one, two } = await replicas(t, { idempotency: 'local' })
  await redis.kill()
  assert.equal((await one.call(post(upstream, '/ok'))).envelope.replayed, undefined)
  assert.equal((await one.call(post(upstream, '/ok'))).envelope.replayed, true)
  assert.equal((await two.call(post(upstream, '/ok'))).envelope.replayed, undefined, 'a memory of each replica')
  assert.equal(upstream.received.length, 2)
})

it('an outcome stands sealed in Redis; one that cannot be opened is OutcomeUnknown, never a fresh start', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const upstream = await createRudeUpstream({ behaviours: { held: hold.behaviour } })
  t.after(() => upstream.close())
  const start = async (store: object): Promise<TestGateway> => {
    const gateway = await startGateway({ adapters: [loopbackAdapter('rude', upstream.origin)], config: { store: { redis: redis.url, ...store } } }) // biome-ignore format: one line
    t.after(() => gateway.stop())
    await until('Redis is there', async () => (await gateway.get('/readyz')).text === '{"ready":true,"degraded":[]}')
    return gateway
  }
  const one = await start({ key: STORE_KEY })
  assert.equal((await one.call(post(upstream, '/ok'))).status, 200)
  const [key] = (await redis.command('KEYS', 'sallyport:idempotency:*')) as string[]
  const outcome = String(await redis.command('HGET', key ?? '', 'outcome'))
  assert.match(outcome, /^k1:[A-Za-z0-9+/=]+$/)
  await redis.command('HSET', key ?? '', 'outcome', outcome.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')).slice(0, -8))

  const unknown = async (gateway: TestGateway, key: string): Promise<void> => {
    const { status, envelope } = await gateway.call(post(upstream, '/ok', { idempotencyKey: key }))
    assert.deepEqual([status, envelope.error.type], [409, 'OutcomeUnknown'])
  }
  await unknown(one, 'key-1')
  // Without a sealing key each process seals under one of its own: another must not repeat the call, and cannot replay it.
  const [keyless, other] = [await start({}), await start({})]
  const mine = post(upstream, '/ok', { idempotencyKey: 'key-2' })
  assert.equal((await keyless.call(mine)).status, 200)
  assert.equal((await keyless.call(mine)).envelope.replayed, true)
  await unknown(other, 'key-2')
  assert.equal(upstream.received.length, 2)
})
