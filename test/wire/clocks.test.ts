// The three clocks: connect, read and total each end a call on time, wherever it stands, and free everything it held.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { STORE_KEY, startRedis } from '../support/redis.ts'
import { type BlackHole, createBlackHole, createRudeUpstream, type RudeUpstream } from '../support/rude-upstream.ts'
import { assertFreed, loopbackAdapter, startStopwatch, stateOf, until } from '../support/wire.ts'

interface SlowReader {
  readonly origin: string
  close(): Promise<void>
}

/** Reads the head of a request; of its body nothing, or everything after a while, and then answers. */
async function createSlowReader(): Promise<SlowReader> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    socket.once('data', (head: Buffer) => {
      socket.pause()
      if (head.includes('/never-reads')) return
      const length = Number(/content-length: (\d+)/i.exec(head.toString('latin1'))?.[1])
      let left = length - (head.length - head.indexOf('\r\n\r\n') - 4)
      socket.on('data', (chunk: Buffer) => {
        left -= chunk.length
        if (left === 0) socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
      })
      socket.pause()
      setTimeout(() => socket.resume(), 1200)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

describe('the read clock', () => {
  let upstream: RudeUpstream
  let gateway: TestGateway
  before(async () => {
    upstream = await createRudeUpstream({
      behaviours: {
        'stalls-after-interim': (socket) => socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'),
        'answers-and-holds-up-the-loop': (socket) => {
          socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
          for (const until = performance.now() + 120; performance.now() < until; ); // upstream and gateway share it here
        },
        'stalls-after-a-while': (socket) => {
          for (const ms of [60, 120, 180]) setTimeout(() => socket.write(ms === 60 ? 'HTTP/1.1 200 OK\r\n' : 'X-A: 1\r\n'), ms)
        },
      },
    })
    const rude = loopbackAdapter('rude', upstream.origin, { timeout: { read: '150ms', total: '5s' } })
    gateway = await startGateway({ adapters: [rude] })
    await gateway.call({ url: `${upstream.origin}/ok-then-closes` }) // what is done once is done
  })
  after(async () => {
    await gateway.stop()
    await upstream.close()
  })

  interface Stall {
    readonly name: string
    /** ms until the clock runs out. */
    readonly after: number
    readonly sent: 'maybe' | 'yes'
    readonly status: number | null
    readonly message: RegExp
  }
  const STALLS: readonly Stall[] = [
    {
      name: 'stalls-before-headers',
      after: 150,
      sent: 'maybe',
      status: null,
      message: /^no byte of an answer from 127\.0\.0\.1 for 150 ms/,
    },
    {
      name: 'stalls-in-headers',
      after: 150,
      sent: 'yes',
      status: null,
      message: /^no further byte of the response head from 127\.0\.0\.1 for 150 ms/,
    },
    {
      name: 'stalls-after-interim',
      after: 150,
      sent: 'yes',
      status: null,
      message: /^no further byte of the response head from 127\.0\.0\.1 for 150 ms/,
    },
    {
      name: 'stalls-after-a-while',
      after: 330,
      sent: 'yes',
      status: null,
      message: /^no further byte of the response head from 127\.0\.0\.1 for 150 ms/,
    },
    {
      name: 'stalls-in-body',
      after: 150,
      sent: 'yes',
      status: 200,
      message: /^no further byte of the body from 127\.0\.0\.1 for 150 ms/,
    },
  ]
  for (const stall of STALLS) {
    it(`${stall.name}: ReadTimeout after ${stall.after} ms, sent ${stall.sent}`, async () => {
      const watch = startStopwatch()
      const { status, envelope } = await gateway.call({ url: `${upstream.origin}/${stall.name}` })
      watch.assertEndedAfter(stall.after)
      assert.equal(status, 504)
      assert.deepEqual([envelope.error.type, envelope.error.sent, envelope.error.retryable], ['ReadTimeout', stall.sent, true])
      assert.match(envelope.error.message, stall.message)
      assert.match(envelope.error.message, /raise timeout\.read/)
      assert.equal(envelope.status, stall.status)
      assert.equal(envelope.source, 'upstream')
      assert.equal(envelope.attempts.length, 1)
      assert.deepEqual([envelope.attempts[0].error, envelope.attempts[0].sent], ['ReadTimeout', stall.sent])
      await upstream.drained() // its connection was closed, not kept
      await assertFreed(gateway, 'rude')
    })
  }

  it('does not begin while the upstream is slow to take the request; the total clock runs on', async (t) => {
    const slow = await createSlowReader()
    t.after(() => slow.close())
    const adapter = loopbackAdapter('slow', slow.origin, { timeout: { read: '1s', total: '20s' } })
    const patient = await startGateway({ adapters: [adapter] })
    t.after(() => patient.stop())
    const data = 'x'.repeat(8 * 1024 * 1024) // more than the buffers of a socket that nobody reads
    const taken = await patient.call({ url: `${slow.origin}/reads-after-1200-ms`, method: 'PUT', data })
    assert.deepEqual([taken.envelope.status, taken.envelope.error], [200, null])
    assert.ok(taken.envelope.timings.total >= 1200)
    const never = await patient.call({ url: `${slow.origin}/never-reads`, method: 'PUT', data, timeout: { total: 5000 } })
    const { total } = never.envelope.timings // without the time that the descriptor takes to arrive
    assert.ok(total >= 4998 && total < 50_000, `${total} ms`)
    assert.deepEqual([never.status, never.envelope.error.type, never.envelope.error.sent], [504, 'Timeout', 'maybe'])
    assert.deepEqual(await stateOf(patient, 'slow'), { connections: 0, idle: 0, slots: 0, queued: 0 })
  })

  it('does not take a held-up event loop for a silent upstream', async () => {
    const { envelope } = await gateway.call({ url: `${upstream.origin}/answers-and-holds-up-the-loop`, timeout: { read: 50 } })
    assert.deepEqual([envelope.status, envelope.error], [200, null])
  })

  it('a drip outlives it: only the total clock ends that', async () => {
    for (const name of ['drips-headers', 'drips-body']) {
      const watch = startStopwatch()
      const { status, envelope } = await gateway.call({ url: `${upstream.origin}/${name}`, timeout: { read: 100, total: 400 } })
      watch.assertEndedAfter(400)
      assert.deepEqual([status, envelope.error.type, envelope.error.sent, envelope.source], [504, 'Timeout', 'yes', 'upstream'])
      assert.equal(envelope.status, name === 'drips-body' ? 200 : null)
      assert.match(envelope.error.message, /timeout\.total of 400 ms ran out during try 1/)
      assert.equal(envelope.notRetried, 'timeout.total ran out')
      await upstream.drained()
      await assertFreed(gateway, 'rude')
    }
  })
})

describe('the connect clock', () => {
  let hole: BlackHole
  let silent: RudeUpstream
  let gateway: TestGateway
  before(async () => {
    hole = await createBlackHole()
    silent = await createRudeUpstream({ onConnect: 'says-nothing' })
    gateway = await startGateway({
      adapters: [
        loopbackAdapter('hole', `http://127.0.0.1:${hole.port}`, { timeout: { connect: '150ms' } }),
        loopbackAdapter('silent', `https://127.0.0.1:${silent.port}`, { timeout: { connect: '150ms' } }),
      ],
    })
    await gateway.get('/healthz')
  })
  after(async () => {
    await gateway.stop()
    await silent.close()
    await hole.close()
  })

  it('ends a TCP connection that is neither taken nor refused', async () => {
    const watch = startStopwatch()
    const { status, envelope } = await gateway.call({ url: `http://127.0.0.1:${hole.port}/`, method: 'POST', data: 'x' })
    watch.assertEndedAfter(150)
    assert.deepEqual([status, envelope.error.type, envelope.error.sent], [504, 'ConnectTimeout', 'no'])
    assert.equal(envelope.error.retryable, true, 'a POST that never left may be repeated')
    assert.match(
      envelope.error.message,
      /no connection to 127\.0\.0\.1 \(port \d+\) within 150 ms: waiting for TCP; .*timeout\.connect/,
    )
    assert.deepEqual([envelope.attempts[0].connect, envelope.attempts[0].firstByte], [null, null])
    await assertFreed(gateway, 'hole')
  })

  it('ends a TLS handshake that does not move', async () => {
    const watch = startStopwatch()
    const { status, envelope } = await gateway.call({ url: `https://127.0.0.1:${silent.port}/` })
    watch.assertEndedAfter(150)
    assert.deepEqual([status, envelope.error.type, envelope.error.sent], [504, 'ConnectTimeout', 'no'])
    assert.match(envelope.error.message, /in the TLS handshake/)
    await silent.drained()
    await assertFreed(gateway, 'silent')
  })

  it('runs anew for each try, and the total clock over them all', async () => {
    const watch = startStopwatch()
    const url = `http://127.0.0.1:${hole.port}/`
    const { envelope } = await gateway.call({
      url,
      timeout: { connect: 100, total: 250 },
      maxRetries: { total: 5, backoffFactor: 1 },
    })
    watch.assertEndedAfter(250)
    assert.deepEqual([envelope.error.type, envelope.error.sent], ['Timeout', 'no'])
    const errors = envelope.attempts.map(({ error }: { error: string }) => error)
    assert.deepEqual(errors, ['ConnectTimeout', 'ConnectTimeout', 'Timeout'])
    await assertFreed(gateway, 'hole')
  })
})

describe('timeouts as Requests takes them', () => {
  let upstream: RudeUpstream
  let hole: BlackHole
  let gateway: TestGateway
  before(async () => {
    upstream = await createRudeUpstream()
    hole = await createBlackHole()
    gateway = await startGateway({
      adapters: [
        loopbackAdapter('rude', upstream.origin, { timeout: { read: '2s', total: '5s' } }),
        loopbackAdapter('hole', `http://127.0.0.1:${hole.port}`),
      ],
      config: { ceilings: { timeout: { connect: '3s', read: '12s', total: '40s' } } },
    })
    await gateway.call({ url: `${upstream.origin}/ok` })
  })
  after(async () => {
    await gateway.stop()
    await upstream.close()
    await hole.close()
  })

  it('one value is connect and read', async () => {
    const stalled = startStopwatch()
    const read = await gateway.call({ url: `${upstream.origin}/stalls-before-headers`, timeout: 120 })
    stalled.assertEndedAfter(120)
    assert.equal(read.envelope.error.type, 'ReadTimeout')
    const hung = startStopwatch()
    const connect = await gateway.call({ url: `http://127.0.0.1:${hole.port}/`, timeout: '120ms' })
    hung.assertEndedAfter(120)
    assert.equal(connect.envelope.error.type, 'ConnectTimeout')
  })

  it('a pair is connect, read', async () => {
    const watch = startStopwatch()
    const read = await gateway.call({ url: `${upstream.origin}/stalls-before-headers`, timeout: [1000, 130] })
    watch.assertEndedAfter(130)
    assert.equal(read.envelope.error.type, 'ReadTimeout')
    const hung = startStopwatch()
    const connect = await gateway.call({ url: `http://127.0.0.1:${hole.port}/`, timeout: ['0.13s', null] })
    hung.assertEndedAfter(130)
    assert.equal(connect.envelope.error.type, 'ConnectTimeout')
  })

  it('what is longer than the ceiling is clamped, and said', async () => {
    const ask = { url: `${upstream.origin}/ok`, timeout: { connect: '1m', read: '1m', total: '1m' } }
    const { envelope } = await gateway.call(ask)
    assert.equal(envelope.error, null)
    assert.deepEqual(envelope.warnings.toSorted(), [
      'timeout.connect clamped to 3000',
      'timeout.read clamped to 12000',
      'timeout.total clamped to 40000',
    ])
    const plan = (await gateway.post('/v1/prepare', JSON.stringify(ask))).envelope.plan
    assert.deepEqual(plan.timeout, { connect: 3000, read: 12000, total: 40000 })
  })

  it('one that looks like seconds is taken as milliseconds, with a warning', async () => {
    const { envelope } = await gateway.call({ url: `${upstream.origin}/stalls-before-headers`, timeout: 30 })
    assert.equal(envelope.error.type, 'ReadTimeout')
    assert.match(envelope.warnings.join('\n'), /30.*millisecond/)
  })
})

describe('the total clock', () => {
  let upstream: RudeUpstream
  let gateway: TestGateway
  before(async () => {
    upstream = await createRudeUpstream({
      behaviours: {
        'slow-redirect': (socket, { target }) =>
          void setTimeout(() => socket.write(`HTTP/1.1 302 Found\r\nLocation: ${target}\r\nContent-Length: 0\r\n\r\n`), 80),
        'slow-503': (socket) => void setTimeout(() => socket.write('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n'), 100),
      },
    })
    const slow = { retry: { total: 5, backoffFactor: '20ms', budget: 'off' }, limits: { concurrency: 2, queue: 2 } }
    gateway = await startGateway({ adapters: [loopbackAdapter('rude', upstream.origin, slow)] })
    await gateway.call({ url: `${upstream.origin}/ok` })
  })
  after(async () => {
    await gateway.stop()
    await upstream.close()
  })

  it('runs on over redirects', async () => {
    const watch = startStopwatch()
    const { status, envelope } = await gateway.call({ url: `${upstream.origin}/slow-redirect`, timeout: { total: 300 } })
    watch.assertEndedAfter(300)
    assert.deepEqual([status, envelope.error.type, envelope.error.sent], [504, 'Timeout', 'yes'])
    // As many hops of 80 ms as went into it.
    const hops = envelope.attempts.map((attempt: { hop: number }) => attempt.hop)
    assert.deepEqual(hops, [...hops.keys()])
    assert.ok(hops.length > 1 && hops.length <= 4, `${hops.length} hops`)
    assert.equal(envelope.history.length, hops.length - 1)
    assert.equal(envelope.attempts.at(-1).error, 'Timeout')
    await assertFreed(gateway, 'rude')
  })

  it('runs on over retries: a wait that would outlast it is not begun', async () => {
    const { status, envelope } = await gateway.call({
      url: `${upstream.origin}/slow-503`,
      timeout: { total: 400 },
      maxRetries: { total: 5, backoffFactor: '10h', backoffMax: '10h' },
    })
    assert.deepEqual([status, envelope.status, envelope.error], [200, 503, null])
    assert.equal(envelope.attempts.length, 1)
    assert.match(envelope.notRetried, /^backoff, [\d.]+ ms, would outlast timeout\.total$/)
  })

  it('ends a try of a retried call in the middle', async () => {
    const watch = startStopwatch()
    const { status, envelope } = await gateway.call({
      url: `${upstream.origin}/slow-503`,
      timeout: { total: 250 },
      maxRetries: { total: 5, backoffFactor: 1 },
    })
    watch.assertEndedAfter(250)
    assert.deepEqual([status, envelope.error.type, envelope.error.sent], [504, 'Timeout', 'yes'])
    assert.match(envelope.error.message, /during try 3/)
    assert.deepEqual(
      envelope.attempts.map((a: { status?: number }) => a.status),
      [503, 503, undefined],
    )
    await assertFreed(gateway, 'rude')
  })

  it('ends in the queue: sent no, naming the queue, and the slots stay as they are', async () => {
    const url = `${upstream.origin}/stalls-before-headers`
    const takers = [1, 2].map(() => gateway.call({ url, timeout: { read: 400, total: 2000 }, maxRetries: 0 }))
    await until('both slots are taken', async () => (await stateOf(gateway, 'rude')).slots === 2)
    const watch = startStopwatch()
    const { status, envelope } = await gateway.call({ url, method: 'POST', timeout: { total: 150 } })
    watch.assertEndedAfter(150)
    assert.deepEqual([status, envelope.error.type, envelope.error.sent], [504, 'Timeout', 'no'])
    assert.equal(envelope.error.retryable, true)
    assert.equal(envelope.source, 'gateway')
    assert.match(envelope.error.message, /in the queue of adapter "rude" .*limits\.concurrency/)
    assert.deepEqual(envelope.attempts, [])
    assert.ok(envelope.timings.queued >= 75, `queued ${envelope.timings.queued} ms`)
    for (const { envelope: taker } of await Promise.all(takers)) assert.equal(taker.error.type, 'ReadTimeout')
    await assertFreed(gateway, 'rude')
  })

  it('ends while a session is fetched from a store that does not answer', async (t) => {
    const redis = await startRedis()
    t.after(() => redis.stop())
    const stored = await startGateway({
      adapters: [loopbackAdapter('rude', upstream.origin)],
      config: { store: { redis: redis.url, key: STORE_KEY } },
    })
    t.after(() => stored.stop())
    const url = `${upstream.origin}/ok`
    await until('Redis is there', async () => (await stored.call({ url, session: 's' })).status === 200)
    const before = upstream.received.length
    redis.pause()
    const watch = startStopwatch()
    const { status, envelope } = await stored.call({ url, session: 's', timeout: { total: 100 } })
    watch.assertEndedAfter(100)
    redis.resume()
    assert.deepEqual([status, envelope.error.type, envelope.error.sent], [504, 'Timeout', 'no'])
    assert.match(envelope.error.message, /before the first try began/)
    assert.deepEqual([envelope.source, envelope.attempts, upstream.received.length], ['gateway', [], before])
  })
})
