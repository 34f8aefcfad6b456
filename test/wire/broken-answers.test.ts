// Upstreams that answer badly, by name: in the head, in the body, in the encoding. What the envelope tells of each, and that
// nothing is left behind: no slot, no busy connection, and the next call is well.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { type BehaviourName, createRudeUpstream, type RudeUpstream } from '../support/rude-upstream.ts'
import { assertFreed, loopbackAdapter } from '../support/wire.ts'

interface BadAnswer {
  readonly name:
    | BehaviourName
    | 'bad-length'
    | 'bad-header-after-length'
    | 'bad-br'
    | 'bad-deflate'
    | 'bad-zstd'
    | 'bad-chunk-end'
  /** The gateway's own HTTP status. */
  readonly http: number
  readonly type: string
  readonly sent: 'maybe' | 'yes'
  readonly retryable: boolean
  /** Of the partial answer; null: none was understood. */
  readonly status: number | null
  readonly message: RegExp
  readonly notRetried: RegExp
}

const NONE_LEFT = /^retry\.total is 0$/

/** Repeating may help: the answer broke on its way. */
const broken = (
  name: BadAnswer['name'],
  type: string,
  sent: 'maybe' | 'yes',
  status: number | null,
  message: RegExp,
): BadAnswer => ({
  ...{ name, http: 502, type, sent, status, message, retryable: true, notRetried: NONE_LEFT },
})
/** The same answer would come again. */
const wrong = (name: BadAnswer['name'], type: string, status: number | null, message: RegExp): BadAnswer => ({
  ...{ name, http: 502, type, sent: 'yes', status, message, retryable: false, notRetried: new RegExp(`^${type} is not`) },
})

const BAD_ANSWERS: readonly BadAnswer[] = [
  broken('closes-before-headers', 'ConnectionError', 'maybe', null, /closed the connection before/),
  broken('resets-before-headers', 'ConnectionError', 'maybe', null, /reset the connection before/),
  broken('closes-in-headers', 'ConnectionError', 'yes', null, /closed the connection before/),
  broken('resets-in-headers', 'ConnectionError', 'yes', null, /reset the connection before/),
  broken('garbage', 'ConnectionError', 'yes', null, /not HTTP/),
  broken('status-42', 'ConnectionError', 'yes', null, /status 42, which is not HTTP/),
  broken('switches-protocols', 'ConnectionError', 'yes', null, /127\.0\.0\.1/),
  broken('endless-interim-answers', 'ConnectionError', 'yes', null, /more than 20 interim/),
  broken('resets-in-body', 'ChunkedEncodingError', 'yes', 200, /broke the body off/),
  broken('resets-close-delimited', 'ChunkedEncodingError', 'yes', 200, /broke the body off/),
  broken('short-body', 'ChunkedEncodingError', 'yes', 200, /broke the body off/),
  broken('short-chunked-body', 'ChunkedEncodingError', 'yes', 200, /broke the body off/),
  broken('bad-chunks', 'ChunkedEncodingError', 'yes', 200, /chunks of the body .* malformed/),
  broken('bad-chunk-end', 'ChunkedEncodingError', 'yes', 200, /chunks of the body .* malformed/),

  wrong('bad-header', 'InvalidHeader', null, /malformed/),
  wrong('bad-header-after-length', 'InvalidHeader', null, /malformed/),
  wrong('bad-length', 'InvalidHeader', null, /malformed|Content-Length/),
  wrong('conflicting-content-length', 'InvalidHeader', null, /Content-Length/),
  wrong('length-and-chunked', 'InvalidHeader', null, /Content-Length|Transfer-Encoding/),
  wrong('huge-headers', 'ResponseTooLarge', null, /headers .* larger than 16384 bytes/),
  wrong('200-headers', 'ResponseTooLarge', 200, /202 response headers; 100 are read/),
  wrong('endless-body', 'ResponseTooLarge', 200, /larger than 1048576 bytes; .*maxResponseSize/),
  wrong('bomb', 'ResponseTooLarge', 200, /larger than 1048576 bytes; .*maxResponseSize/),
  wrong('nested-bomb', 'ResponseTooLarge', 200, /larger than 1048576 bytes; .*maxResponseSize/),
  wrong('bad-gzip', 'ContentDecodingError', 200, /content-encoding gzip/),
  wrong('truncated-gzip', 'ContentDecodingError', 200, /content-encoding gzip/),
  wrong('bad-deflate', 'ContentDecodingError', 200, /content-encoding deflate/),
  wrong('bad-br', 'ContentDecodingError', 200, /content-encoding br/),
  wrong('bad-zstd', 'ContentDecodingError', 200, /content-encoding zstd/),
]

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
const encodedBadly = (coding: string): string =>
  `${HEAD}Content-Encoding: ${coding}\r\nContent-Length: 11\r\n\r\nno such \x00\xff\xfe`

describe('an answer that is broken', () => {
  let upstream: RudeUpstream
  let gateway: TestGateway
  before(async () => {
    upstream = await createRudeUpstream({
      behaviours: {
        'bad-length': (socket) => socket.write(`${HEAD}Content-Length: many\r\n\r\n`),
        'bad-header-after-length': (socket) => socket.write(`${HEAD}Content-Length: 5\r\nBad Header: x\r\n\r\nhello`),
        'bad-chunk-end': (socket) => socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n`),
        'bad-deflate': (socket) => socket.write(encodedBadly('deflate'), 'latin1'),
        'bad-br': (socket) => socket.write(encodedBadly('br'), 'latin1'),
        'bad-zstd': (socket) => socket.write(encodedBadly('zstd'), 'latin1'),
      },
    })
    gateway = await startGateway({ adapters: [loopbackAdapter('rude', upstream.origin, { responseSize: '1MiB' })] })
  })
  after(async () => {
    await gateway.stop()
    await upstream.close()
  })

  for (const bad of BAD_ANSWERS) {
    it(`${bad.name}: ${bad.http} ${bad.type}, sent ${bad.sent}`, async () => {
      const { status, envelope } = await gateway.call({ url: `${upstream.origin}/${bad.name}` })
      assert.equal(status, bad.http)
      assert.equal(envelope.ok, false)
      assert.equal(envelope.source, 'upstream')
      assert.equal(envelope.status, bad.status)
      assert.equal(envelope.error.type, bad.type)
      assert.equal(envelope.error.sent, bad.sent)
      assert.equal(envelope.error.retryable, bad.retryable)
      assert.match(envelope.error.message, bad.message)
      assert.match(envelope.error.message, /127\.0\.0\.1/)
      assert.match(envelope.notRetried, bad.notRetried)
      assert.equal(envelope.bytes, 0)
      assertHead(envelope, bad)
      assertLedger(envelope, bad)
      await assertFreed(gateway, 'rude')
      // Its connection closes, so that each case begins on one of its own.
      const well = await gateway.call({ url: `${upstream.origin}/ok-then-closes` })
      assert.deepEqual(well.envelope.json, { hello: 'world' })
    })
  }

  it('leaves no connection behind', () => upstream.drained())
})

// biome-ignore lint/suspicious/noExplicitAny: the envelope under test
function assertHead(envelope: any, { status }: BadAnswer): void {
  if (status === null) {
    assert.deepEqual([envelope.headers, envelope.reason, envelope.elapsed], [{}, null, null])
  } else {
    assert.equal(envelope.headers['content-type'], 'application/json')
    assert.equal(envelope.reason, 'OK')
    assert.ok(Number.isInteger(envelope.elapsed))
  }
}

// biome-ignore lint/suspicious/noExplicitAny: the envelope under test
function assertLedger(envelope: any, bad: BadAnswer): void {
  assert.equal(envelope.attempts.length, 1)
  const [attempt] = envelope.attempts
  assert.equal(attempt.error, bad.type)
  assert.equal(attempt.sent, bad.sent)
  assert.equal(attempt.status ?? null, bad.status)
  assert.equal(attempt.firstByte === null, bad.sent === 'maybe', 'firstByte is told where a byte came')
  assert.equal(attempt.address, '127.0.0.1')
  assert.equal(attempt.reused, false)
  assert.ok(Number.isInteger(attempt.connect))
  assert.ok(attempt.elapsed <= envelope.timings.total)
}
