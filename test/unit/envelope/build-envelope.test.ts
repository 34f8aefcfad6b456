import assert from 'node:assert/strict'
import { test } from 'node:test'
import { envelopeSchema } from '../../../src/descriptor/envelope-schema.ts'
import { buildEnvelope, type EnvelopeFacts, type Outcome } from '../../../src/envelope/build-envelope.ts'
import { readBody } from '../../../src/envelope/read-body.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { bodyText } from '../../../src/model/answer-body.ts'
import type { Decode } from '../../../src/model/descriptor.ts'
import type { Attempt } from '../../../src/model/envelope.ts'
import { createTrail, type Trail } from '../../../src/model/trail.ts'
import type { UpstreamResponse } from '../../../src/model/upstream-response.ts'
import { aResponse } from '../../support/builders.ts'

const URL_SENT = 'https://api.example.com/v1?a=1'

function anAttempt(over: Partial<Attempt> = {}): Attempt {
  return {
    hop: 0,
    method: 'GET',
    url: 'https://api.example.com/v1',
    adapter: 'example',
    origin: 'https://api.example.com',
    address: '93.184.216.34',
    reused: false,
    waited: 0,
    because: null,
    sent: 'no',
    connect: 12.4,
    firstByte: 20.6,
    elapsed: 25.5,
    begun: 0,
    span: null,
    ...over,
  }
}

function aTrail(over: Partial<Trail> = {}): Trail {
  return Object.assign(createTrail(), over)
}

function facts(over: Partial<EnvelopeFacts> = {}): EnvelopeFacts {
  return {
    requestId: 'r-1',
    trail: aTrail(),
    admin: false,
    repeatable: true,
    inspect: false,
    totalMs: 30.4,
    isGlobalUnicast: (address) => address === '93.184.216.34',
    keepsResponse: false,
    ...over,
  }
}

function answered(over: Partial<UpstreamResponse>, decode: Decode = 'auto'): Outcome {
  const response = aResponse(over)
  return { response, ...readBody(response, { decode, url: URL_SENT }) }
}

/** Every envelope made here also has the published shape. */
function textOf(outcome: Outcome, over: Partial<EnvelopeFacts> = {}): string {
  const text = bodyText(buildEnvelope(outcome, facts(over)).body)
  envelopeSchema.parse(JSON.parse(text))
  return text
}

// biome-ignore lint/suspicious/noExplicitAny: a parsed envelope, looked into freely
const parsed = (outcome: Outcome, over: Partial<EnvelopeFacts> = {}): any => JSON.parse(textOf(outcome, over))

const jsonHeaders = ['Content-Type', 'application/json']
const failed = (error: GatewayError): Outcome => ({ error })

test('an answer is told whole, in the contract’s order, its JSON spliced in as sent', () => {
  const trail = aTrail({ url: URL_SENT, adapter: 'example', breaker: 'closed' })
  trail.begin(anAttempt({ status: 200, sent: 'yes' }))
  trail.setCookie('b', '1')
  trail.setCookie('7', '2')
  trail.outgoing = { method: 'GET', url: URL_SENT, headers: [['Accept', '*/*']], body: null }
  trail.history.push({
    method: 'GET',
    status: 302,
    reason: 'Found',
    url: 'https://h/',
    rawHeaders: ['Location', '/v1'],
    elapsed: 3.2,
  })
  trail.waited(5, 'backoff')
  trail.warn('careful')
  const body = Buffer.from('{"n":9007199254740993,"f":1.0,"n":2}')
  const rawHeaders = [...jsonHeaders, 'Link', '<a>; rel=next', 'Set-Cookie', 'b=1']
  assert.equal(
    textOf(answered({ rawHeaders, body, elapsed: 21.7 }), { trail }),
    '{"ok":true,"status":200,"reason":"OK","url":"https://api.example.com/v1?a=1"' +
      ',"headers":{"content-type":"application/json","link":"<a>; rel=next","set-cookie":["b=1"]},"encoding":"utf-8"' +
      ',"links":{"next":{"url":"a","rel":"next"}},"json":{"n":9007199254740993,"f":1.0,"n":2},"bytes":36,"cookies":{"b":"1","7":"2"}' +
      ',"history":[{"method":"GET","status":302,"reason":"Found","url":"https://h/","headers":{"location":"/v1"},"elapsed":3}]' +
      ',"request":{"method":"GET","url":"https://api.example.com/v1?a=1","headers":{"Accept":"*/*"},"bodyBytes":0},"elapsed":22' +
      ',"timings":{"queued":5,"connect":12,"firstByte":21,"total":30}' +
      ',"attempts":[{"hop":0,"method":"GET","url":"https://api.example.com/v1","adapter":"example","origin":"https://api.example.com"' +
      ',"address":"93.184.216.34","reused":false,"waited":0,"because":null,"status":200,"sent":"yes","connect":12,"firstByte":21,"elapsed":26}]' +
      ',"notRetried":null,"adapter":"example","breaker":"closed","warnings":["careful"],"requestId":"r-1","source":"upstream","error":null}',
  )
})

test('a refusal has the same shape: nulls, empty objects and lists, bytes 0', () => {
  const error = new GatewayError('InvalidDescriptor', 'no', { detail: [{ pointer: '/url', message: 'missing' }] })
  assert.equal(
    textOf(failed(error)),
    '{"ok":false,"status":null,"reason":null,"url":null,"headers":{},"encoding":null,"links":{},"bytes":0,"cookies":{},"history":[]' +
      ',"request":null,"elapsed":null,"timings":{"queued":0,"connect":null,"firstByte":null,"total":30},"attempts":[],"notRetried":null' +
      ',"adapter":null,"breaker":null,"warnings":[],"requestId":"r-1","source":"gateway"' +
      ',"error":{"type":"InvalidDescriptor","message":"no","sent":"no","retryable":false,"detail":[{"pointer":"/url","message":"missing"}]}}',
  )
})

test('a large body’s own bytes are a piece of the answer; they are not copied', () => {
  const outcome = answered({ rawHeaders: jsonHeaders, body: Buffer.from(`["${'x'.repeat(20_000)}"]`) })
  const { body } = buildEnvelope(outcome, facts())
  assert.ok(typeof body !== 'string' && body.some((piece) => piece === outcome.response?.body))
})

for (const [kind, size] of [
  ['small', 10],
  ['large', 20_000],
] as const)
  test(`a ${kind} answer is UTF-8 whatever its headers, URL, warnings and body hold`, () => {
    const value = 'é\u0122€😀'.repeat(size)
    const words = { trail: aTrail({ warnings: ['Ģ"€'], url: 'https://api.example.com/é' }) }
    const rawHeaders = ['X-Name', 'caf\u00e9', 'Content-Type']
    for (const type of ['application/json', 'text/plain; charset=utf-8']) {
      const body = Buffer.from(JSON.stringify(value))
      const envelope = parsed(answered({ rawHeaders: [...rawHeaders, type], body }), words)
      assert.deepEqual(
        [envelope.headers['x-name'], envelope.warnings, envelope.url],
        ['café', ['Ģ"€'], 'https://api.example.com/é'],
      )
      assert.equal(envelope.json ?? JSON.parse(envelope.text), value)
    }
  })

const OK_CASES: readonly (readonly [status: number, ok: boolean])[] = [
  [200, true],
  [304, true],
  [399, true],
  [400, false],
  [503, false],
]
for (const [status, ok] of OK_CASES) {
  test(`an upstream’s ${status} is a 200 of the gateway with ok ${ok}`, () => {
    const built = buildEnvelope(answered({ status }), facts())
    assert.deepEqual([built.status, built.ok, built.upstreamStatus, built.errorType], [200, ok, status, null])
    assert.equal(JSON.parse(bodyText(built.body)).ok, ok)
  })
}

test('text and base64 stand where json would', () => {
  const text = parsed(answered({ rawHeaders: ['Content-Type', 'text/plain'], body: Buffer.from('"é\u2028\n', 'latin1') }))
  assert.deepEqual([text.text, text.encoding, 'json' in text, 'base64' in text], ['"é(\n', 'ISO-8859-1', false, false])
  const binary = parsed(answered({ body: Buffer.from([0, 255]) }))
  assert.deepEqual([binary.base64, binary.encoding, binary.bytes, 'text' in binary], ['AP8=', null, 2, false])
})

test('decode none shows no body and still counts its bytes', () => {
  const envelope = parsed(answered({ rawHeaders: jsonHeaders, body: Buffer.from('{}') }, 'none'))
  assert.deepEqual([envelope.bytes, envelope.encoding, 'json' in envelope, 'base64' in envelope], [2, null, false, false])
})

test('a body that decode json refuses comes as text beside the error, status and headers kept', () => {
  const outcome = answered({ status: 201, rawHeaders: ['X-A', '1'], body: Buffer.from('<p>'), elapsed: 7 }, 'json')
  const built = buildEnvelope(outcome, facts({ trail: aTrail({ url: URL_SENT }) }))
  const envelope = JSON.parse(bodyText(built.body))
  assert.equal(built.status, 502)
  assert.deepEqual(
    [
      envelope.ok,
      envelope.status,
      envelope.headers,
      envelope.text,
      envelope.elapsed,
      envelope.source,
      envelope.error.type,
      envelope.error.sent,
    ],
    [false, 201, { 'x-a': '1' }, '<p>', 7, 'upstream', 'InvalidJSONError', 'yes'],
  )
})

test('a partial answer keeps its status, reason, headers and the time to its head', () => {
  const trail = aTrail({ url: URL_SENT })
  trail.begin(anAttempt({ status: 200, error: 'ChunkedEncodingError', sent: 'yes', firstByte: 9 }))
  const response = { status: 200, reason: 'OK', rawHeaders: ['Link', '<a>'] }
  const envelope = parsed(failed(new GatewayError('ChunkedEncodingError', 'cut off', { sent: 'yes', response })), { trail })
  assert.deepEqual(
    [envelope.ok, envelope.status, envelope.reason, envelope.links, envelope.elapsed, envelope.bytes],
    [false, 200, 'OK', { a: { url: 'a' } }, 9, 0],
  )
})

test('error.sent is the greatest of all attempts’ and the error’s', () => {
  const trail = aTrail()
  trail.begin(anAttempt({ sent: 'yes' }))
  trail.begin(anAttempt({ sent: 'maybe' }))
  const built = buildEnvelope(failed(new GatewayError('BreakerOpen', 'open')), facts({ trail }))
  assert.equal(built.sent, 'yes')
  assert.equal(parsed(failed(new GatewayError('ReadTimeout', 'slow', { sent: 'maybe' }))).error.sent, 'maybe')
})

const RETRYABLE: readonly (readonly [name: string, error: GatewayError, repeatable: boolean, retryable: boolean])[] = [
  ['nothing was sent', new GatewayError('ConnectTimeout', 'x', { sent: 'no' }), false, true],
  ['a POST may have arrived', new GatewayError('ReadTimeout', 'x', { sent: 'maybe' }), false, false],
  ['a GET may have arrived', new GatewayError('ReadTimeout', 'x', { sent: 'maybe' }), true, true],
  ['it would fail again', new GatewayError('SSLError', 'x', { sent: 'no' }), true, false],
]
for (const [name, error, repeatable, retryable] of RETRYABLE) {
  test(`retryable is ${retryable} where ${name}`, () => {
    assert.equal(parsed(failed(error), { repeatable }).error.retryable, retryable)
  })
}

test('retryAfter is whole milliseconds, and 429 and 503 say it in the header in whole seconds, rounded up', () => {
  const limited = buildEnvelope(failed(new GatewayError('RateLimited', 'spent', { retryAfter: 1000.2 })), facts())
  assert.equal(limited.retryAfterSeconds, 2)
  assert.equal(JSON.parse(bodyText(limited.body)).error.retryAfter, 1001)
  const upstream = buildEnvelope(failed(new GatewayError('RetryError', 'x', { retryAfter: 5000 })), facts())
  assert.equal(upstream.retryAfterSeconds, null)
  assert.equal(JSON.parse(bodyText(upstream.body)).error.retryAfter, 5000)
})

test('a 503 that does not know when says one second', () => {
  const built = buildEnvelope(failed(new GatewayError('Draining', 'x')), facts())
  assert.equal(built.retryAfterSeconds, 1)
  assert.equal(JSON.parse(bodyText(built.body)).error.retryAfter, 1000)
})

test('an error’s own status stands, such as 431', () => {
  assert.equal(buildEnvelope(failed(new GatewayError('RequestTooLarge', 'head', { status: 431 })), facts()).status, 431)
})

test('an InternalError tells nothing of its cause, even to an admin', () => {
  const error = new GatewayError('InternalError', 'TypeError at secret.ts', {
    detail: { stack: 'secret' },
    privateDetail: 'secret',
  })
  const text = textOf(failed(error), { admin: true })
  assert.doesNotMatch(text, /secret|TypeError/)
  assert.match(JSON.parse(text).error.message, /requestId/)
})

test('an internal address is shown to admins alone, a public one to everybody; so is a private detail', () => {
  const trail = aTrail()
  trail.begin(anAttempt({ address: '10.0.0.7', error: 'EgressDenied' }))
  trail.begin(anAttempt())
  const error = new GatewayError('EgressDenied', 'refused', { privateDetail: '10.0.0.7 is private' })
  const seen = (admin: boolean) => {
    const envelope = parsed(failed(error), { trail, admin })
    return [...envelope.attempts.map((attempt: Attempt) => attempt.address), envelope.error.message]
  }
  assert.deepEqual(seen(false), [null, '93.184.216.34', 'refused'])
  assert.deepEqual(seen(true), ['10.0.0.7', '93.184.216.34', 'refused (10.0.0.7 is private)'])
})

test('cache and replayed are there only where they say something, between breaker and warnings', () => {
  assert.match(
    textOf(answered({}), { trail: aTrail({ cache: 'hit', replayed: true }) }),
    /"breaker":null,"cache":"hit","replayed":true,"warnings":/,
  )
  const plain = parsed(answered({}))
  assert.deepEqual(['cache' in plain, 'replayed' in plain], [false, false])
})

test('an attempt that failed names its error; waits say why', () => {
  const trail = aTrail({ notRetried: 'POST is not repeated' })
  trail.begin(anAttempt({ error: 'ReadTimeout', waited: 200.4, because: 'Retry-After', connect: null, reused: true }))
  const { attempts, notRetried } = parsed(failed(new GatewayError('ReadTimeout', 'x')), { trail })
  assert.deepEqual(Object.keys(attempts[0]), [
    ...['hop', 'method', 'url', 'adapter', 'origin', 'address', 'reused', 'waited', 'because', 'error', 'sent'],
    ...['connect', 'firstByte', 'elapsed'],
  ])
  assert.deepEqual([attempts[0].waited, attempts[0].because, attempts[0].connect], [200, 'Retry-After', null])
  assert.equal(notRetried, 'POST is not repeated')
})

const BODIES: readonly (readonly [name: string, body: Uint8Array, shown: unknown])[] = [
  ['text where it is UTF-8', Buffer.from('é"'), { text: 'é"' }],
  ['base64 where it is not', new Uint8Array(Buffer.from([0, 0xff])).subarray(1), { base64: '/w==' }],
]
for (const [name, body, shown] of BODIES) {
  test(`inspect shows the prepared body as ${name}, its length as Content-Length`, () => {
    const trail = aTrail({ outgoing: { method: 'POST', url: URL_SENT, headers: [], body } })
    const { request } = parsed(answered({}), { trail, inspect: true })
    assert.deepEqual(request.body, shown)
    assert.deepEqual([request.bodyBytes, request.headers], [body.byteLength, { 'Content-Length': String(body.byteLength) }])
    assert.equal('body' in parsed(answered({}), { trail }).request, false)
  })
}

for (const [method, length] of [
  ['GET', undefined],
  ['DELETE', undefined],
  ['POST', '0'],
] as const) {
  test(`an empty ${method} shows ${length === undefined ? 'no Content-Length' : `Content-Length: ${length}`}, as it goes out`, () => {
    const trail = aTrail({ outgoing: { method, url: URL_SENT, headers: [], body: null } })
    assert.equal(parsed(answered({}), { trail }).request.headers['Content-Length'], length)
  })
}
