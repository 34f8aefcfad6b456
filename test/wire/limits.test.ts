// Slots, queues and rates over the wire: who waits, who is refused, and what the answer says of it.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { inTurn, type ReceivedRequest, says } from '../support/rude-upstream.ts'
import { assertFreed, createHold, pause, setRudeScene, stateOf, until } from '../support/wire.ts'

it('one call more than slots and queue is BulkheadFull at once, and nothing was sent', async (t) => {
  const hold = createHold()
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: { limits: { concurrency: 2, queue: 1 } },
    upstream: { behaviours: { held: hold.behaviour } },
  })
  const url = `${upstream.origin}/held`
  const within = [1, 2, 3].map(() => gateway.call({ url }))
  await until('slots and queue are full', async () => (await stateOf(gateway, 'rude')).queued === 1)
  assert.equal((await stateOf(gateway, 'rude')).slots, 2)
  const { status, headers, envelope } = await gateway.call({ url, method: 'POST', data: 'x', maxRetries: 3 })
  assert.deepEqual([status, envelope.error.type, envelope.error.sent], [503, 'BulkheadFull', 'no'])
  assert.deepEqual([envelope.source, envelope.attempts, envelope.error.retryable], ['gateway', [], true])
  assert.deepEqual([envelope.error.retryAfter, headers['retry-after']], [1000, '1'])
  assert.match(
    envelope.error.message,
    /all 2 slots \(limits\.concurrency\) and 1 places in the queue \(limits\.queue\) of adapter "rude"/,
  )
  hold.release()
  await until('the third has its turn', () => upstream.received.length === 3)
  hold.release()
  for (const reply of await Promise.all(within)) assert.equal(reply.envelope.status, 200)
  assert.equal(upstream.received.length, 3)
  await assertFreed(gateway, 'rude')
})

it('the queue is first come, first served, and its wait is told', async (t) => {
  const hold = createHold()
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: { limits: { concurrency: 1, queue: 10 } },
    upstream: { behaviours: { held: inTurn(hold.behaviour, says(200)) } },
  })
  const calls = []
  for (let n = 0; n < 4; n++) {
    calls.push(gateway.call({ url: `${upstream.origin}/held?n=${n}` }))
    await until('it has arrived', async () => {
      const { slots, queued } = await stateOf(gateway, 'rude')
      return slots + queued === n + 1
    })
  }
  await pause(50)
  hold.release()
  const replies = await Promise.all(calls)
  assert.deepEqual(
    upstream.received.map(({ target }: ReceivedRequest) => target),
    ['/held?n=0', '/held?n=1', '/held?n=2', '/held?n=3'],
  )
  const last = replies[3]?.envelope
  assert.deepEqual([last.attempts[0].because, last.attempts.length], ['queue', 1])
  assert.ok(last.attempts[0].waited >= 49, `waited ${last.attempts[0].waited} ms`)
  assert.equal(last.timings.queued, last.attempts[0].waited)
})

it('slots are kept per origin: a dead host does not shut its neighbours', async (t) => {
  const stalled = await setRudeScene(t)
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: { mount: 'http://', limits: { concurrency: 1, queue: 0 } },
  })
  const hanging = gateway.call({ url: `${stalled.upstream.origin}/stalls-before-headers`, timeout: { read: 300 } })
  await until('it hangs', () => stalled.upstream.received.length === 1)
  const well = await gateway.call({ url: `${upstream.origin}/ok` })
  assert.equal(well.envelope.status, 200)
  const full = await gateway.call({ url: `${stalled.upstream.origin}/ok` })
  assert.equal(full.envelope.error.type, 'BulkheadFull')
  await hanging
})

it('a waiting retry holds no slot', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: { limits: { concurrency: 1, queue: 0 }, retry: { total: 1 } },
    upstream: {
      behaviours: { later: (socket) => socket.write('HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n') },
    },
  })
  const waiting = gateway.call({ url: `${upstream.origin}/later` })
  await until('it waits', async () => upstream.received.length === 1 && (await stateOf(gateway, 'rude')).slots === 0)
  const { envelope } = await gateway.call({ url: `${upstream.origin}/ok` })
  assert.equal(envelope.status, 200)
  assert.equal((await waiting).envelope.attempts.length, 2)
})

it('a rate makes calls wait their turn, tries and not calls', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, { adapter: { limits: { rate: '10/s', burst: 1 } } })
  const from = performance.now()
  const replies = await Promise.all(Array.from({ length: 4 }, () => gateway.call({ url: `${upstream.origin}/ok` })))
  for (const { envelope } of replies) {
    const [{ waited, because }] = envelope.attempts
    assert.deepEqual([envelope.status, because], [200, waited === 0 ? null : 'rate limit'])
  }
  const tried = await gateway.call({ url: `${upstream.origin}/short-body`, maxRetries: { total: 2, backoffFactor: 0 } })
  assert.equal(tried.envelope.attempts.length, 3)
  const took = performance.now() - from
  assert.ok(took >= 6 * 100 - 5, `7 tries at 10/s took ${took} ms`)
})

it('a turn that would come after the deadline is RateLimited at once, saying when', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, { adapter: { limits: { rate: '2/m', burst: 1 } } })
  assert.equal((await gateway.call({ url: `${upstream.origin}/ok` })).envelope.status, 200)
  const from = performance.now()
  const { status, headers, envelope } = await gateway.call({ url: `${upstream.origin}/ok`, timeout: { total: 2000 } })
  assert.ok(performance.now() - from < 500, 'at once')
  assert.deepEqual([status, envelope.error.type, envelope.error.sent, envelope.source], [429, 'RateLimited', 'no', 'gateway'])
  assert.ok(envelope.error.retryAfter > 29_000 && envelope.error.retryAfter <= 30_000)
  assert.equal(headers['retry-after'], '30')
  assert.match(envelope.error.message, /limits\.rate of adapter "rude" is spent/)
  assert.deepEqual([envelope.attempts, upstream.received.length], [[], 1])
  await assertFreed(gateway, 'rude')
})

it('a try that would be rate limited past the deadline ends the retrying with RateLimited', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: { limits: { rate: '2/m', burst: 1 }, retry: { total: 2, backoffFactor: '1ms' } },
  })
  const { status, envelope } = await gateway.call({ url: `${upstream.origin}/short-body`, timeout: { total: 1000 } })
  assert.deepEqual([status, envelope.error.type, envelope.error.sent], [429, 'RateLimited', 'yes'])
  assert.equal(envelope.attempts.length, 1)
})

it('limits that are only observed let everything through, and tell of it', async (t) => {
  const hold = createHold()
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: { limits: { concurrency: 1, queue: 0, rate: '2/h', mode: 'observe' } },
    upstream: {
      behaviours: {
        held: hold.behaviour,
        limited: (socket) => void socket.write('HTTP/1.1 429 No\r\nRetry-After: 20\r\nContent-Length: 0\r\n\r\n'),
      },
    },
  })
  const first = gateway.call({ url: `${upstream.origin}/held` })
  await until('the slot is taken', () => upstream.received.length === 1)
  assert.equal((await gateway.call({ url: `${upstream.origin}/limited` })).envelope.status, 429)
  const { envelope } = await gateway.call({ url: `${upstream.origin}/ok` })
  assert.deepEqual([envelope.status, envelope.timings.queued, envelope.warnings.length], [200, 0, 3])
  for (const [index, said] of [/answered 429 with Retry-After/, /limits\.rate of adapter "rude"/, /all 1 slots/].entries()) {
    assert.match(envelope.warnings[index], /^would wait or be refused: /)
    assert.match(envelope.warnings[index], said)
  }
  hold.release()
  assert.deepEqual((await first).envelope.warnings, [])
  const observed = gateway.audit().flatMap((record) => (record.kind === 'result' && record.observed ? [record.observed] : []))
  assert.deepEqual(observed, [['bulkhead'], ['cooldown', 'rate', 'bulkhead']])
  assert.match(await gateway.metrics(), /sallyport_observed_refusals_total\{rule="bulkhead"\} 2/)
  await assertFreed(gateway, 'rude')
})

it("one caller's flood does not shut the queue to others, and they take turns", async (t) => {
  const hold = createHold()
  const callers = ['flood', 'quiet'].map((name) => ({
    name,
    keys: [`${name}-key-0123456789-0123456789-abc`],
    may: [{ adapter: 'rude' }],
  }))
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: { limits: { concurrency: 1, queue: 3 } },
    upstream: { behaviours: { held: hold.behaviour } },
    config: { callers, metrics: { public: true } },
  })
  const ask = (caller: string, n: number) =>
    gateway.call(
      { url: `${upstream.origin}/held?${caller}=${n}` },
      { headers: { 'x-sallyport-key': `${caller}-key-0123456789-0123456789-abc` } },
    )
  const flood = []
  for (let n = 0; n < 4; n++) {
    flood.push(ask('flood', n))
    await until('it has arrived', async () => {
      const { slots, queued } = await stateOf(gateway, 'rude')
      return slots + queued === n + 1
    })
  }
  const quiet = ask('quiet', 0)
  const pushedOut = await flood[3]
  assert.equal(pushedOut?.envelope.error.type, 'BulkheadFull')
  assert.match(pushedOut?.envelope.error.message, /the most by caller "flood": this one went to a caller that has fewer/)
  for (let n = 1; n <= 4; n++) {
    await until('the next has come', () => upstream.received.length === n)
    hold.release()
  }
  for (const reply of await Promise.all([quiet, ...flood.slice(0, 3)])) assert.equal(reply.envelope.status, 200)
  assert.deepEqual(
    upstream.received.map(({ target }: ReceivedRequest) => target),
    ['/held?flood=0', '/held?flood=1', '/held?quiet=0', '/held?flood=2'],
  )
})
