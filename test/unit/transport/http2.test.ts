import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { describe, type TestContext, test } from 'node:test'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { createCancellation } from '../../../src/model/cancellation.ts'
import { certificates } from '../../support/certificates.ts'
import { aCaller, type Caller } from './support.ts'

type Answer = (stream: ServerHttp2Stream, session: ServerHttp2Session) => void

async function upstream(
  t: TestContext,
  answers: Readonly<Record<string, Answer>>,
): Promise<{ caller: Caller; sessions: Set<ServerHttp2Session> }> {
  const server: Http2SecureServer = createSecureServer({ ...certificates().good, allowHTTP1: true })
  const sessions = new Set<ServerHttp2Session>()
  server.on('session', (session) => {
    sessions.add(session)
    session.on('error', () => {})
    session.on('close', () => sessions.delete(session))
  })
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {})
    const { session } = stream
    if (session) answers[String(headers[':path'])]?.(stream, session as ServerHttp2Session)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : assert.fail('no port')
  const caller = aCaller(`https://localhost:${port}`, {
    adapter: { pool: { connections: 4, idleMs: 60_000, http2: true } },
    ports: { caBundle: () => certificates().ca },
  })
  t.after(async () => {
    caller.transport.destroy()
    for (const session of sessions) session.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return { caller, sessions }
}

const plan = { tls: { verify: true, ca: 'test', cert: null } }
const json =
  (body: string): Answer =>
  (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/json', 'set-cookie': ['a=1', 'b=2'] })
    stream.end(body)
  }

describe('HTTP/2', () => {
  test('carries many requests on one connection', async (t) => {
    const { caller, sessions } = await upstream(t, {
      '/slow': (stream, session) => void setTimeout(json('"slow"'), 50, stream, session),
    })
    const contexts = Array.from({ length: 20 }, () => caller.context())
    const answers = await Promise.all(
      contexts.map((context) => caller.transport.dispatch(caller.request('/slow', { plan }), context)),
    )
    assert.ok(answers.every(({ body }) => body.toString() === '"slow"'))
    assert.equal(sessions.size, 1)
    assert.deepEqual(caller.transport.sample(), { connections: 1, idle: 1 })
    assert.equal(caller.clock.pending, 0)
  })

  test('gives headers as pairs, repeats apart, and no pseudo-headers', async (t) => {
    const { caller } = await upstream(t, { '/': json('1') })
    const { rawHeaders, status } = await caller.transport.dispatch(caller.request('/', { plan }), caller.context())
    assert.equal(status, 200)
    assert.deepEqual(rawHeaders.slice(0, 6), ['content-type', 'application/json', 'set-cookie', 'a=1', 'set-cookie', 'b=2'])
    assert.ok(!rawHeaders.some((text) => text.startsWith(':')))
  })

  test('ends one silent request without touching its neighbours', async (t) => {
    const { caller, sessions } = await upstream(t, {
      '/silent': () => {},
      '/slow': (stream, session) => void setTimeout(json('"slow"'), 200, stream, session),
    })
    const silent = caller.transport.dispatch(caller.request('/silent', { plan: { ...plan, readMs: 100 } }), caller.context())
    const slow = caller.transport.dispatch(caller.request('/slow', { plan }), caller.context())
    await assert.rejects(silent, { type: 'ReadTimeout', sent: 'maybe' })
    assert.equal((await slow).body.toString(), '"slow"')
    assert.equal(sessions.size, 1)
    assert.equal(caller.clock.pending, 0)
  })

  test('a cancelled request closes its stream alone', async (t) => {
    const closed: number[] = []
    const { caller, sessions } = await upstream(t, {
      '/silent': (stream) => void stream.on('close', () => closed.push(stream.rstCode ?? -1)),
    })
    const cancellation = createCancellation()
    const answer = caller.transport.dispatch(caller.request('/silent', { plan }), caller.context({ cancellation }))
    setTimeout(() => cancellation.cancel(new GatewayError('Cancelled', 'the caller hung up')), 80)
    await assert.rejects(answer, { type: 'Cancelled' })
    while (closed.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(sessions.size, 1)
  })

  const failures: readonly [string, Answer, string, 'maybe' | 'yes'][] = [
    ['a stream reset before its head', (stream) => stream.close(2), 'ConnectionError', 'maybe'],
    ['a session that is torn down', (_stream, session) => session.destroy(), 'ConnectionError', 'maybe'],
    ['a refused stream, twice', (stream) => stream.close(7), 'ConnectionError', 'maybe'],
    [
      'a stream reset in its body',
      (stream) => {
        stream.respond({ ':status': 200 })
        stream.write('half')
        setTimeout(() => stream.destroy(new Error('broken')), 30)
      },
      'ChunkedEncodingError',
      'yes',
    ],
    [
      'a session torn down in a body',
      (stream, session) => {
        stream.respond({ ':status': 200 })
        stream.write('half')
        setTimeout(() => session.destroy(), 30)
      },
      'ChunkedEncodingError',
      'yes',
    ],
    [
      'too many headers',
      (stream) => {
        stream.respond({ ':status': 200, ...Object.fromEntries(Array.from({ length: 110 }, (_, i) => [`x-${i}`, '1'])) })
        stream.end()
      },
      'ResponseTooLarge',
      'yes',
    ],
  ]
  for (const [name, answer, type, sent] of failures) {
    test(`${name} is ${type}`, async (t) => {
      const { caller } = await upstream(t, { '/': answer })
      await assert.rejects(caller.transport.dispatch(caller.request('/', { plan }), caller.context()), { type, sent })
      assert.equal(caller.clock.pending, 0)
    })
  }

  test('after GOAWAY the next request has a connection of its own', async (t) => {
    const { caller } = await upstream(t, {
      '/bye': (stream, session) => {
        json('"bye"')(stream, session)
        session.close()
      },
      '/': json('1'),
    })
    await caller.transport.dispatch(caller.request('/bye', { plan }), caller.context())
    await new Promise((resolve) => setTimeout(resolve, 30))
    const context = caller.context()
    assert.equal((await caller.transport.dispatch(caller.request('/', { plan }), context)).body.toString(), '1')
    assert.equal(context.trail.attempts[0]?.reused, false)
  })

  test('is not spoken unless the adapter says so', async (t) => {
    const { caller, sessions } = await upstream(t, { '/': json('1') })
    const plain = aCaller(caller.request('/').url.origin, { ports: { caBundle: () => certificates().ca } })
    const answer = plain.transport.dispatch(plain.request('/', { plan: { ...plan, readMs: 100 } }), plain.context())
    await assert.rejects(answer, { type: 'ReadTimeout' })
    assert.equal(sessions.size, 0)
    await plain.transport.close()
  })

  test('a body goes out and its length with it', async (t) => {
    const received: string[] = []
    const { caller } = await upstream(t, {
      '/': (stream, session) => {
        stream.on('data', (chunk: Buffer) => received.push(chunk.toString()))
        stream.on('end', () => json('1')(stream, session))
      },
    })
    await caller.transport.dispatch(caller.request('/', { method: 'POST', body: Buffer.from('hello'), plan }), caller.context())
    assert.equal(received.join(''), 'hello')
  })
})
