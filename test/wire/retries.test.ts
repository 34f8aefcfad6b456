// Further tries: what is tried again, when, how often, and the rule that said no, all as the ledger tells it.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { freePort } from '../support/free-port.ts'
import { inTurn, says } from '../support/rude-upstream.ts'
import { assertFreed, metric, setRudeScene, startStopwatch } from '../support/wire.ts'

const QUICK = { retry: { total: 2, backoffFactor: '1ms' } }

// biome-ignore lint/suspicious/noExplicitAny: the envelope under test
const column = (envelope: any, key: string): unknown[] =>
  envelope.attempts.map((attempt: Record<string, unknown>) => attempt[key])

it('a listed status is tried again until it is well, and each wait is told', async (t) => {
  const flaky = inTurn(says(503), says(429), says(200))
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: { retry: { total: 2, backoffFactor: '40ms' } },
    upstream: { behaviours: { flaky } },
  })
  const { status, envelope } = await gateway.call({ url: `${upstream.origin}/flaky` })
  assert.deepEqual([status, envelope.status, envelope.ok, envelope.notRetried], [200, 200, true, null])
  assert.deepEqual(column(envelope, 'status'), [503, 429, 200])
  assert.deepEqual(column(envelope, 'sent'), ['yes', 'yes', 'yes'])
  assert.deepEqual(column(envelope, 'because'), [null, 'backoff', 'backoff'])
  const [first, second, third] = column(envelope, 'waited') as number[]
  assert.equal(first, 0)
  assert.ok((second ?? 99) <= 40 + 50 && (third ?? 199) <= 80 + 50, `full jitter: ${second} and ${third} ms`)
  assert.ok(envelope.timings.queued >= (second ?? 0) + (third ?? 0) - 2)
  const text = await gateway.metrics()
  assert.equal(metric(text, 'sallyport_retries_total', { adapter: 'rude', reason: 'status' }), 2)
  await assertFreed(gateway, 'rude')
})

for (const status of [429, 502, 503, 504]) {
  it(`${status} is tried again, and the last answer is returned with its attempts`, async (t) => {
    const { upstream, gateway } = await setRudeScene(t, { adapter: QUICK, upstream: { behaviours: { fails: says(status) } } })
    const { envelope } = await gateway.call({ url: `${upstream.origin}/fails` })
    assert.deepEqual([envelope.status, envelope.ok, envelope.error, envelope.source], [status, false, null, 'upstream'])
    assert.deepEqual(column(envelope, 'status'), [status, status, status])
    assert.equal(envelope.notRetried, 'retry.total, 2, is used up')
  })
}

for (const status of [400, 404, 408, 500, 501, 505]) {
  it(`${status} is not tried again`, async (t) => {
    const { upstream, gateway } = await setRudeScene(t, { adapter: QUICK, upstream: { behaviours: { fails: says(status) } } })
    const { envelope } = await gateway.call({ url: `${upstream.origin}/fails` })
    assert.deepEqual([envelope.status, envelope.attempts.length], [status, 1])
    assert.equal(envelope.notRetried, status >= 500 ? `status ${status} is not in retry.statusForcelist` : null)
  })
}

interface MethodCase {
  readonly method: string
  readonly key?: boolean
  readonly tries: number
}
const METHODS: readonly MethodCase[] = [
  ...['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'].map((method) => ({ method, tries: 3 })),
  ...['POST', 'PATCH', 'REPORT'].map((method) => ({ method, tries: 1 })),
  ...['POST', 'PATCH'].map((method) => ({ method, key: true, tries: 3 })),
]
for (const { method, key, tries } of METHODS) {
  it(`${method} ${key ? 'with an idempotencyKey' : ''} makes ${tries} tries on 503`, async (t) => {
    const { upstream, gateway } = await setRudeScene(t, { adapter: QUICK, upstream: { behaviours: { fails: says(503) } } })
    const asked = { url: `${upstream.origin}/fails`, method, ...(key ? { idempotencyKey: 'k-1' } : {}) }
    const { envelope } = await gateway.call(asked)
    assert.deepEqual([envelope.status, envelope.attempts.length], [503, tries])
    assert.match(envelope.notRetried, tries === 1 ? new RegExp(`^${method} is not repeated: .*arrived`) : /is used up/)
    const keys = upstream.received.map(({ headers }) => headers.find(([name]) => name === 'Idempotency-Key')?.[1])
    assert.deepEqual(keys, new Array(tries).fill(key ? 'k-1' : undefined))
  })
}

it('a POST whose connection was refused is tried again; one whose answer broke is not', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, { adapter: QUICK })
  const port = await freePort()
  await gateway.reload({
    adapters: [{ name: 'rude', mount: 'http://', egress: { allow: ['127.0.0.0/8'] }, ...QUICK }],
  })
  const refused = await gateway.call({ url: `http://127.0.0.1:${port}/`, method: 'POST', data: 'x' })
  assert.deepEqual(column(refused.envelope, 'sent'), ['no', 'no', 'no'])
  const broken = await gateway.call({ url: `${upstream.origin}/short-body`, method: 'POST', data: 'x' })
  assert.deepEqual(column(broken.envelope, 'error'), ['ChunkedEncodingError'])
  assert.equal(broken.envelope.error.retryable, false)
  const read = await gateway.call({ url: `${upstream.origin}/short-body` })
  assert.deepEqual(column(read.envelope, 'error'), new Array(3).fill('ChunkedEncodingError'))
  assert.equal(read.envelope.error.retryable, true)
})

it('every reason has its own counter, and a plain number holds for all', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: { mount: 'http://', retry: { total: 4, backoffFactor: '1ms' } },
    upstream: { behaviours: { fails: says(503), mixed: inTurn(says(503), (socket) => socket.end(), says(503), says(503)) } },
  })
  const gone = `http://127.0.0.1:${await freePort()}/`
  const cases: readonly [asked: object, tries: number, rule: string][] = [
    [{ url: gone, maxRetries: { connect: 1 } }, 2, 'retry.connect, 1, is used up'],
    [{ url: gone, maxRetries: { connect: 0 } }, 1, 'retry.connect is 0'],
    [{ url: `${upstream.origin}/short-body`, maxRetries: { read: 2 } }, 3, 'retry.read, 2, is used up'],
    [{ url: `${upstream.origin}/fails`, maxRetries: { status: 1 } }, 2, 'retry.status, 1, is used up'],
    [{ url: `${upstream.origin}/fails`, maxRetries: { status: 3, total: 1 } }, 2, 'retry.total, 1, is used up'],
    [{ url: `${upstream.origin}/fails`, maxRetries: 3 }, 4, 'retry.total, 3, is used up'],
    [{ url: `${upstream.origin}/fails`, maxRetries: 0 }, 1, 'retry.total is 0'],
    [{ url: `${upstream.origin}/mixed`, maxRetries: { read: 1, status: 1 } }, 3, 'retry.status, 1, is used up'],
  ]
  for (const [asked, tries, rule] of cases) {
    const { envelope } = await gateway.call(asked)
    assert.deepEqual([envelope.attempts.length, envelope.notRetried], [tries, rule], JSON.stringify(asked))
  }
})

it('more tries than the ceiling are clamped, and said', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: QUICK,
    config: { ceilings: { maxRetries: 3 } },
    upstream: { behaviours: { fails: says(503) } },
  })
  const { envelope } = await gateway.call({ url: `${upstream.origin}/fails`, maxRetries: 9 })
  assert.equal(envelope.attempts.length, 4)
  assert.deepEqual(envelope.warnings, ['maxRetries clamped to 3'])
})

it('a caller may narrow the methods and choose the statuses, and not widen the methods', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: QUICK,
    upstream: { behaviours: { fails: says(503), teapot: says(418) } },
  })
  const narrowed = await gateway.call({ url: `${upstream.origin}/fails`, maxRetries: { allowedMethods: ['PUT'] } })
  assert.equal(narrowed.envelope.attempts.length, 1)
  const widened = await gateway.call({
    url: `${upstream.origin}/fails`,
    ...{ method: 'POST', data: 'x', maxRetries: { allowedMethods: ['POST'] } },
  })
  assert.equal(widened.envelope.attempts.length, 1)
  assert.match(widened.envelope.warnings.join(), /allowedMethods clamped/)
  const chosen = await gateway.call({ url: `${upstream.origin}/teapot`, maxRetries: { statusForcelist: [418] } })
  assert.deepEqual(column(chosen.envelope, 'status'), [418, 418, 418])
})

it('an adapter may allow every method', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: { retry: { total: 1, backoffFactor: '1ms', allowedMethods: null } },
    upstream: { behaviours: { fails: says(503) } },
  })
  const { envelope } = await gateway.call({ url: `${upstream.origin}/fails`, method: 'POST', data: 'x' })
  assert.deepEqual(column(envelope, 'status'), [503, 503])
})

it('Retry-After in seconds is waited in full', async (t) => {
  const later = inTurn(says(503, 'Retry-After: 1'), says(200))
  const { upstream, gateway } = await setRudeScene(t, { adapter: QUICK, upstream: { behaviours: { later } } })
  const watch = startStopwatch()
  const { envelope } = await gateway.call({ url: `${upstream.origin}/later` })
  watch.assertEndedAfter(1000)
  assert.deepEqual(column(envelope, 'status'), [503, 200])
  assert.deepEqual(column(envelope, 'because'), [null, 'Retry-After'])
  assert.ok(envelope.attempts[1].waited >= 999)
})

it('Retry-After as a date is waited for; one that is past is no wait', async (t) => {
  const past = inTurn(says(503, 'Retry-After: Sun, 06 Nov 1994 08:49:37 GMT'), says(200))
  const soon = inTurn((socket, request) => {
    const date = new Date(Math.ceil(Date.now() / 1000) * 1000 + 1000).toUTCString()
    says(429, `Retry-After: ${date}`)(socket, request)
  }, says(200))
  const { upstream, gateway } = await setRudeScene(t, { adapter: QUICK, upstream: { behaviours: { past, soon } } })
  const before = await gateway.call({ url: `${upstream.origin}/past` })
  assert.deepEqual(column(before.envelope, 'because'), [null, 'Retry-After'])
  assert.ok(before.envelope.attempts[1].waited < 100)
  const from = Date.now()
  const after = await gateway.call({ url: `${upstream.origin}/soon` })
  assert.deepEqual(column(after.envelope, 'because'), [null, 'Retry-After'])
  assert.ok(Date.now() >= Math.ceil(from / 1000) * 1000 + 1000, 'not before its date')
})

it('a Retry-After that is neither digits nor a date is passed over', async (t) => {
  for (const value of ['1e3', '-1', '0x10', 'soon', '1.5', '']) {
    const later = inTurn(says(503, `Retry-After: ${value}`), says(200))
    const { upstream, gateway } = await setRudeScene(t, { adapter: QUICK, upstream: { behaviours: { later } } })
    const { envelope } = await gateway.call({ url: `${upstream.origin}/later` })
    assert.deepEqual(column(envelope, 'because'), [null, 'backoff'], `Retry-After: ${value}`)
  }
})

it('a Retry-After over retryAfterMax ends the retrying, and so does one past the deadline', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: QUICK,
    upstream: { behaviours: { 'much-later': says(503, 'Retry-After: 31'), later: says(503, 'Retry-After: 20') } },
  })
  const long = await gateway.call({ url: `${upstream.origin}/much-later` })
  assert.deepEqual([long.envelope.status, long.envelope.attempts.length, long.envelope.error], [503, 1, null])
  assert.equal(long.envelope.notRetried, 'Retry-After, 31000 ms, is over retry.retryAfterMax, 30000 ms')
  const late = await gateway.call({ url: `${upstream.origin}/later`, timeout: { total: 5000 } })
  assert.equal(late.envelope.notRetried, 'Retry-After, 20000 ms, would outlast timeout.total')
  const raised = await gateway.call({ url: `${upstream.origin}/much-later`, maxRetries: { raiseOnStatus: true } })
  assert.deepEqual([raised.status, raised.envelope.error.type, raised.envelope.error.retryAfter], [502, 'RetryError', 31_000])
})

it('respectRetryAfterHeader: false backs off as ever', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: QUICK,
    upstream: { behaviours: { later: inTurn(says(503, 'Retry-After: 20'), says(200)) } },
  })
  const asked = { url: `${upstream.origin}/later`, maxRetries: { respectRetryAfterHeader: false } }
  const { envelope } = await gateway.call(asked)
  assert.deepEqual(column(envelope, 'because'), [null, 'backoff'])
})

it('raiseOnStatus turns the last listed status into RetryError, its head kept', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: QUICK,
    upstream: { behaviours: { fails: says(503, 'X-Why: full') } },
  })
  const { status, envelope } = await gateway.call({ url: `${upstream.origin}/fails`, maxRetries: { raiseOnStatus: true } })
  assert.deepEqual([status, envelope.error.type, envelope.error.sent, envelope.error.retryable], [502, 'RetryError', 'yes', true])
  assert.deepEqual([envelope.status, envelope.headers['x-why'], envelope.ok], [503, 'full', false])
  assert.match(envelope.error.message, /still answered 503 after 3 tries/)
  assert.equal(envelope.attempts.length, 3)
})

it("where the last try met no answer, its own error is given, and `sent` is the greatest of all tries'", async (t) => {
  const dying = inTurn(says(503), (socket) => socket.resetAndDestroy())
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: { retry: { total: 1, backoffFactor: '1ms', raiseOnStatus: true } },
    upstream: { behaviours: { dying: (socket, request) => dying(socket, request) } },
  })
  const { status, envelope } = await gateway.call({ url: `${upstream.origin}/dying`, maxRetries: { total: 2 } })
  assert.deepEqual([status, envelope.error.type, envelope.error.sent], [502, 'ConnectionError', 'yes'])
  assert.equal(envelope.status, null, 'of the last try, which met none')
  assert.equal(envelope.attempts[0].status, 503)
})

it('the budget of an adapter ends a storm, and says so', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: { retry: { total: 3, backoffFactor: '1ms', budget: '20%' } },
    upstream: { behaviours: { fails: says(503) } },
  })
  const replies = await Promise.all(Array.from({ length: 20 }, () => gateway.call({ url: `${upstream.origin}/fails` })))
  const retries = replies.reduce((sum, { envelope }) => sum + envelope.attempts.length - 1, 0)
  assert.equal(retries, 10, 'the floor in 10 s')
  const refused = replies.filter(({ envelope }) => envelope.notRetried === 'retry.budget of adapter "rude" is spent')
  assert.ok(refused.length >= 10)
  const text = await gateway.metrics()
  assert.equal(metric(text, 'sallyport_retries_refused_total', { adapter: 'rude', rule: 'budget' }), refused.length)
})

it('each hop has tries of its own', async (t) => {
  const from = inTurn(says(503), says(302, 'Location: /to'))
  const to = inTurn(says(503), says(503), says(200))
  const { upstream, gateway } = await setRudeScene(t, { adapter: QUICK, upstream: { behaviours: { from, to } } })
  const { envelope } = await gateway.call({ url: `${upstream.origin}/from` })
  assert.equal(envelope.status, 200)
  assert.deepEqual(column(envelope, 'hop'), [0, 0, 1, 1, 1])
  assert.deepEqual(column(envelope, 'status'), [503, 302, 503, 503, 200])
})
