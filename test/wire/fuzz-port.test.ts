// Raw bytes at the port. Whatever is posted to any entrance gets a typed answer of a published shape within 200 ms of its last
// byte (asserted at ten times that, for slow machines), never a crash, a hang, a stack or a half-sent call.
// SALLYPORT_FUZZ=20 runs twenty times as many cases, with a seed of its own each time.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { type RawExchange, type RawOptions, sendRaw } from '../support/raw-client.ts'
import { createStrictUpstream, type StrictUpstream } from '../support/strict-upstream.ts'
import { loopbackAdapter, metric, until } from '../support/wire.ts'

const TIMES = Number(process.env.SALLYPORT_FUZZ ?? 1)
const SEED = TIMES === 1 ? 20_260_401 : Date.now() & 0x7fff_ffff
/** Ten times what is promised. CPU time where the work is large: other tests run beside this one. */
const WITHIN_MS = 2000
/** Beyond it an answer will never come. */
const HANG_MS = 20_000
const KIB = 1024

let up: StrictUpstream
let gateway: TestGateway
/** Its clocks on callers are short. */
let hasty: TestGateway
const strays: unknown[] = []
const onStray = (reason: unknown): void => void strays.push(reason)

before(async () => {
  process.on('unhandledRejection', onStray)
  up = await createStrictUpstream()
  const adapters = [loopbackAdapter('up', up.origin, { paths: ['/a*/b*/c', '/**'] })]
  gateway = await startGateway({ adapters })
  hasty = await startGateway({ adapters, config: { listen: { port: 0, headTimeout: '200ms', bodyTimeout: '300ms' } } })
})

after(async () => {
  await Promise.all([gateway.stop(), hasty.stop()])
  await up.close()
  process.off('unhandledRejection', onStray)
  assert.deepEqual(strays, [], 'a promise was rejected and nobody heard')
})

const raw = (pieces: Buffer | string | readonly (Buffer | string)[], options: RawOptions = {}): Promise<RawExchange> =>
  sendRaw(gateway.port, [pieces].flat(), { withinMs: HANG_MS, ...options })

/** For what may never be whole: the gateway's clocks end it. Ending it from here could break a good call off. */
const rawPatiently = (bytes: Buffer): Promise<RawExchange> =>
  sendRaw(hasty.port, [bytes], { withinMs: HANG_MS, quietMs: HANG_MS, settleMs: 500 })

/** A POST of `body`, framed rightly. */
function posted(path: string, body: Buffer | string, headers = ''): Buffer {
  const bytes = Buffer.from(body)
  const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${headers}Content-Length: ${bytes.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head, 'latin1'), bytes])
}

const chunked = (body: string, headers = ''): string =>
  `POST /v1/requests HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n${headers}\r\n${body}`

const goodCall = (): string => JSON.stringify({ url: `${up.origin}/a`, method: 'POST', json: { n: [1, 2.0, 'é'] } })

/** The gateway is as it was: it answers, nothing is left open or under way, nothing of its own failed. */
async function assertUnharmed(): Promise<void> {
  for (const each of [gateway, hasty]) {
    await until('only this connection is left', async () => {
      const text = await each.metrics()
      return metric(text, 'sallyport_http_connections') === 1 && metric(text, 'sallyport_http_requests_in_flight') === 1
    })
    assert.doesNotMatch(each.logs(), /internal error/)
  }
  assert.deepEqual(up.breaches, [], 'the upstream got what is no HTTP')
  assert.deepEqual(strays, [])
}

describe('what is no request, or none that can be taken, is told so and nothing is sent', { concurrency: 8 }, () => {
  const host = 'Host: localhost\r\n'
  const many = (count: number, line: (index: number) => string): string =>
    Array.from({ length: count }, (_, i) => line(i)).join('')
  /** Expected: the type of every answer, in order; `RawOptions` where more has to be said. */
  const CORPUS: readonly (readonly [
    name: string,
    bytes: string | Buffer,
    types: readonly (string | null)[],
    options?: RawOptions,
  ])[] = [
    ['nothing at all', '', []],
    ['line ends alone', '\r\n\r\n\r\n', []],
    ['a request line cut off', 'POST /v1/req', ['InvalidDescriptor']],
    ['a head cut off', `POST /v1/requests HTTP/1.1\r\n${host}Content-Le`, ['InvalidDescriptor']],
    ['a head without its last line end', `GET /healthz HTTP/1.1\r\n${host}`, ['InvalidDescriptor']],
    ['a body cut off', posted('/v1/requests', '{"url":"http://x/"}').subarray(0, -3), ['InvalidDescriptor']],
    ['no version', 'GET /healthz\r\n\r\n', ['Forbidden']],
    ['a version of the future', `GET /healthz HTTP/9.9\r\n${host}\r\n`, ['InvalidDescriptor']],
    ['a version in small letters', `GET /healthz http/1.1\r\n${host}\r\n`, ['InvalidDescriptor']],
    ['two spaces in the request line', `GET  /healthz HTTP/1.1\r\n${host}\r\n`, [null]],
    ['a tab in the request line', `GET\t/healthz HTTP/1.1\r\n${host}\r\n`, ['InvalidDescriptor']],
    ['a method that nobody knows', `BREW /v1/requests HTTP/1.1\r\n${host}\r\n`, ['InvalidDescriptor']],
    ['a method in small letters', `get /healthz HTTP/1.1\r\n${host}\r\n`, ['InvalidDescriptor']],
    ['a method that the entrance does not take', `PUT /v1/requests HTTP/1.1\r\n${host}\r\n`, ['MethodNotAllowed']],
    ['no Host', 'GET /healthz HTTP/1.1\r\n\r\n', ['InvalidDescriptor']],
    ['two Hosts', `GET /healthz HTTP/1.1\r\n${host}Host: evil.example\r\n\r\n`, ['InvalidDescriptor']],
    ['a foreign Host', 'GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n', ['Forbidden']],
    ['a Host that only begins right', 'GET /healthz HTTP/1.1\r\nHost: localhost:1@evil.example\r\n\r\n', ['Forbidden']],
    ['a foreign Origin', `GET /healthz HTTP/1.1\r\n${host}Origin: http://evil.example\r\n\r\n`, ['Forbidden']],
    ['an Origin that is null', `GET /healthz HTTP/1.1\r\n${host}Origin: null\r\n\r\n`, ['Forbidden']],
    ['a header line without a colon', `GET /healthz HTTP/1.1\r\n${host}Oops\r\n\r\n`, ['InvalidDescriptor']],
    ['a space before the colon', `GET /healthz HTTP/1.1\r\n${host}Content-Length : 0\r\n\r\n`, ['InvalidDescriptor']],
    ['a header name of nothing', `GET /healthz HTTP/1.1\r\n${host}: x\r\n\r\n`, ['InvalidDescriptor']],
    ['a header line that is folded', `GET /healthz HTTP/1.1\r\n${host}X-A: b\r\n c\r\n\r\n`, ['InvalidDescriptor']],
    ['a NUL in a header', `GET /healthz HTTP/1.1\r\n${host}X-A: a\0b\r\n\r\n`, ['InvalidDescriptor']],
    ['a NUL in the target', `GET /heal\0thz HTTP/1.1\r\n${host}\r\n`, ['InvalidDescriptor']],
    ['NULs alone', Buffer.alloc(64), ['InvalidDescriptor']],
    ['lone CR as line end', 'GET /healthz HTTP/1.1\rHost: localhost\r\r', ['InvalidDescriptor']],
    ['a lone CR in a header', `GET /healthz HTTP/1.1\r\n${host}X-A: a\rX-B: b\r\n\r\n`, ['InvalidDescriptor']],
    ['a lone LF in a header', `GET /healthz HTTP/1.1\r\n${host}X-A: a\nX-B: b\r\n\r\n`, ['InvalidDescriptor']],
    ['a head of 1 MiB', `GET /healthz HTTP/1.1\r\n${host}X-A: ${'a'.repeat(KIB * KIB)}\r\n\r\n`, ['RequestTooLarge']],
    ['a target of 1 MiB', `GET /${'a'.repeat(KIB * KIB)} HTTP/1.1\r\n${host}\r\n`, ['RequestTooLarge']],
    ['ten thousand headers', `GET /healthz HTTP/1.1\r\n${host}${many(10_000, (i) => `x-${i}: 1\r\n`)}\r\n`, ['RequestTooLarge']],
    ['a thousand headers of nothing', `GET /healthz HTTP/1.1\r\n${host}${many(1000, () => 'x:\r\n')}\r\n`, [null]],
    ['a TLS hello', Buffer.from('16030100c5010000c10303', 'hex'), ['InvalidDescriptor']],
    ['an HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', ['InvalidDescriptor']],
    ['an SSH greeting', 'SSH-2.0-OpenSSH_9.9\r\n', ['InvalidDescriptor']],
    ['a PROXY protocol line', `PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET /healthz HTTP/1.1\r\n${host}\r\n`, ['InvalidDescriptor']],
    ['CONNECT', `CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n`, ['MethodNotAllowed']],
    ['CONNECT to a port out of range', `CONNECT example.com:99999 HTTP/1.1\r\n${host}\r\n`, ['MethodNotAllowed']],
    ['CONNECT with bytes behind it', `CONNECT a:1 HTTP/1.1\r\n${host}\r\n${'x'.repeat(KIB)}`, ['MethodNotAllowed']],
    ['an absolute target', `GET http://example.com/ HTTP/1.1\r\n${host}\r\n`, ['NotFound']],
    ['an absolute target with a login', `GET http://u:p@127.0.0.1/ HTTP/1.1\r\n${host}\r\n`, ['NotFound']],
    ['a target of another scheme', `GET file:///etc/passwd HTTP/1.1\r\n${host}\r\n`, ['NotFound']],
    ['OPTIONS *', `OPTIONS * HTTP/1.1\r\n${host}\r\n`, ['NotFound']],
    ['a target with two slashes', `GET //evil.example/v1/requests HTTP/1.1\r\n${host}\r\n`, ['NotFound']],
    ['a target that climbs', `GET /docs/../../etc/passwd HTTP/1.1\r\n${host}\r\n`, ['NotFound']],
    ['a target that climbs in disguise', `GET /docs/%2e%2e%2fpackage.json HTTP/1.1\r\n${host}\r\n`, ['NotFound']],
    ['a target with a bad escape', `GET /docs/%zz HTTP/1.1\r\n${host}\r\n`, ['NotFound']],
    ['a target beyond ASCII', Buffer.from(`GET /d\xf6cs HTTP/1.1\r\n${host}\r\n`, 'latin1'), ['InvalidDescriptor']],
    ['an Upgrade to WebSocket', `GET /healthz HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`, [null]],
    [
      'an Upgrade to h2c',
      `GET /nope HTTP/1.1\r\n${host}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n`,
      ['NotFound'],
    ],
    ['an Expect of something else', posted('/v1/requests', '{}', 'Expect: the-unexpected\r\n'), ['InvalidDescriptor']],
    ['an Expect of 100-continue with its body', posted('/v1/requests', '{}', 'Expect: 100-continue\r\n'), ['InvalidDescriptor']],
    [
      'an Expect of 100-continue too large',
      `POST /v1/requests HTTP/1.1\r\n${host}Content-Type: application/json\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n`,
      ['RequestTooLarge'],
    ],
    ['a length that is none', `POST /v1/requests HTTP/1.1\r\n${host}Content-Length: abc\r\n\r\n`, ['InvalidDescriptor']],
    ['a negative length', `POST /v1/requests HTTP/1.1\r\n${host}Content-Length: -1\r\n\r\n`, ['InvalidDescriptor']],
    ['a length with a sign', `POST /v1/requests HTTP/1.1\r\n${host}Content-Length: +2\r\n\r\n{}`, ['InvalidDescriptor']],
    [
      'a length beyond all numbers',
      `POST /v1/requests HTTP/1.1\r\n${host}Content-Length: 99999999999999999999\r\n\r\n`,
      ['InvalidDescriptor'],
    ],
    [
      'a length over the limit',
      `POST /v1/requests HTTP/1.1\r\n${host}Content-Type: application/json\r\nContent-Length: 99999999\r\n\r\n{`,
      ['RequestTooLarge'],
    ],
    [
      'two lengths that differ',
      `POST /v1/requests HTTP/1.1\r\n${host}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
      ['InvalidDescriptor'],
    ],
    [
      'two lengths alike',
      `POST /v1/requests HTTP/1.1\r\n${host}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}`,
      ['InvalidDescriptor'],
    ],
    ['a length and chunks', chunked('0\r\n\r\n', 'Content-Length: 5\r\n'), ['InvalidDescriptor']],
    ['a coding that nobody knows', chunked('0\r\n\r\n').replace('chunked', 'gzip'), ['InvalidDescriptor']],
    ['chunked twice', chunked('0\r\n\r\n', 'Transfer-Encoding: chunked\r\n'), ['InvalidDescriptor']],
    ['chunked and not last', chunked('0\r\n\r\n').replace('chunked', 'chunked, identity'), ['InvalidDescriptor']],
    ['chunked written oddly', chunked('0\r\n\r\n').replace('chunked', '\x0bchunked'), ['InvalidDescriptor']],
    ['a chunk size that is none', chunked('zz\r\n{}\r\n0\r\n\r\n'), ['InvalidDescriptor']],
    ['a chunk size beyond all numbers', chunked('ffffffffffffffffff\r\n{}\r\n0\r\n\r\n'), ['InvalidDescriptor']],
    ['a chunk longer than it says', chunked('1\r\n{}\r\n0\r\n\r\n'), ['InvalidDescriptor']],
    ['a chunk cut off', chunked('5\r\n{"'), ['InvalidDescriptor']],
    ['no last chunk', chunked('2\r\n{}\r\n'), ['InvalidDescriptor']],
    ['chunk extensions of 20 KiB', chunked(`2;${'x'.repeat(20 * KIB)}\r\n{}\r\n0\r\n\r\n`), ['RequestTooLarge']],
    ['trailers of 20 KiB', chunked(`2\r\n{}\r\n0\r\nX-T: ${'x'.repeat(20 * KIB)}\r\n\r\n`), ['RequestTooLarge']],
    ['chunks with lone line feeds', chunked('2\n{}\n0\n\n'), ['InvalidDescriptor']],
    [
      'chunks that hold a request',
      chunked('2\r\n{}\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'),
      ['InvalidDescriptor', null],
    ],
    [
      'a GET with a body that looks like a request',
      `GET /healthz HTTP/1.1\r\n${host}Content-Length: 47\r\n\r\nPOST /v1/requests HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      [null],
    ],
    ['no Content-Type', `POST /v1/requests HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\n{}`, ['UnsupportedMediaType']],
    [
      'a form',
      posted('/v1/requests', 'a=b').toString().replace('application/json', 'application/x-www-form-urlencoded'),
      ['UnsupportedMediaType'],
    ],
    [
      'a Content-Type that takes long to be read',
      posted('/v1/requests', '{}')
        .toString()
        .replace('/json', `/json;${' '.repeat(15 * KIB)}x`),
      ['UnsupportedMediaType'],
    ],
    ['a body that is compressed', posted('/v1/requests', '{}', 'Content-Encoding: gzip\r\n'), ['UnsupportedMediaType']],
    ['a key of another kind', posted('/v1/requests', '{}', 'X-Sallyport-Key: \xff\xfe\r\n'), ['InvalidDescriptor']],
    ['a request id that would end the line', posted('/v1/requests', '{}', 'X-Request-Id: a b\r\n'), ['InvalidDescriptor']],
    ['three requests in one write', `${`GET /nope HTTP/1.1\r\n${host}\r\n`.repeat(3)}`, ['NotFound', 'NotFound', 'NotFound']],
    ['a good request and garbage behind it', `GET /healthz HTTP/1.1\r\n${host}\r\n\x01\x02\x03\r\n\r\n`, [null]],
    ['garbage and a good request behind it', `\x01\x02\r\n\r\nGET /healthz HTTP/1.1\r\n${host}\r\n`, ['InvalidDescriptor']],
    [
      'a refused post and a good request behind it',
      Buffer.concat([posted('/nope', '{}'), Buffer.from(`GET /healthz HTTP/1.1\r\n${host}\r\n`)]),
      ['NotFound', null],
    ],
    ['HTTP/1.0', 'GET /nope HTTP/1.0\r\nHost: localhost\r\n\r\n', ['NotFound']],
    ['HTTP/1.0 in chunks', chunked('2\r\n{}\r\n0\r\n\r\n').replace('HTTP/1.1', 'HTTP/1.0'), ['InvalidDescriptor']],
    ['HEAD of what is posted to', `HEAD /v1/requests HTTP/1.1\r\n${host}\r\n`, ['HEAD'], { toHead: true }],
  ]

  for (const [name, bytes, types, options] of CORPUS) {
    test(name, async () => {
      const before = up.received
      const { answers, waitedMs } = await raw(bytes, options)
      const found = answers.map(({ body, status }) => (options?.toHead ? 'HEAD' : status < 300 ? null : body.error.type))
      assert.deepEqual(found, types)
      assert.ok(waitedMs < WITHIN_MS, `the answer took ${waitedMs} ms`)
      assert.equal(up.received, before, 'something was sent')
    })
  }
})

describe('bodies of up to 1 MiB', () => {
  const MIB = KIB * KIB
  const fill = (unit: string, around: (text: string) => string = (text) => text): string => {
    const room = MIB - Buffer.byteLength(around(''))
    return around(unit.repeat(Math.floor(room / Buffer.byteLength(unit))))
  }
  const within = (before: string, after: string) => (text: string) => `${before}${text}${after}`
  const target = (): string => JSON.stringify(`${up.origin}/`).slice(0, -1)
  /** null: it may be sent. */
  const BODIES: readonly (readonly [name: string, body: () => string | Buffer, type: string | null])[] = [
    ['open brackets', () => fill('['), 'InvalidDescriptor'],
    ['open objects', () => fill('{"a":'), 'InvalidDescriptor'],
    ['brackets within json', () => fill('[', within('{"json":', '')), 'InvalidDescriptor'],
    ['backslashes', () => fill('\\', within('"', '"')), 'InvalidDescriptor'],
    ['an endless string', () => fill('a', within('{"url":"', '')), 'InvalidDescriptor'],
    ['an endless number', () => fill('9', within('{"timeout":', '}')), 'InvalidDescriptor'],
    ['an exponent without end', () => fill('9', within('{"timeout":1e', '}')), 'InvalidDescriptor'],
    ['one key again and again', () => fill('"url":1,', within('{', '"a":1}')), 'InvalidDescriptor'],
    ['keys that nobody knows', () => `{${Array.from({ length: 60_000 }, (_, i) => `"k${i}":1`).join()}}`, 'InvalidDescriptor'],
    ['__proto__ again and again', () => fill('{"__proto__":1},', within('{"json":[', '1],"params":[1]}')), 'InvalidDescriptor'],
    ['spaces', () => fill(' '), 'InvalidDescriptor'],
    ['zeros', () => Buffer.alloc(MIB), 'InvalidDescriptor'],
    ['bytes that are no UTF-8', () => Buffer.alloc(MIB, 0xff), 'InvalidDescriptor'],
    ['halves of surrogate pairs', () => fill('\\ud800', within('{"data":"', '"}')), 'InvalidDescriptor'],
    ['params that are no pairs', () => fill('1,', within('{"params":[', '1]}')), 'InvalidDescriptor'],
    ['a host of nearly 1 MiB', () => fill('a', within('{"url":"http://', '/"}')), 'InvalidURL'],
    ['a host of escapes', () => fill('%61', within('{"url":"http://', '/"}')), 'InvalidURL'],
    ['a host of dots', () => fill('.', within('{"url":"http://', '/"}')), 'InvalidURL'],
    ['a login of at signs', () => fill('@', within('{"url":"http://', '/"}')), 'InvalidURL'],
    ['a scheme without end', () => fill('a', within('{"url":"', '://x"}')), 'InvalidSchema'],
    ['a header value', () => fill('\\u0001', within(`{"url":${target()}","headers":{"a":"`, '"}}')), 'InvalidHeader'],
    ['content that is no base64', () => fill('*', within(`{"url":${target()}","content":"`, '"}')), 'InvalidDescriptor'],
    ['a path of dots', () => fill('/..', within(`{"url":${target()}`, '"}')), null],
    ['a path of stars under a glob', () => fill('a', within(`{"url":${target()}`, '"}')), null],
    ['a path of escapes in escapes', () => fill('%25', within(`{"url":${target()}`, '"}')), null],
    ['a path beyond ASCII', () => fill('é', within(`{"url":${target()}`, '"}')), null],
    ['a query of ampersands', () => fill('&', within(`{"url":${target()}?`, '"}')), null],
    ['a query of stray percent signs', () => fill('%', within(`{"url":${target()}?`, '"}')), null],
    ['a form of pairs', () => fill('["a","é"],', within(`{"url":${target()}","method":"POST","data":[`, '["a","b"]]}')), null],
    ['a json body', () => fill('1,', within(`{"url":${target()}","method":"POST","json":[`, '1]}')), null],
  ]
  for (const [name, body, type] of BODIES) {
    test(name, async () => {
      const before = up.received
      const bytes = posted('/v1/requests', body())
      const from = process.cpuUsage()
      const { answers } = await raw(bytes, { quietMs: HANG_MS })
      const { user, system } = process.cpuUsage(from)
      assert.equal(answers.length, 1)
      assert.equal(answers[0]?.body.error?.type ?? null, type)
      assert.ok((user + system) / 1000 < WITHIN_MS, `the answer took ${(user + system) / 1000} ms of CPU`)
      assert.equal(up.received - before, type === null ? 1 : 0)
    })
  }
  test('a batch of half a million items is refused as a whole', async () => {
    const { answers } = await raw(posted('/v1/batch', fill('1,', within('{"requests":[', '1]}'))), { quietMs: HANG_MS })
    assert.equal(answers[0]?.body.error.type, 'InvalidDescriptor')
  })
})

describe('the same bytes in other portions', () => {
  const shapes: readonly (readonly [name: string, bytes: () => Buffer, type: string | null])[] = [
    ['a good call', () => posted('/v1/requests', goodCall()), null],
    ['a call that cannot be read', () => posted('/v1/requests', '{"url":1}'), 'InvalidDescriptor'],
    ['a call in chunks', () => Buffer.from(chunked(`2\r\n{}\r\n0\r\n\r\n`)), 'InvalidDescriptor'],
    ['garbage', () => Buffer.from('garbage\r\n\r\n'), 'InvalidDescriptor'],
  ]
  for (const [name, bytes, type] of shapes) {
    test(`${name}, byte by byte`, async () => {
      const pieces = [...bytes()].map((byte) => Buffer.of(byte))
      const { answers } = await raw(pieces, { quietMs: 500 })
      assert.deepEqual(
        answers.map(({ body }) => body.error?.type ?? null),
        [type],
      )
    })
  }
  test('a head that comes too slowly is RequestTimeout', async () => {
    const pieces = [...'GET /healthz HTTP/1.1\r\nHost: localhost\r\n']
    const { answers } = await sendRaw(hasty.port, pieces, { everyMs: 12, quietMs: HANG_MS, withinMs: HANG_MS })
    assert.equal(answers[0]?.body.error.type, 'RequestTimeout')
  })
  test('so is a body, and nothing of it is sent', async () => {
    const before = up.received
    const whole = posted('/v1/requests', goodCall())
    const { answers } = await rawPatiently(whole.subarray(0, -3))
    assert.equal(answers[0]?.body.error.type, 'RequestTimeout')
    assert.equal(up.received, before)
  })
  test('a body that is broken off is no call', async () => {
    const before = up.received
    await Promise.all([1, 20, 60].map((missing) => raw(posted('/v1/requests', goodCall()).subarray(0, -missing))))
    assert.equal(up.received, before)
  })
})

describe('a good request with something cut out, put in or turned round', () => {
  /** Calls in the answers that went as far as the upstream. */
  const sentIn = ({ answers }: RawExchange): number =>
    answers.flatMap(({ body }) => body?.responses ?? [body]).filter((envelope) => envelope?.attempts?.length > 0).length

  const seeds = (): Buffer[] => [
    posted('/v1/requests', goodCall()),
    posted('/v1/prepare', goodCall()),
    posted('/v1/batch', `{"requests":[${goodCall()},${goodCall()},{}],"concurrency":2}`),
    Buffer.from(chunked(`${goodCall().length.toString(16)}\r\n${goodCall()}\r\n0\r\n\r\n`)),
    Buffer.from('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'),
    Buffer.concat([posted('/v1/requests', goodCall()), posted('/v1/requests', '{}'), posted('/v1/requests', goodCall())]),
  ]
  const SIDE_BY_SIDE = { minLength: 48, maxLength: 48 }
  const nasty = fc.oneof(
    fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
    fc
      .constantFrom(
        '\r\n',
        '\r',
        '\n',
        '\0',
        '\r\n\r\n',
        ' ',
        ':',
        '"',
        '\\',
        '{',
        '}',
        '0\r\n\r\n',
        '\xff',
        'Host: a\r\n',
        'Content-Length: 1\r\n',
      )
      .map((text) => Buffer.from(text, 'latin1')),
  )
  /** Where in the bytes, in thousandths of their length. */
  const place = fc.nat(1000)
  const edit = fc.record({ at: place, cut: fc.nat(12), put: nasty })
  const input = fc
    .record({ seed: fc.nat(5), edits: fc.array(edit, { maxLength: 2 }), keep: fc.option(place, { freq: 4, nil: 1000 }) })
    .map(({ seed, edits, keep }) => {
      let bytes = seeds()[seed] as Buffer
      for (const { at, cut, put } of edits) {
        const start = Math.floor((at * bytes.length) / 1000)
        bytes = Buffer.concat([bytes.subarray(0, start), put, bytes.subarray(start + cut)])
      }
      return bytes.subarray(0, Math.ceil((keep * bytes.length) / 1000))
    })

  test('is answered by the letter, and what reached the upstream is what the answers tell', async () => {
    const outcomes = new Set<string>()
    const many = fc.array(input, SIDE_BY_SIDE)
    await fc.assert(
      fc.asyncProperty(many, async (inputs) => {
        const before = up.received
        const exchanges = await Promise.all(inputs.map((each) => rawPatiently(each)))
        assert.equal(
          up.received - before,
          exchanges.reduce((sum, each) => sum + sentIn(each), 0),
        )
        assert.deepEqual(up.breaches, [])
        for (const { answers } of exchanges) for (const { body } of answers) outcomes.add(body?.error?.type ?? 'none')
      }),
      { numRuns: 6 * TIMES, seed: SEED, endOnFailure: true },
    )
    for (const type of ['none', 'InvalidDescriptor', 'RequestTimeout', 'NotFound'])
      assert.ok(outcomes.has(type), `no case came to ${type}`)
  })
  test('so are bytes by chance', async () => {
    const before = up.received
    const many = fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), SIDE_BY_SIDE)
    await fc.assert(
      fc.asyncProperty(many, async (inputs) => {
        const exchanges = await Promise.all(inputs.map((bytes) => rawPatiently(Buffer.from(bytes))))
        for (const { answers } of exchanges)
          for (const { body } of answers) assert.match(body.error.type, /^(?:InvalidDescriptor|RequestTimeout)$/)
      }),
      { numRuns: 2 * TIMES, seed: SEED, endOnFailure: true },
    )
    assert.equal(up.received, before)
  })
})

test('after all of that the gateways are unharmed', assertUnharmed)
