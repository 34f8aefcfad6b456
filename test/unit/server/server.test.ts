import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { Answer } from '../../../src/model/gateway-port.ts'
import { aFace, anAnswer, CALLERS, head, parseRaw, post } from './face.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

describe('the hot entrance', () => {
  test('a descriptor goes to the gateway as it came, its answer comes back as it is', async (t) => {
    const { url, calls } = await aFace(t)
    const answer = await fetch(`${url}/v1/requests`, { method: 'POST', headers: JSON_TYPE, body: '{"url":"x"}' })
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('content-type'), 'application/json')
    assert.equal(answer.headers.get('access-control-allow-origin'), null)
    assert.equal(await answer.text(), '{"echoed":"{\\"url\\":\\"x\\"}"}')
    const [call] = calls
    assert.equal(call?.entrance, 'requests')
    assert.deepEqual(call?.caller, { name: 'local', admin: true, may: null })
    assert.equal(call?.requestId, answer.headers.get('x-request-id'))
    assert.match(call?.requestId ?? '', /^[A-Za-z0-9._:-]{10,128}$/)
  })

  test('two requests get two ids', async (t) => {
    const { url, calls } = await aFace(t)
    for (let i = 0; i < 2; i++) await fetch(`${url}/v1/requests`, { method: 'POST', headers: JSON_TYPE, body: '{}' })
    assert.notEqual(calls[0]?.requestId, calls[1]?.requestId)
  })

  for (const [given, taken] of [
    ['order-17:a_b.c', true],
    ['x'.repeat(128), true],
    ['x'.repeat(129), false],
    ['a b', false],
    ['a"b', false],
    ['', false],
  ] as const)
    test(`X-Request-Id ${JSON.stringify(given.slice(0, 20))} of ${given.length} characters is ${taken ? 'taken' : 'replaced'}`, async (t) => {
      const { raw } = await aFace(t)
      const answer = parseRaw(await raw(post('{}', `X-Request-Id: ${given}`, 'Connection: close')).ended)
      assert.equal(answer.headers['x-request-id'] === given, taken)
      assert.match(answer.headers['x-request-id'] ?? '', /^[A-Za-z0-9._:-]{1,128}$/)
    })

  test('trace context is passed on where it is well-formed', async (t) => {
    const { url, calls } = await aFace(t)
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    for (const value of [traceparent, 'nonsense'])
      await fetch(`${url}/v1/requests`, { method: 'POST', headers: { ...JSON_TYPE, traceparent: value }, body: '{}' })
    assert.deepEqual(
      calls.map((call) => call.traceparent),
      [traceparent, null],
    )
  })

  test('an answer in pieces arrives whole, small and large, with its status and Retry-After', async (t) => {
    const piece = Buffer.alloc(50_000, 'x')
    const answers: Answer[] = [
      { status: 503, retryAfterSeconds: 7, body: [Buffer.from('[1,'), Buffer.from('2]')] },
      { status: 200, retryAfterSeconds: null, body: Array.from({ length: 40 }, () => piece) },
      { status: 200, retryAfterSeconds: null, body: [] },
    ]
    const { url } = await aFace(t, { call: async () => answers.shift() as Answer })
    const send = () => fetch(`${url}/v1/requests`, { method: 'POST', headers: JSON_TYPE, body: '{}' })
    const small = await send()
    assert.deepEqual([small.status, small.headers.get('retry-after'), await small.text()], [503, '7', '[1,2]'])
    const large = await send()
    assert.equal(large.headers.get('content-length'), '2000000')
    assert.equal((await large.text()).length, 2_000_000)
    const empty = await send()
    assert.equal(empty.headers.get('content-length'), '0')
  })
})

describe('who may come in', () => {
  const refusedBy = (
    name: string,
    bytes: string,
    status: number,
    type: string,
    because: RegExp,
    extra?: Record<string, string>,
  ) =>
    test(`${name}: ${status} ${type}`, async (t) => {
      const { raw, refusals, calls } = await aFace(t, { ports: { callers: () => CALLERS } })
      const answer = parseRaw(await raw(bytes).ended)
      assert.equal(answer.status, status)
      assert.equal(answer.body.error.type, type)
      assert.match(answer.body.error.message, because)
      assert.equal(answer.headers['x-request-id'], answer.body.requestId)
      for (const [header, value] of Object.entries(extra ?? {})) assert.equal(answer.headers[header], value)
      assert.deepEqual(
        refusals.map((refusal) => refusal.type),
        [type],
        'logged and counted once',
      )
      assert.equal(calls.length, 0)
    })
  const KEY = 'X-Sallyport-Key: billing-key'
  const CLOSE = 'Connection: close'
  const asked = (line: string, ...fields: string[]) => head(line, 'Content-Length: 2', CLOSE, ...fields).concat('{}')

  refusedBy('no key', post('{}', CLOSE), 401, 'Unauthenticated', /X-Sallyport-Key/, {
    'www-authenticate': 'Bearer realm="sallyport"',
  })
  refusedBy('a wrong key', post('{}', CLOSE, 'X-Sallyport-Key: canary'), 401, 'Unauthenticated', /not known/)
  refusedBy(
    'a form',
    asked('POST /v1/requests HTTP/1.1', KEY, 'Content-Type: text/plain'),
    415,
    'UnsupportedMediaType',
    /application\/json/,
  )
  refusedBy('no content type', asked('POST /v1/requests HTTP/1.1', KEY), 415, 'UnsupportedMediaType', /application\/json/)
  refusedBy(
    'JSON in latin-1',
    asked('POST /v1/requests HTTP/1.1', KEY, 'Content-Type: application/json; charset=latin1'),
    415,
    'UnsupportedMediaType',
    /UTF-8/,
  )
  refusedBy(
    'a compressed body',
    post('{}', KEY, CLOSE, 'Content-Encoding: gzip'),
    415,
    'UnsupportedMediaType',
    /Content-Encoding/,
  )
  refusedBy('another origin', post('{}', KEY, CLOSE, 'Origin: http://evil.example'), 403, 'Forbidden', /CORS/)
  refusedBy('a null origin', post('{}', KEY, CLOSE, 'Origin: null'), 403, 'Forbidden', /CORS/)
  refusedBy('a cross-site page', post('{}', KEY, CLOSE, 'Sec-Fetch-Site: cross-site'), 403, 'Forbidden', /CORS/)
  refusedBy('another path', head('GET /nowhere?key=canary HTTP/1.1', CLOSE), 404, 'NotFound', /at \/nowhere;/)
  refusedBy('a path that is none', head('GET /%ff HTTP/1.1', CLOSE), 404, 'NotFound', /at \/%ff;/)
  refusedBy('a path in other case', post('{}', KEY, CLOSE).replace('/v1/requests', '/V1/Requests'), 404, 'NotFound', /entrance/)
  refusedBy('an absolute target', head('GET http://example.com/ HTTP/1.1', CLOSE), 404, 'NotFound', /not a path/)
  refusedBy('an asterisk', head('OPTIONS * HTTP/1.1', CLOSE), 404, 'NotFound', /not a path/)
  refusedBy('GET of a POST entrance', head('GET /v1/requests HTTP/1.1', CLOSE), 405, 'MethodNotAllowed', /takes POST/, {
    allow: 'POST',
  })
  refusedBy('POST of a GET entrance', asked('POST /healthz HTTP/1.1'), 405, 'MethodNotAllowed', /takes GET/, {
    allow: 'GET, HEAD',
  })
  refusedBy('a preflight', head('OPTIONS /v1/requests HTTP/1.1', CLOSE), 405, 'MethodNotAllowed', /takes POST/, { allow: 'POST' })
  refusedBy('CONNECT', head('CONNECT example.com:443 HTTP/1.1'), 405, 'MethodNotAllowed', /CONNECT/, { allow: 'GET, HEAD, POST' })
  refusedBy('HTTP/1.1 without a Host', 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'InvalidDescriptor', /Host/)
  refusedBy('an unknown expectation', post('{}', KEY, 'Expect: cake'), 400, 'InvalidDescriptor', /100-continue/)
  refusedBy('metrics without a key', head('GET /metrics HTTP/1.1', CLOSE), 401, 'Unauthenticated', /Send a key/)
  refusedBy('metrics for an ordinary caller', head('GET /metrics HTTP/1.1', CLOSE, KEY), 401, 'Unauthenticated', /admin/)

  for (const fields of [
    [KEY],
    ['Proxy-Authorization: Bearer billing-key'],
    ['Authorization: Bearer billing-key'],
    [KEY, 'Origin: http://localhost'],
    [KEY, 'Origin: https://localhost', 'Sec-Fetch-Site: same-origin'],
    [KEY, 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'],
  ])
    test(`${fields.join(', ')} is let in`, async (t) => {
      const { raw, calls } = await aFace(t, { ports: { callers: () => CALLERS } })
      const answer = parseRaw(await raw(post('{}', CLOSE, ...fields)).ended)
      assert.equal(answer.status, 200)
      assert.equal(calls[0]?.caller.name, 'billing')
    })

  for (const type of ['application/json; charset=utf-8', 'Application/JSON;charset="UTF-8"', 'application/json ;'])
    test(`Content-Type: ${type} is JSON`, async (t) => {
      const { url } = await aFace(t)
      const answer = await fetch(`${url}/v1/requests`, { method: 'POST', headers: { 'content-type': type }, body: '{}' })
      assert.equal(answer.status, 200)
    })
})

describe('without callers', () => {
  for (const [host, status] of [
    ['localhost', 200],
    ['LOCALHOST:8080', 200],
    ['127.0.0.1:1', 200],
    ['[::1]:8080', 200],
    ['evil.example', 403],
    ['localhost.evil.example', 403],
    ['127.0.0.1.evil.example', 403],
    ['0.0.0.0', 403],
    ['', 403],
  ] as const)
    test(`Host ${JSON.stringify(host)}: ${status}`, async (t) => {
      const { raw } = await aFace(t)
      const text = post('{}', 'Connection: close').replace('Host: localhost', `Host: ${host}`)
      assert.equal(parseRaw(await raw(text).ended).status, status)
    })

  test('any other address is not listened on, and the error says why', async (t) => {
    await assert.rejects(aFace(t, { options: { host: '0.0.0.0' } }), /no caller is configured.*127\.0\.0\.1/)
  })
})

describe('bodies', () => {
  test('over the limit by its Content-Length: refused before a byte is read, and the answer arrives', async (t) => {
    const { raw } = await aFace(t, { options: { descriptorLimit: 1000 } })
    const { socket, until } = raw(head('POST /v1/requests HTTP/1.1', 'Content-Type: application/json', 'Content-Length: 5000000'))
    const answer = parseRaw(await until('requestId'))
    assert.deepEqual([answer.status, answer.body.error.type, answer.headers.connection], [413, 'RequestTooLarge', 'close'])
    assert.match(answer.body.error.message, /1000 bytes/)
    socket.destroy()
  })

  test('over the limit without Content-Length: refused while reading, and a caller that goes on sending gets the answer', async (t) => {
    const { raw, calls } = await aFace(t, { options: { descriptorLimit: 1000, clocks: { lingerMs: 300 } } })
    const { socket, ended } = raw(
      head('POST /v1/requests HTTP/1.1', 'Content-Type: application/json', 'Transfer-Encoding: chunked'),
    )
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`
    for (let i = 0; i < 100; i++) socket.write(chunk)
    assert.equal(parseRaw(await ended).status, 413)
    assert.equal(calls.length, 0)
    socket.destroy()
  })

  test('exactly the limit is taken', async (t) => {
    const { url } = await aFace(t, { options: { descriptorLimit: 1000 } })
    const send = (length: number) => fetch(`${url}/v1/requests`, { method: 'POST', headers: JSON_TYPE, body: 'x'.repeat(length) })
    assert.equal((await send(1000)).status, 200)
    assert.equal((await send(1001)).status, 413)
  })

  test('a caller that asks first is told to go on', async (t) => {
    const { raw } = await aFace(t)
    const { socket, until } = raw(
      head('POST /v1/requests HTTP/1.1', 'Content-Type: application/json', 'Content-Length: 2', 'Expect: 100-continue'),
    )
    await until('HTTP/1.1 100 Continue\r\n\r\n')
    socket.write('{}')
    const text = await until('echoed')
    assert.match(text, /HTTP\/1\.1 200 OK/)
    assert.doesNotMatch(text, /Connection: close/)
    socket.destroy()
  })

  test('a caller that asks first and is refused is not told to go on, and its connection ends', async (t) => {
    const { raw } = await aFace(t, { options: { descriptorLimit: 10, clocks: { lingerMs: 20 } } })
    const { ended } = raw(
      head('POST /v1/requests HTTP/1.1', 'Content-Type: application/json', 'Content-Length: 20', 'Expect: 100-continue'),
    )
    const answer = parseRaw(await ended)
    assert.deepEqual([answer.status, answer.headers.connection], [413, 'close'])
  })

  test('a caller that stops in the middle of its body is told so in time', async (t) => {
    const { raw, refusals } = await aFace(t, { options: { clocks: { headMs: 100, requestMs: 100, lingerMs: 20 } } })
    const { ended } = raw(
      head('POST /v1/requests HTTP/1.1', 'Content-Type: application/json', 'Content-Length: 20', 'X-Request-Id: slow-1').concat(
        '{',
      ),
    )
    const answer = parseRaw(await ended)
    assert.deepEqual([answer.status, answer.body.error.type, answer.headers['x-request-id']], [408, 'RequestTimeout', 'slow-1'])
    assert.deepEqual(refusals, [{ type: 'RequestTimeout', entrance: 'requests', requestId: 'slow-1', caller: 'local' }])
  })

  for (const [name, bytes] of [
    ['nothing at all', ''],
    ['half a line', 'POST /v1/requ'],
    ['a head without end', 'POST /v1/requests HTTP/1.1\r\nHost: loc'],
  ] as const)
    test(`a caller that sends ${name} and then waits: 408`, async (t) => {
      const { raw } = await aFace(t, { options: { clocks: { headMs: 100, requestMs: 100, lingerMs: 20 } } })
      assert.equal(parseRaw(await raw(bytes).ended).status, 408)
    })
})

describe('bytes that are no HTTP', () => {
  for (const [name, bytes, status, type] of [
    ['rubbish', 'hello\r\n\r\n', 400, 'InvalidDescriptor'],
    ['NULs', Buffer.alloc(100), 400, 'InvalidDescriptor'],
    ['a TLS greeting', Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]), 400, 'InvalidDescriptor'],
    ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'InvalidDescriptor'],
    ['an unknown version', 'GET / HTTP/7.3\r\nHost: localhost\r\n\r\n', 400, 'InvalidDescriptor'],
    ['a bare line feed in the head', 'GET / HTTP/1.1\r\nHost: localhost\nA: b\r\n\r\n', 400, 'InvalidDescriptor'],
    [
      'two different lengths',
      `${head('POST /v1/requests HTTP/1.1', 'Content-Length: 1', 'Content-Length: 2')}{}`,
      400,
      'InvalidDescriptor',
    ],
    [
      'a length and chunks',
      `${head('POST /v1/requests HTTP/1.1', 'Content-Length: 1', 'Transfer-Encoding: chunked')}{}`,
      400,
      'InvalidDescriptor',
    ],
    ['an unknown transfer encoding', head('POST /v1/requests HTTP/1.1', 'Transfer-Encoding: gzip'), 400, 'InvalidDescriptor'],
    ['a length that is no number', head('POST /v1/requests HTTP/1.1', 'Content-Length: 0x10'), 400, 'InvalidDescriptor'],
    ['a negative length', head('POST /v1/requests HTTP/1.1', 'Content-Length: -1'), 400, 'InvalidDescriptor'],
    [
      'a broken chunk',
      `${head('POST /v1/requests HTTP/1.1', 'Content-Type: application/json', 'Transfer-Encoding: chunked')}zz\r\n`,
      400,
      'InvalidDescriptor',
    ],
    ['an endless head', `GET / HTTP/1.1\r\nA: ${'x'.repeat(20_000)}`, 431, 'RequestTooLarge'],
    ['many headers', `GET / HTTP/1.1\r\n${'A: b\r\n'.repeat(20_000)}`, 431, 'RequestTooLarge'],
    ['a megabyte of rubbish', Buffer.alloc(1 << 20, 'rubbish '), 400, 'InvalidDescriptor'],
    ['a megabyte of line', `GET /${'x'.repeat(1 << 20)}`, 431, 'RequestTooLarge'],
  ] as const)
    test(`${name}: ${status} ${type}, then the connection ends`, async (t) => {
      const { raw, refusals } = await aFace(t, { options: { clocks: { lingerMs: 50 } } })
      const began = performance.now()
      const connection = raw(bytes)
      const answer = parseRaw(await connection.ended)
      assert.ok(performance.now() - began < 1000)
      assert.deepEqual([answer.status, answer.body.error.type, answer.headers.connection], [status, type, 'close'])
      assert.equal(answer.headers['content-type'], 'application/json')
      assert.equal(answer.headers['x-request-id'], answer.body.requestId)
      assert.equal(refusals.length, 1)
      connection.socket.destroy()
    })

  test('rubbish behind a request under way does not spoil its answer', async (t) => {
    const { raw, calls } = await aFace(t, { call: () => sleep(50).then(() => anAnswer('kept')) })
    const text = await raw(`${post('{}')}rubbish\r\n\r\n`).ended
    assert.equal(calls.length, 1)
    assert.deepEqual(text.match(/HTTP\/1\.1 \d+|Connection: close/g), ['HTTP/1.1 200', 'HTTP/1.1 400', 'Connection: close'])
  })

  test('a caller that ends its side in the middle of a request is told what is missing', async (t) => {
    const { raw, calls } = await aFace(t)
    const { socket, ended } = raw(
      head('POST /v1/requests HTTP/1.1', 'Content-Type: application/json', 'Content-Length: 20').concat('{'),
    )
    await sleep(20)
    socket.end()
    assert.equal(parseRaw(await ended).status, 400)
    assert.equal(calls.length, 0)
  })
})

describe('hanging up', () => {
  test('a caller that goes away cancels its call', async (t) => {
    const cancelled = Promise.withResolvers<GatewayError>()
    const { raw, calls, face } = await aFace(t, {
      call: (incoming) =>
        new Promise((resolve) => {
          incoming.cancellation.onCancel((reason) => {
            cancelled.resolve(reason)
            resolve(anAnswer('too late'))
          })
        }),
    })
    const { socket } = raw(post('{}'))
    while (calls.length === 0) await sleep(1)
    assert.equal(face.inFlight(), 1)
    socket.destroy()
    assert.equal((await cancelled.promise).type, 'Cancelled')
    while (face.inFlight() > 0 || face.connections() > 0) await sleep(1)
  })

  test('a caller that goes away in the middle of its body makes no call, and one line', async (t) => {
    const { raw, calls, refusals, face } = await aFace(t)
    const { socket } = raw(head('POST /v1/requests HTTP/1.1', 'Content-Type: application/json', 'Content-Length: 20').concat('{'))
    while (face.inFlight() === 0) await sleep(1)
    socket.resetAndDestroy()
    while (face.inFlight() > 0) await sleep(1)
    await sleep(1)
    assert.equal(calls.length, 0)
    assert.deepEqual(
      refusals.map(({ type, caller }) => [type, caller]),
      [['Cancelled', 'local']],
    )
  })

  test('an answered call is not cancelled afterwards', async (t) => {
    const { raw, calls } = await aFace(t)
    await raw(post('{}', 'Connection: close')).ended
    await sleep(5)
    assert.equal(calls[0]?.cancellation.reason, null)
  })

  test('a caller that does not take its answer is let go of in the end', async (t) => {
    const { raw, face, calls } = await aFace(t, {
      options: { clocks: { answerMs: 50 } },
      call: async () => anAnswer('', { body: [Buffer.alloc(64 << 20, 'x')] }),
    })
    const { socket } = raw(post('{}'))
    socket.pause()
    while (calls.length === 0) await sleep(1)
    while (face.connections() > 0) await sleep(5)
    socket.destroy()
  })

  test('a fault in the gateway is an answer too', async (t) => {
    const { url } = await aFace(t, { call: () => Promise.reject(new TypeError('canary')) })
    const answer = await fetch(`${url}/v1/requests`, { method: 'POST', headers: JSON_TYPE, body: '{}' })
    const text = await answer.text()
    assert.equal(answer.status, 500)
    assert.match(text, /InternalError/)
    assert.doesNotMatch(text, /canary|TypeError|server\//)
  })
})

describe('stopping', () => {
  test('calls under way finish, new ones are refused, readyz says so, every connection ends', async (t) => {
    const release = Promise.withResolvers<Answer>()
    const { face, raw, calls, url } = await aFace(t, { call: () => release.promise })
    const waiting = raw(post('{}'))
    while (calls.length === 0) await sleep(1)
    const drained = face.drain(5000)
    const refused = parseRaw(await raw(post('{}')).ended)
    assert.deepEqual([refused.status, refused.body.error.type, refused.headers.connection], [503, 'Draining', 'close'])
    const ready = await fetch(`${url}/readyz`)
    assert.deepEqual([ready.status, await ready.json()], [503, { ready: false, degraded: [], because: 'draining' }])
    assert.equal((await fetch(`${url}/healthz`)).status, 200)
    release.resolve(anAnswer('done'))
    const answer = parseRaw(await waiting.ended)
    assert.deepEqual([answer.status, answer.headers.connection], [200, 'close'])
    await drained
    assert.equal(face.connections(), 0)
    await assert.rejects(fetch(`${url}/healthz`))
  })

  test('calls that are not done within the grace are ended with Draining and answered', async (t) => {
    const { face, raw, calls } = await aFace(t, {
      call: ({ cancellation }) =>
        new Promise((resolve) => {
          cancellation.onCancel((reason) => resolve(anAnswer({ error: { type: reason.type } }, { status: reason.status })))
        }),
    })
    const waiting = raw(post('{}'))
    while (calls.length === 0) await sleep(1)
    await face.drain(20)
    const answer = parseRaw(await waiting.ended)
    assert.deepEqual([answer.status, answer.body.error.type], [503, 'Draining'])
  })

  test('a call that does not even listen to that is cut off', async (t) => {
    const { face, raw, calls } = await aFace(t, { call: () => new Promise(() => {}) })
    const { socket } = raw(post('{}'))
    socket.on('error', () => {})
    while (calls.length === 0) await sleep(1)
    await face.drain(10)
    while (face.connections() > 0) await sleep(1)
  })

  test('an unused connection does not hold it up', async (t) => {
    const { face, raw } = await aFace(t)
    const { until, ended } = raw(post('{}'))
    await until('echoed')
    await face.drain(60_000)
    await ended
  })
})
