// Connections that cannot be made, and pooled ones that have died: what is an attempt, what is repeated for free, what is told.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { freePort } from '../support/free-port.ts'
import { startGateway } from '../support/gateway.ts'
import { type Behaviour, inTurn, says } from '../support/rude-upstream.ts'
import { assertFreed, createHold, loopbackAdapter, metric, setRudeScene, stateOf, until } from '../support/wire.ts'

const ONE_RETRY = { retry: { total: 1, backoffFactor: '1ms' } }

it('a refused connection is ConnectionError, sent no, and even a POST is tried again', async (t) => {
  const port = await freePort()
  const gateway = await startGateway({ adapters: [loopbackAdapter('gone', `http://127.0.0.1:${port}`, ONE_RETRY)] })
  t.after(() => gateway.stop())
  const { status, envelope } = await gateway.call({ url: `http://127.0.0.1:${port}/x`, method: 'POST', json: { a: 1 } })
  assert.deepEqual([status, envelope.source, envelope.status, envelope.reason], [502, 'upstream', null, null])
  assert.deepEqual([envelope.error.type, envelope.error.sent, envelope.error.retryable], ['ConnectionError', 'no', true])
  assert.match(
    envelope.error.message,
    new RegExp(`connection refused by 127\\.0\\.0\\.1 \\(port ${port}\\); check that it is up`),
  )
  assert.equal(envelope.notRetried, 'retry.total, 1, is used up')
  assert.equal(envelope.attempts.length, 2)
  for (const attempt of envelope.attempts) {
    assert.deepEqual([attempt.error, attempt.sent, attempt.connect, attempt.firstByte], ['ConnectionError', 'no', null, null])
    assert.deepEqual([attempt.reused, attempt.status], [false, undefined])
  }
  assert.deepEqual([envelope.attempts[0].because, envelope.attempts[1].because], [null, 'backoff'])
  assert.deepEqual([envelope.timings.connect, envelope.timings.firstByte, envelope.elapsed], [null, null, null])
  await assertFreed(gateway, 'gone')
})

for (const onConnect of ['closes', 'resets'] as const) {
  it(`an upstream that ${onConnect} each connection at once fails the call, without a loop and without a leak`, async (t) => {
    const { upstream, gateway } = await setRudeScene(t, { upstream: { onConnect } })
    const { status, envelope } = await gateway.call({ url: `${upstream.origin}/ok` })
    assert.deepEqual([status, envelope.error.type, envelope.status], [502, 'ConnectionError', null])
    assert.equal(envelope.attempts.length, 1)
    await upstream.drained()
    await assertFreed(gateway, 'rude')
  })
}

it('a connection is kept and used again, and the ledger says so', async (t) => {
  const { upstream, gateway } = await setRudeScene(t)
  const first = await gateway.call({ url: `${upstream.origin}/ok` })
  const second = await gateway.call({ url: `${upstream.origin}/ok` })
  assert.equal(upstream.accepted, 1)
  assert.deepEqual([first.envelope.attempts[0].reused, second.envelope.attempts[0].reused], [false, true])
  assert.ok(first.envelope.timings.connect >= 0 && first.envelope.attempts[0].connect !== null)
  assert.deepEqual([second.envelope.timings.connect, second.envelope.attempts[0].connect], [null, null])
  assert.deepEqual(await stateOf(gateway, 'rude'), { connections: 1, idle: 1, slots: 0, queued: 0 })
})

it('a pooled connection that died before the request is no attempt at all', async (t) => {
  const { upstream, gateway } = await setRudeScene(t)
  await gateway.call({ url: `${upstream.origin}/closes-while-idle` })
  await upstream.drained()
  const { envelope } = await gateway.call({ url: `${upstream.origin}/ok`, method: 'POST', data: 'x' })
  assert.deepEqual([envelope.status, envelope.error], [200, null])
  assert.equal(envelope.attempts.length, 1)
  assert.equal(envelope.attempts[0].reused, false)
})

it('one that dies under the request is repeated once, free of retries and budget, where a repeat is safe', async (t) => {
  const { upstream, gateway } = await setRudeScene(t)
  await gateway.call({ url: `${upstream.origin}/dies-on-reuse` })
  const { envelope } = await gateway.call({ url: `${upstream.origin}/dies-on-reuse` })
  assert.deepEqual([envelope.status, envelope.error, envelope.notRetried], [200, null, null])
  const [dead, well] = envelope.attempts
  assert.equal(envelope.attempts.length, 2)
  assert.deepEqual([dead.reused, dead.error, dead.sent, dead.status], [true, 'ConnectionError', 'maybe', undefined])
  assert.deepEqual([well.reused, well.status, well.sent, well.waited], [false, 200, 'yes', 0])
  assert.equal(metric(await gateway.metrics(), 'sallyport_retries_total', { adapter: 'rude', reason: 'stale' }), 1)
})

it('one that dies under a POST is told as it is: it may have arrived', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, { adapter: { retry: { total: 3 } } })
  await gateway.call({ url: `${upstream.origin}/dies-on-reuse` })
  const { status, envelope } = await gateway.call({ url: `${upstream.origin}/dies-on-reuse`, method: 'POST', data: 'x' })
  assert.deepEqual([status, envelope.error.type, envelope.error.sent], [502, 'ConnectionError', 'maybe'])
  assert.equal(envelope.error.retryable, false)
  assert.equal(envelope.attempts.length, 1)
  assert.match(envelope.notRetried, /^POST is not repeated: the request may have arrived; give an idempotencyKey$/)
})

it('a POST with an idempotency key is repeated as a GET would be', async (t) => {
  const { upstream, gateway } = await setRudeScene(t)
  await gateway.call({ url: `${upstream.origin}/dies-on-reuse` })
  const { envelope } = await gateway.call({
    url: `${upstream.origin}/dies-on-reuse`,
    ...{ method: 'POST', data: 'x', idempotencyKey: 'k-1' },
  })
  assert.deepEqual([envelope.status, envelope.error, envelope.attempts.length], [200, null, 2])
})

it('where all pooled connections have died unseen, the one free repeat goes out on a new one', async (t) => {
  const hold = createHold()
  const onNew = inTurn(...Array<Behaviour>(5).fill(hold.behaviour), says(200))
  const { upstream, gateway } = await setRudeScene(t, {
    upstream: {
      behaviours: {
        'held-then-dies': (socket, request) => (request.nth > 1 ? socket.resetAndDestroy() : onNew(socket, request)),
      },
    },
  })
  const url = `${upstream.origin}/held-then-dies`
  const first = Promise.all(Array.from({ length: 5 }, () => gateway.call({ url })))
  await until('each has its connection', () => upstream.received.length === 5)
  hold.release()
  await first
  assert.equal((await stateOf(gateway, 'rude')).idle, 5)
  const { envelope } = await gateway.call({ url })
  assert.deepEqual([envelope.status, envelope.error], [200, null])
  const reused = envelope.attempts.map((attempt: { reused: boolean }) => attempt.reused)
  assert.deepEqual(reused, [true, false])
  await until('only the new one is left', () => upstream.open === 1)
  await assertFreed(gateway, 'rude')
})

it('an idle connection is closed after pool.idle', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, { adapter: { pool: { idle: '100ms' } } })
  await gateway.call({ url: `${upstream.origin}/ok` })
  assert.equal(upstream.open, 1)
  await upstream.drained(1500)
  assert.deepEqual(await stateOf(gateway, 'rude'), { connections: 0, idle: 0, slots: 0, queued: 0 })
})

it("an upstream's own shorter keep-alive is respected", async (t) => {
  const { upstream, gateway } = await setRudeScene(t, {
    upstream: {
      behaviours: {
        hinted: (socket) => socket.write('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\nContent-Length: 0\r\n\r\n'),
      },
    },
  })
  await gateway.call({ url: `${upstream.origin}/hinted` })
  await upstream.drained(1500)
})

it('no more connections than pool.connections are made, and all calls are served', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, { adapter: { pool: { connections: 3 }, limits: { queue: 30 } } })
  const calls = Array.from({ length: 12 }, () => gateway.call({ url: `${upstream.origin}/slow-but-well` }))
  for (const { envelope } of await Promise.all(calls)) assert.equal(envelope.status, 200)
  assert.equal(upstream.accepted, 3)
  await assertFreed(gateway, 'rude')
})

it('the connections of an adapter that a reload removes are closed', async (t) => {
  const { upstream, gateway } = await setRudeScene(t)
  await gateway.call({ url: `${upstream.origin}/ok` })
  assert.equal(upstream.open, 1)
  await gateway.reload({ adapters: [] })
  await upstream.drained()
})

it('a bomb is stopped at the limit: memory stays where it was', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, { adapter: { responseSize: '256KiB' } })
  await gateway.call({ url: `${upstream.origin}/bomb` }) // the upstream makes it once
  global.gc?.()
  const before = process.memoryUsage()
  let peak = 0
  const watch = setInterval(() => {
    const { rss } = process.memoryUsage()
    peak = Math.max(peak, rss)
  }, 1)
  const calls = Array.from({ length: 20 }, (_, i) =>
    gateway.call({ url: `${upstream.origin}/${i % 2 === 0 ? 'bomb' : 'nested-bomb'}` }),
  )
  for (const { envelope } of await Promise.all(calls)) assert.equal(envelope.error.type, 'ResponseTooLarge')
  clearInterval(watch)
  // 20 of them undone would be 640 MiB.
  assert.ok(peak - before.rss < 100 * 1024 * 1024, `grew by ${Math.round((peak - before.rss) / 1024 / 1024)} MiB`)
})

it('an endless body is cut off at the limit, not read on', async (t) => {
  let written = 0
  const piece = Buffer.alloc(64 * 1024)
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: { responseSize: '1MiB' },
    upstream: {
      behaviours: {
        floods: (socket) => {
          socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n')
          const flood = (): void => {
            while (!socket.destroyed && socket.write(piece)) written += piece.length
          }
          socket.on('drain', flood)
          flood()
        },
      },
    },
  })
  const { envelope } = await gateway.call({ url: `${upstream.origin}/floods` })
  assert.equal(envelope.error.type, 'ResponseTooLarge')
  await upstream.drained()
  assert.ok(written < 16 * 1024 * 1024, `${written} bytes were taken`)
})
