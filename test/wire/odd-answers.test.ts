// Upstreams that answer oddly, but well enough: interim answers, bodies where none may be, HTTP/1.0, answers nobody asked for.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { createRudeUpstream, type RudeUpstream } from '../support/rude-upstream.ts'
import { assertFreed, loopbackAdapter, stateOf, until } from '../support/wire.ts'

interface OddAnswer {
  readonly name: string
  readonly method?: string
  readonly status: number
  readonly json?: unknown
  readonly text?: string
  readonly bytes: number
  /** Connections that may be used again afterwards. */
  readonly kept: 0 | 1
}

const HELLO = { hello: 'world' }
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'
const HINTS = 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n'

const ODD_ANSWERS: readonly OddAnswer[] = [
  { name: '204-with-body', status: 204, bytes: 0, kept: 0 },
  { name: '304-with-body', status: 304, bytes: 0, kept: 0 },
  { name: '204-with-unannounced-body', status: 204, bytes: 0, kept: 0 },
  { name: 'head-with-body', method: 'HEAD', status: 200, bytes: 0, kept: 0 },
  { name: 'http-1.0', status: 200, json: HELLO, bytes: 17, kept: 0 },
  { name: 'http-1.0-with-length', status: 200, json: HELLO, bytes: 17, kept: 0 },
  { name: 'http-1.0-keep-alive', status: 200, json: HELLO, bytes: 17, kept: 1 },
  { name: 'close-delimited', status: 200, json: HELLO, bytes: 17, kept: 0 },
  { name: 'chunked', status: 200, json: HELLO, bytes: 17, kept: 1 },
  { name: 'trailers', status: 200, json: HELLO, bytes: 17, kept: 1 },
  { name: 'chunked-gzip', status: 200, json: HELLO, bytes: 17, kept: 1 },
  { name: 'long-body', status: 200, text: '{"hel', bytes: 5, kept: 0 },
  { name: '100-then-ok', status: 200, json: HELLO, bytes: 17, kept: 1 },
  { name: 'interim-answers-in-a-row', status: 200, json: HELLO, bytes: 17, kept: 1 },
  { name: 'interim-answers-one-by-one', status: 200, json: HELLO, bytes: 17, kept: 1 },
  { name: 'a-body-like-an-interim-answer', status: 200, text: CONTINUE, bytes: CONTINUE.length, kept: 1 },
  { name: '103-then-ok', status: 200, json: HELLO, bytes: 17, kept: 1 },
  { name: 'empty-gzip', status: 200, bytes: 0, kept: 1 },
  { name: 'unknown-coding', status: 200, json: HELLO, bytes: 17, kept: 1 },
  { name: 'no-reason', status: 200, json: HELLO, bytes: 17, kept: 1 },
  { name: 'status-599', status: 599, bytes: 0, kept: 1 },
  { name: 'answers-early', method: 'POST', status: 413, bytes: 0, kept: 0 },
]

const OK_BODY = 'Content-Type: application/json\r\nContent-Length: 17\r\n\r\n{"hello":"world"}'
const JSON_TYPE = 'Content-Type: application/json\r\n'
const GZIPPED = gzipSync('{"hello":"world"}')

describe('an answer that is odd', () => {
  let upstream: RudeUpstream
  let gateway: TestGateway
  before(async () => {
    upstream = await createRudeUpstream({
      behaviours: {
        'http-1.0-with-length': (socket) => socket.write(`HTTP/1.0 200 OK\r\n${OK_BODY}`),
        'http-1.0-keep-alive': (socket) => socket.write(`HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n${OK_BODY}`),
        'close-delimited': (socket) => socket.end(`HTTP/1.1 200 OK\r\n${JSON_TYPE}\r\n{"hello":"world"}`),
        trailers: (socket) =>
          socket.write(
            `HTTP/1.1 200 OK\r\n${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n11\r\n{"hello":"world"}\r\n0\r\nX-Sum: 1\r\n\r\n`,
          ),
        'chunked-gzip': (socket) => {
          socket.write(`HTTP/1.1 200 OK\r\n${JSON_TYPE}Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n`)
          for (const byte of GZIPPED) socket.write(Buffer.from([0x31, 0x0d, 0x0a, byte, 0x0d, 0x0a]))
          socket.write('0\r\n\r\n')
        },
        'interim-answers-in-a-row': (socket) =>
          socket.write(`${CONTINUE}${CONTINUE}${HINTS}${CONTINUE}HTTP/1.1 200 OK\r\n${OK_BODY}`),
        'interim-answers-one-by-one': (socket) => {
          const pieces = [CONTINUE, HINTS, CONTINUE, `HTTP/1.1 200 OK\r\n${OK_BODY}`]
          for (const [index, piece] of pieces.entries()) setTimeout(() => socket.write(piece), index * 15)
        },
        'a-body-like-an-interim-answer': (socket) => {
          socket.write(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${CONTINUE.length}\r\n\r\n`)
          setTimeout(() => socket.write(CONTINUE), 15)
        },
        'no-reason': (socket) => socket.write(`HTTP/1.1 200\r\n${OK_BODY}`),
        'status-599': (socket) => socket.write('HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n'),
      },
    })
    gateway = await startGateway({
      adapters: [loopbackAdapter('rude', upstream.origin)],
    })
  })
  after(async () => {
    await gateway.stop()
    await upstream.close()
  })

  for (const { name, method = 'GET', status, json, text, bytes, kept } of ODD_ANSWERS) {
    it(`${name}: ${status} with ${bytes} bytes, and its connection is ${kept ? 'kept' : 'closed'}`, async () => {
      const before = upstream.received.length
      const reply = await gateway.call({ url: `${upstream.origin}/${name}`, method })
      const { envelope } = reply
      assert.equal(reply.status, 200)
      assert.deepEqual([envelope.error, envelope.status, envelope.ok], [null, status, status < 400])
      assert.deepEqual([envelope.json, envelope.text, envelope.base64], [json, text, undefined])
      assert.equal(envelope.bytes, bytes)
      assert.equal(envelope.source, 'upstream')
      assert.equal(envelope.attempts.length, 1)
      assert.deepEqual([envelope.attempts[0].status, envelope.attempts[0].sent], [status, 'yes'])
      assert.equal(upstream.received.length, before + 1)
      await until('its connection is where it belongs', async () => (await stateOf(gateway, 'rude')).connections === kept)
      await assertFreed(gateway, 'rude')
      const next = await gateway.call({ url: `${upstream.origin}/ok-then-closes` })
      assert.deepEqual(next.envelope.json, HELLO, 'the next caller has an answer of its own')
      assert.equal(next.envelope.attempts[0].reused, kept === 1)
    })
  }
})

// One that comes after the next request went out cannot be told from its answer: HTTP/1.1 has no more than their order.
describe('a second answer that nobody asked for', () => {
  for (const name of ['unsolicited-second-response', 'unsolicited-later'] as const) {
    it(`${name}: never reaches the next caller`, async (t) => {
      const upstream = await createRudeUpstream()
      t.after(() => upstream.close())
      const gateway = await startGateway({ adapters: [loopbackAdapter('rude', upstream.origin)] })
      t.after(() => gateway.stop())
      for (let round = 0; round < 3; round++) {
        const first = await gateway.call({ url: `${upstream.origin}/${name}` })
        assert.deepEqual(first.envelope.json, HELLO)
        if (name === 'unsolicited-later') await upstream.drained()
        const next = await gateway.call({ url: `${upstream.origin}/slow-but-well` })
        assert.deepEqual([next.status, next.envelope.json], [200, HELLO])
        assert.deepEqual([next.envelope.attempts.length, next.envelope.attempts[0].reused], [1, false])
      }
    })
  }

  it('never reaches a caller who stands in the queue for that very connection', async (t) => {
    const upstream = await createRudeUpstream()
    t.after(() => upstream.close())
    const one = { pool: { connections: 1 }, limits: { concurrency: 1, queue: 20 } }
    const gateway = await startGateway({ adapters: [loopbackAdapter('rude', upstream.origin, one)] })
    t.after(() => gateway.stop())
    const url = `${upstream.origin}/unsolicited-second-response`
    const replies = await Promise.all(Array.from({ length: 20 }, () => gateway.call({ url })))
    for (const { envelope } of replies) assert.deepEqual(envelope.json, HELLO)
    assert.equal(upstream.accepted, 20, 'no poisoned connection was used again')
  })
})
