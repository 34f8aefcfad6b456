// Upstreams that speak HTTP/2, through the whole gateway: many calls on one connection, and what happens to the others when one
// of them, or the connection, breaks.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  constants,
  createSecureServer,
  type Http2SecureServer,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { it, type TestContext } from 'node:test'
import { certificates } from '../support/certificates.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { assertFreed, loopbackAdapter, makeFolder, metric, pause, startStopwatch, stateOf, until } from '../support/wire.ts'

type Answer = (stream: ServerHttp2Stream, session: ServerHttp2Session, request: Received) => void

interface Received {
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
  /** 1 for the first session. */
  readonly session: number
}

interface Scene {
  readonly gateway: TestGateway
  readonly received: readonly Received[]
  readonly open: () => number
  /** Sessions begun so far. */
  readonly begun: () => number
  at(path: string): string
}

const ok: Answer = (stream) => {
  stream.respond({ ':status': 200, 'content-type': 'application/json' })
  stream.end('{"hello":"world"}')
}

interface Relay {
  readonly port: number
  /** Nothing passes on the connections there are, nor closes them, as behind a firewall that has forgotten them. */
  freeze(): void
  thaw(): void
}

async function createRelay(t: TestContext, port: number): Promise<Relay> {
  const sockets = new Set<Socket>()
  const relay = createServer((socket) => {
    const onward = connect(port, '127.0.0.1')
    for (const one of [socket, onward]) {
      sockets.add(one)
      one.on('error', () => {}).on('close', () => sockets.delete(one))
    }
    socket.on('data', (chunk) => onward.write(chunk)).on('close', () => onward.destroy())
    onward.on('data', (chunk) => socket.write(chunk)).on('close', () => socket.destroy())
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => relay.close(resolve))
  })
  return {
    port: (relay.address() as AddressInfo).port,
    freeze() {
      for (const socket of sockets) socket.pause()
    },
    thaw() {
      for (const socket of sockets) socket.resume()
    },
  }
}

async function scene(
  t: TestContext,
  answers: Readonly<Record<string, Answer>>,
  adapter: object = {},
): Promise<Scene & { readonly relay: Relay }> {
  const made = certificates()
  const folder = makeFolder({ 'ca.pem': made.ca })
  const server: Http2SecureServer = createSecureServer({ ...made.good, allowHTTP1: false })
  const sessions = new Set<ServerHttp2Session>()
  const received: Received[] = []
  let begun = 0
  server.on('session', (session) => {
    const number = ++begun
    sessions.add(session)
    session.on('error', () => {}).on('close', () => sessions.delete(session))
    session.on('stream', (stream, headers) => {
      const chunks: Buffer[] = []
      stream.on('error', () => {}).on('data', (chunk: Buffer) => chunks.push(chunk))
      if (headers[':path'] === '/slow-reader') {
        stream.pause()
        setTimeout(() => stream.resume(), 400)
      }
      stream.on('end', () => {
        const request = { headers, body: Buffer.concat(chunks).toString(), session: number }
        received.push(request)
        const name = String(headers[':path']).split(/[/?]/)[1] ?? ''
        ;(answers[name] ?? ok)(stream, session, request)
      })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const relay = await createRelay(t, (server.address() as AddressInfo).port)
  const origin = `https://127.0.0.1:${relay.port}`
  const rude = loopbackAdapter('two', origin, { pool: { http2: true }, tls: { ca: 'test' }, ...adapter })
  const gateway = await startGateway({ adapters: [rude], config: { caBundles: { test: folder.path('ca.pem') } } })
  t.after(async () => {
    await gateway.stop()
    for (const session of sessions) session.destroy()
    await new Promise((resolve) => server.close(resolve))
    folder.remove()
  })
  return { gateway, received, relay, open: () => sessions.size, begun: () => begun, at: (path) => origin + path }
}

const later =
  (ms: number, answer: Answer): Answer =>
  (stream, session, request) =>
    void setTimeout(() => answer(stream, session, request), ms)

it('many calls at once share one connection, above pool.connections too', async (t) => {
  const { gateway, received, begun, at } = await scene(t, { slow: later(50, ok) }, { limits: { concurrency: 50 } })
  const replies = await Promise.all(Array.from({ length: 40 }, () => gateway.call({ url: at('/slow') })))
  for (const { envelope } of replies) assert.deepEqual([envelope.status, envelope.json], [200, { hello: 'world' }])
  assert.deepEqual([begun(), received.length], [1, 40])
  assert.deepEqual(await stateOf(gateway, 'two'), { connections: 1, idle: 1, slots: 0, queued: 0 })
})

it('method, path, headers and body arrive; names in lower case, values as given', async (t) => {
  const { gateway, received, at } = await scene(t, {})
  const { envelope } = await gateway.call({
    url: at('/x?a=1'),
    ...{ method: 'PUT', headers: { 'X-Mixed-Case': 'As Given' }, json: { a: 1.0 }, cookies: { c: '1' } },
  })
  assert.equal(envelope.status, 200)
  const [{ headers, body } = assert.fail('nothing arrived')] = received
  assert.partialDeepStrictEqual(
    { ...headers },
    {
      ...{ ':method': 'PUT', ':path': '/x?a=1', ':scheme': 'https', 'x-mixed-case': 'As Given' },
      ...{ 'content-type': 'application/json', 'content-length': '7', cookie: 'c=1', 'user-agent': 'sallyport/0.1.0' },
    },
  )
  assert.equal(body, '{"a":1}')
})

interface Break {
  readonly name: string
  readonly answer: Answer
  readonly http: number
  readonly type: string
  readonly sent: 'maybe' | 'yes'
  readonly status: number | null
}
const half: Answer = (stream) => {
  stream.respond({ ':status': 200, 'content-type': 'application/json' })
  stream.write('{"he')
}
const BREAKS: readonly Break[] = [
  {
    name: 'RST_STREAM before the head',
    answer: (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR),
    ...{ http: 502, type: 'ConnectionError', sent: 'maybe', status: null },
  },
  {
    name: 'RST_STREAM in the body',
    answer: (stream, session, request) => {
      half(stream, session, request)
      setTimeout(() => stream.destroy(new Error('broken')), 30) // close() would end it well before it resets it
    },
    ...{ http: 502, type: 'ChunkedEncodingError', sent: 'yes', status: 200 },
  },
  {
    name: 'REFUSED_STREAM',
    answer: (stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM),
    ...{ http: 502, type: 'ConnectionError', sent: 'maybe', status: null },
  },
  {
    name: 'a connection torn down before the head',
    answer: (_stream, session) => session.destroy(),
    ...{ http: 502, type: 'ConnectionError', sent: 'maybe', status: null },
  },
  {
    name: 'a connection torn down in the body',
    answer: (stream, session, request) => {
      half(stream, session, request)
      setTimeout(() => session.destroy(), 30)
    },
    ...{ http: 502, type: 'ChunkedEncodingError', sent: 'yes', status: 200 },
  },
  {
    name: 'silence before the head',
    answer: () => {},
    ...{ http: 504, type: 'ReadTimeout', sent: 'maybe', status: null },
  },
  {
    name: 'silence in the body',
    answer: half,
    ...{ http: 504, type: 'ReadTimeout', sent: 'yes', status: 200 },
  },
  {
    name: 'a body over the limit',
    answer: (stream) => {
      stream.respond({ ':status': 200 })
      stream.end(Buffer.alloc(100_000))
    },
    ...{ http: 502, type: 'ResponseTooLarge', sent: 'yes', status: 200 },
  },
]
for (const { name, answer, http, type, sent, status } of BREAKS) {
  it(`${name} is ${type}, sent ${sent}, and the next call is well`, async (t) => {
    const { gateway, received, at } = await scene(t, { broken: answer }, { responseSize: '64KiB' })
    const reply = await gateway.call({ url: at('/broken'), timeout: { read: 150 } })
    const { envelope } = reply
    assert.deepEqual([reply.status, envelope.error.type, envelope.error.sent], [http, type, sent], envelope.error.message)
    assert.deepEqual([envelope.status, envelope.source, envelope.attempts.length], [status, 'upstream', 1])
    assert.match(envelope.error.message, /127\.0\.0\.1/)
    await assertFreed(gateway, 'two')
    assert.equal((await gateway.call({ url: at('/ok') })).envelope.status, 200)
    // RFC 9113 §8.7: what was refused was not processed, and undici repeats it once by itself.
    assert.equal(received.length, name === 'REFUSED_STREAM' ? 3 : 2)
  })
}

it('one call that breaks, stalls or is hung up on leaves its neighbours on the connection alone', async (t) => {
  const { gateway, begun, at } = await scene(t, {
    slow: later(250, ok),
    resets: (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR),
    stalls: () => {},
  })
  await gateway.call({ url: at('/ok') })
  const hangUp = new AbortController()
  const slow = [1, 2, 3].map(() => gateway.call({ url: at('/slow') }))
  const reset = gateway.call({ url: at('/resets') })
  const stalled = gateway.call({ url: at('/stalls'), timeout: { read: 100 } })
  const left = gateway.call({ url: at('/stalls') }, { signal: hangUp.signal })
  left.catch(() => {})
  await pause(50)
  hangUp.abort()
  await assert.rejects(left)
  assert.equal((await reset).envelope.error.type, 'ConnectionError')
  assert.equal((await stalled).envelope.error.type, 'ReadTimeout')
  for (const { envelope } of await Promise.all(slow))
    assert.deepEqual([envelope.status, envelope.attempts[0].reused], [200, true])
  assert.equal(begun(), 1)
  await assertFreed(gateway, 'two')
})

it('the read and total clocks end a call on time', async (t) => {
  const { gateway, at } = await scene(t, {
    stalls: () => {},
    drips: (stream) => {
      stream.respond({ ':status': 200 })
      const timer = setInterval(() => stream.write('x'), 20)
      stream.on('close', () => clearInterval(timer))
    },
  })
  await gateway.call({ url: at('/ok') })
  const read = startStopwatch()
  const stalled = await gateway.call({ url: at('/stalls'), timeout: { read: 150 } })
  read.assertEndedAfter(150)
  assert.equal(stalled.envelope.error.type, 'ReadTimeout')
  const total = startStopwatch()
  const dripped = await gateway.call({ url: at('/drips'), timeout: { read: 100, total: 300 } })
  total.assertEndedAfter(300)
  assert.deepEqual([dripped.envelope.error.type, dripped.envelope.error.sent], ['Timeout', 'yes'])
  await assertFreed(gateway, 'two')
})

it('after GOAWAY what is under way ends well, and the next call has a connection of its own', async (t) => {
  const { gateway, begun, open, at } = await scene(t, {
    leaves: (stream, session, request) => {
      session.goaway()
      setTimeout(() => ok(stream, session, request), 50)
    },
  })
  const leaving = gateway.call({ url: at('/leaves') })
  await until('GOAWAY is on its way', () => begun() === 1)
  assert.equal((await leaving).envelope.status, 200)
  const { envelope } = await gateway.call({ url: at('/ok') })
  assert.deepEqual([envelope.status, envelope.attempts.length], [200, 1])
  assert.equal(begun(), 2)
  await until('the first is closed', () => open() === 1)
})

it('a GOAWAY that took a GET with it is repeated on another connection; a POST is not', async (t) => {
  let gone = 0
  const { gateway, received, at } = await scene(
    t,
    {
      takes: (stream, session, request) => {
        if (++gone > 1) return ok(stream, session, request)
        session.goaway(constants.NGHTTP2_NO_ERROR, 0)
        setTimeout(() => session.destroy(), 20)
      },
    },
    { retry: { total: 1, backoffFactor: '1ms' } },
  )
  await gateway.call({ url: at('/ok') })
  const get = await gateway.call({ url: at('/takes') })
  assert.deepEqual([get.envelope.status, get.envelope.attempts.length], [200, 2])
  gone = 0
  const before = received.length
  const post = await gateway.call({ url: at('/takes'), method: 'POST', data: 'x' })
  assert.deepEqual([post.status, post.envelope.error.type, post.envelope.attempts.length], [502, 'ConnectionError', 1])
  assert.equal(received.length, before + 1)
})

it('is not spoken unless the adapter says so: an upstream that speaks nothing else is SSLError', async (t) => {
  const { gateway, received, at } = await scene(t, {}, { pool: { http2: false } })
  const { status, envelope } = await gateway.call({ url: at('/ok') })
  assert.deepEqual([status, received.length], [502, 0])
  assert.equal(envelope.error.type, 'SSLError', envelope.error.message)
})

it('a stream that is reset on a good connection is a failure like any other, to ledger, metrics and breaker', async (t) => {
  const { gateway, at } = await scene(
    t,
    { broken: (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR) },
    { breaker: { errorRate: '50%', volume: 4, openFor: '1m' } },
  )
  await gateway.call({ url: at('/ok') })
  for (let n = 0; n < 3; n++) {
    const { envelope } = await gateway.call({ url: at('/broken') })
    assert.deepEqual([envelope.error.type, envelope.attempts.length, envelope.attempts[0].reused], ['ConnectionError', 1, true])
  }
  const text = await gateway.metrics()
  assert.equal(metric(text, 'sallyport_attempts_total', { adapter: 'two', error: 'none' }), 1)
  assert.equal(metric(text, 'sallyport_attempts_total', { adapter: 'two', error: 'ConnectionError' }), 3)
  assert.equal((await gateway.call({ url: at('/ok') })).envelope.error.type, 'BreakerOpen')
})

it('a connection that died while it was not in use, or under the request, costs a GET nothing', async (t) => {
  let dies = true
  const { gateway, begun, at } = await scene(t, {
    dies: (stream, session, request) => {
      if (!dies) return ok(stream, session, request)
      dies = false
      session.destroy()
    },
  })
  await gateway.call({ url: at('/ok') })
  const { envelope } = await gateway.call({ url: at('/dies') })
  assert.deepEqual([envelope.status, envelope.attempts.length, begun()], [200, 2, 2])
})

it('a busy neighbour does not hold the read clock of a silent call up', async (t) => {
  const { gateway, begun, at } = await scene(t, { stalls: () => {} })
  await gateway.call({ url: at('/ok') })
  const watch = startStopwatch()
  let isOver = false
  const chatter = (async () => {
    while (!isOver) await gateway.call({ url: at('/ok'), method: 'PUT', data: 'x'.repeat(100) })
  })()
  const { envelope } = await gateway.call({ url: at('/stalls'), timeout: { read: 200, total: 3000 } })
  watch.assertEndedAfter(200)
  assert.equal(envelope.error.type, 'ReadTimeout')
  isOver = true
  await chatter
  assert.equal(begun(), 1)
})

it('a connection on which nothing comes at all gets no further call, and the calls on it are left alone', async (t) => {
  const adapter = { pool: { http2: true, connections: 1 }, limits: { concurrency: 10 } }
  const { gateway, relay, begun, open, at } = await scene(t, { slow: later(50, ok) }, adapter)
  await gateway.call({ url: at('/ok') })
  relay.freeze()
  const patient = gateway.call({ url: at('/slow'), timeout: { read: 5000 } })
  const lost = await gateway.call({ url: at('/ok'), timeout: { read: 150 } })
  assert.equal(lost.envelope.error.type, 'ReadTimeout')
  const next = await gateway.call({ url: at('/ok'), timeout: { read: 1000 } })
  assert.deepEqual([next.envelope.status, next.envelope.attempts[0].reused, begun()], [200, false, 2])
  relay.thaw()
  assert.equal((await patient).envelope.status, 200)
  await until('the silent one is closed when its last call has ended', () => open() === 1)
  await assertFreed(gateway, 'two')
})

it('the read clock does not run while a large body goes out, and is on time after it', async (t) => {
  const { gateway, at } = await scene(t, { stalls: () => {} })
  const data = 'x'.repeat(4 * 1024 * 1024)
  const taken = await gateway.call({ url: at('/slow-reader'), method: 'PUT', data, timeout: { read: 150 } })
  assert.deepEqual([taken.envelope.status, taken.envelope.error], [200, null])
  assert.ok(taken.envelope.attempts[0].elapsed >= 398)
  const stalled = await gateway.call({ url: at('/stalls'), method: 'PUT', data, timeout: { read: 300 } })
  assert.equal(stalled.envelope.error.type, 'ReadTimeout')
  assert.ok(stalled.envelope.attempts[0].elapsed < 3000, `${stalled.envelope.attempts[0].elapsed} ms`)
})
