// What arrives at an upstream for each key of a descriptor: method, target, headers in order and case, body, byte for byte.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { VERSION } from '../../src/model/version.ts'
import { type Scene, setScene } from '../support/scene.ts'
import { valuesOf } from '../support/scripted-upstream.ts'

type Header = readonly [string, string]

const AGENT: Header = ['User-Agent', `sallyport/${VERSION}`]
const CODINGS: Header = ['Accept-Encoding', 'gzip, deflate, br, zstd']
const ANY: Header = ['Accept', '*/*']
const DEFAULTS = [AGENT, CODINGS, ANY]

interface Case {
  readonly name: string
  /** Keys of the descriptor as JSON text, without braces and without `url`. */
  readonly keys: string
  /** Of the descriptor's URL, after the origin. Default `/p`. */
  readonly path?: string
  readonly method?: string
  readonly target?: string
  /** Between Host and Connection, which come first, and Content-Length, which comes last. */
  readonly headers?: readonly Header[]
  /** As latin-1; absent: no body and no Content-Length. */
  readonly body?: string
}

const JSON_TYPE: Header = ['Content-Type', 'application/json']
const FORM_TYPE: Header = ['Content-Type', 'application/x-www-form-urlencoded']
const utf8 = (text: string): string => Buffer.from(text).toString('latin1')

const CASES: readonly Case[] = [
  { name: 'nothing but a URL is a GET with the defaults', keys: '' },
  { name: 'a method is upper-cased', keys: '"method":"patch","data":"x"', method: 'PATCH', body: 'x' },
  { name: 'any token is a method', keys: '"method":"M-SEARCH"', method: 'M-SEARCH' },
  { name: 'a body goes with GET too', keys: '"json":1', headers: [...DEFAULTS, JSON_TYPE], body: '1' },

  {
    name: "params are appended to the URL's own query",
    keys: '"params":{"b":"x y","c":["1",2],"d":null,"e":[]}',
    path: '/p?a=1',
    target: '/p?a=1&b=x+y&c=1&c=2',
  },
  { name: 'params as pairs may repeat a name apart', keys: '"params":[["a","1"],["b","2"],["a","3"]]', target: '/p?a=1&b=2&a=3' },
  { name: 'params as a string are appended as they stand', keys: '"params":"a=1&b=%7e&c"', target: '/p?a=1&b=~&c' },
  {
    name: 'numbers travel as written in params, booleans as true and false',
    keys: '"params":{"a":2.0,"b":9007199254740993,"c":1e2,"d":true,"e":[false,0.10]}',
    target: '/p?a=2.0&b=9007199254740993&c=1e2&d=true&e=false&e=0.10',
  },
  {
    name: 'names that look like integers keep their place',
    keys: '"params":{"b":1,"10":2,"9":3,"a":4}',
    target: '/p?b=1&10=2&9=3&a=4',
  },
  {
    name: "params are encoded as Python's urlencode does",
    keys: '"params":{"ä":"ö&=+/?#~*\'()!"}',
    target: '/p?%C3%A4=%C3%B6%26%3D%2B%2F%3F%23~%2A%27%28%29%21',
  },
  { name: 'an empty value stays', keys: '"params":{"a":""}', target: '/p?a=' },
  { name: 'the fragment is not sent', keys: '"params":{"a":"1"}', path: '/p#frag', target: '/p?a=1' },
  {
    name: 'escapes that are there stay, what needs one gets one',
    keys: '',
    path: '/a%20b/c d/ü?q=%41 ü',
    target: '/a%20b/c%20d/%C3%BC?q=A%20%C3%BC',
  },
  { name: 'dot segments are removed, encoded ones too', keys: '', path: '/a/b/../%2e%2e/c/./%2E/d', target: '/c/d' },
  { name: 'an empty path is a slash', keys: '', path: '', target: '/' },
  { name: 'an empty path with a query too', keys: '', path: '?x=1', target: '/?x=1' },

  {
    name: 'headers go out in the order and case given',
    keys: '"headers":{"x-LOWER":"1","A":"2","Zz":"3"}',
    headers: [...DEFAULTS, ['x-LOWER', '1'], ['A', '2'], ['Zz', '3']],
  },
  {
    name: 'a name twice in the same case is sent twice',
    keys: '"headers":[["X-A","1"],["X-B","2"],["X-A","3"]]',
    headers: [...DEFAULTS, ['X-A', '1'], ['X-B', '2'], ['X-A', '3']],
  },
  {
    name: "a caller's header takes the place of a default, in the caller's case",
    keys: '"headers":{"accept":"text/plain","USER-AGENT":"mine"}',
    headers: [['USER-AGENT', 'mine'], CODINGS, ['accept', 'text/plain']],
  },
  { name: 'null removes a default', keys: '"headers":{"user-agent":null,"accept-encoding":null,"ACCEPT":null}', headers: [] },
  { name: 'null never removes Host', keys: '"headers":{"Host":null}' },
  { name: 'an empty value is sent', keys: '"headers":{"X-E":""}', headers: [...DEFAULTS, ['X-E', '']] },
  {
    name: 'a value of 0x80-0xFF goes out as those bytes',
    keys: '"headers":{"X-N":"Jos\\u00e9 \\u00ff"}',
    headers: [...DEFAULTS, ['X-N', 'Jos\u00e9 \u00ff']],
  },

  {
    name: 'json is sent as its own text stands in the descriptor',
    keys: '"method":"POST","json":{ "b" : 2.0,\n"a":9007199254740993, "b":1e400,"ü":"\\u00fc" }',
    method: 'POST',
    headers: [...DEFAULTS, JSON_TYPE],
    body: utf8('{ "b" : 2.0,\n"a":9007199254740993, "b":1e400,"ü":"\\u00fc" }'),
  },
  {
    name: 'json: null sends null',
    keys: '"method":"POST","json":null',
    method: 'POST',
    headers: [...DEFAULTS, JSON_TYPE],
    body: 'null',
  },
  {
    name: 'json leaves a Content-Type that was given',
    keys: '"method":"POST","json":[],"headers":{"content-type":"application/vnd.x+json"}',
    method: 'POST',
    headers: [...DEFAULTS, ['content-type', 'application/vnd.x+json']],
    body: '[]',
  },
  {
    name: 'data as an object is a form, numbers as written',
    keys: '"method":"POST","data":{"b":"x y","a":[2.0,9007199254740993],"n":null,"t":true,"e":"é"}',
    method: 'POST',
    headers: [...DEFAULTS, FORM_TYPE],
    body: 'b=x+y&a=2.0&a=9007199254740993&t=true&e=%C3%A9',
  },
  {
    name: 'data as pairs is a form',
    keys: '"method":"PUT","data":[["a","1"],["b","2"],["a","3"]]',
    method: 'PUT',
    headers: [...DEFAULTS, FORM_TYPE],
    body: 'a=1&b=2&a=3',
  },
  {
    name: 'data as a string is sent as it is, without a Content-Type',
    keys: '"method":"POST","data":"ä&b=c"',
    method: 'POST',
    body: utf8('ä&b=c'),
  },
  { name: 'content is raw bytes', keys: '"method":"POST","content":"AP/+gA=="', method: 'POST', body: '\x00\xff\xfe\x80' },
  { name: 'base64 is another name for content', keys: '"method":"POST","base64":"AP8="', method: 'POST', body: '\x00\xff' },
  { name: 'a POST without a body says so', keys: '"method":"POST"', method: 'POST', body: '' },
  {
    name: 'null keys are absent',
    keys: '"method":null,"params":null,"headers":null,"data":null,"content":null,"files":null,"cookies":null,"timeout":null,"maxRetries":null,"verify":null,"cert":null,"session":null,"decode":null,"tags":null,"idempotencyKey":null,"inspect":null',
  },

  { name: 'cookies are one header', keys: '"cookies":{"b":"2","a":"1"}', headers: [...DEFAULTS, ['Cookie', 'b=2; a=1']] },
  { name: 'a null cookie is none', keys: '"cookies":{"b":null,"a":"1"}', headers: [...DEFAULTS, ['Cookie', 'a=1']] },
  {
    name: 'a Cookie header of the caller beats cookies',
    keys: '"cookies":{"b":"2"},"headers":{"Cookie":"mine=1"}',
    headers: [...DEFAULTS, ['Cookie', 'mine=1']],
  },
  {
    name: 'an idempotency key goes out under its header',
    keys: '"method":"POST","data":"x","idempotencyKey":"k-1"',
    method: 'POST',
    headers: [...DEFAULTS, ['Idempotency-Key', 'k-1']],
    body: 'x',
  },
]

test('what a descriptor becomes on the wire', async (t) => {
  const scene = await setScene(t)
  for (const one of CASES) await t.test(one.name, () => holds(scene, one))
})

async function holds({ up, gateway, at }: Scene, one: Case): Promise<void> {
  const { keys, path = '/p', method = 'GET', target = '/p', headers = DEFAULTS, body } = one
  const text = `{"url":${JSON.stringify(at(path))}${keys === '' ? '' : `,${keys}`}}`
  const { status, envelope } = await gateway.post('/v1/requests', text)
  assert.equal(status, 200, JSON.stringify(envelope.error))
  const request = up.last()
  assert.deepEqual([request.method, request.target], [method, target])
  const [first, second, ...rest] = request.headers
  assert.deepEqual(
    [first, second].map((pair) => pair?.[0].toLowerCase()),
    ['host', 'connection'],
  )
  assert.equal(first?.[1], `127.0.0.1:${up.port}`)
  const length = body === undefined ? undefined : rest.pop()
  if (length) assert.deepEqual([length[0].toLowerCase(), length[1]], ['content-length', String(body?.length)])
  assert.deepEqual(rest, headers)
  assert.equal(request.body.toString('latin1'), body ?? '')
  assert.deepEqual(envelope.warnings, [])
}

test('files are multipart as urllib3 writes it', async (t) => {
  const { up, gateway, at } = await setScene(t)
  const post = async (files: unknown, data?: unknown): Promise<{ boundary: string; lines: string[] }> => {
    const { status, text } = await gateway.call({ url: at('/p'), method: 'POST', files, ...(data === undefined ? {} : { data }) })
    assert.equal(status, 200, text)
    const boundary = /^multipart\/form-data; boundary=([A-Za-z0-9]{1,70})$/.exec(
      valuesOf(up.last(), 'content-type')[0] ?? '',
    )?.[1]
    assert.ok(boundary)
    return { boundary, lines: up.last().body.toString('latin1').split('\r\n') }
  }

  await t.test('fields first, then parts in their order', async () => {
    const { boundary, lines } = await post(
      [
        ['f', { text: 'hé' }],
        ['g', { content: 'AP8=', filename: 'a"b\r\nc.bin', contentType: 'image/x', headers: { 'X-Part': '1' } }],
        ['g', { base64: 'eA==', filename: null }],
      ],
      { a: 1.5, b: ['x', null].slice(0, 1), n: null },
    )
    assert.deepEqual(lines, [
      ...[`--${boundary}`, 'Content-Disposition: form-data; name="a"', '', '1.5'],
      ...[`--${boundary}`, 'Content-Disposition: form-data; name="b"', '', 'x'],
      ...[`--${boundary}`, 'Content-Disposition: form-data; name="f"; filename="f"', '', utf8('hé')],
      ...[`--${boundary}`, 'Content-Disposition: form-data; name="g"; filename="a%22b%0D%0Ac.bin"'],
      ...['Content-Type: image/x', 'X-Part: 1', '', '\x00\xff'],
      ...[`--${boundary}`, 'Content-Disposition: form-data; name="g"', '', 'x'],
      ...[`--${boundary}--`, ''],
    ])
  })

  await t.test('each call has a boundary of its own', async () => {
    const [first, second] = [await post({ f: { text: '' } }), await post({ f: { text: '' } })]
    assert.notEqual(first.boundary, second.boundary)
  })
})

test('headers, params and cookies of an adapter are what a Session would persist', async (t) => {
  const { up, gateway, at } = await setScene(t, {
    adapter: {
      headers: { 'X-Team': 'blue', Accept: 'application/json', 'X-Many': ['1', '2'] },
      params: { v: '3', 'a b': 'c d' },
      cookies: { c: 'adapter', d: 'kept' },
    },
  })
  const arrived = async (keys: object, path = '/p?own=1') => {
    const { status, text } = await gateway.call({ url: at(path), ...keys })
    assert.equal(status, 200, text)
    const { target, headers } = up.last()
    return { target, headers: headers.slice(2) }
  }
  const own: readonly Header[] = [
    AGENT,
    CODINGS,
    ['Accept', 'application/json'],
    ['X-Team', 'blue'],
    ['X-Many', '1'],
    ['X-Many', '2'],
  ]

  await t.test('they are sent with every call', async () => {
    assert.deepEqual(await arrived({}), { target: '/p?own=1&v=3&a+b=c+d', headers: [...own, ['Cookie', 'c=adapter; d=kept']] })
  })
  await t.test("the descriptor's win, name by name", async () => {
    const { target, headers } = await arrived({ params: { v: '4' }, headers: { accept: 'text/x' }, cookies: { c: 'mine' } })
    assert.equal(target, '/p?own=1&v=4&a+b=c+d')
    assert.deepEqual(headers, [
      ...[AGENT, CODINGS, ['accept', 'text/x'], ['X-Team', 'blue'], ['X-Many', '1'], ['X-Many', '2']],
      ['Cookie', 'c=mine; d=kept'],
    ])
  })
  await t.test('null removes them', async () => {
    const { target, headers } = await arrived({ params: { v: null }, headers: { 'x-team': null, 'X-MANY': null } }, '/p')
    assert.equal(target, '/p?a+b=c+d')
    assert.deepEqual(headers, [AGENT, CODINGS, ['Accept', 'application/json'], ['Cookie', 'c=adapter; d=kept']])
  })
})

test('Host is the caller’s where the adapter opens it, and only there', async (t) => {
  const { up, gateway, at } = await setScene(t, {
    adapter: { allowHostHeader: true },
    others: ({ port }) => [{ name: 'closed', mount: `http://localhost:${port}/`, egress: { allow: ['127.0.0.0/8', '::1'] } }],
  })
  await gateway.call({ url: at('/p'), headers: { Host: 'other.example' } })
  assert.deepEqual(valuesOf(up.last(), 'host'), ['other.example'])
  const { status, envelope } = await gateway.call({ url: `http://localhost:${up.port}/p`, headers: { host: 'other.example' } })
  assert.deepEqual([status, envelope.error.type], [400, 'InvalidHeader'])
  assert.equal(up.received.length, 1)
})

test('traceparent and request id go upstream only where the adapter says so', async (t) => {
  const { up, gateway, at } = await setScene(t, {
    adapter: { propagate: ['traceparent', 'x-request-id'] },
    others: ({ port }) => [{ name: 'quiet', mount: `http://localhost:${port}/`, egress: { allow: ['127.0.0.0/8', '::1'] } }],
  })
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const headers = { traceparent, 'x-request-id': 'mine-1' }
  const { headers: answered } = await gateway.call({ url: at('/p') }, { headers })
  assert.equal(answered['x-request-id'], 'mine-1')
  assert.deepEqual(valuesOf(up.last(), 'x-request-id'), ['mine-1'])
  assert.match(valuesOf(up.last(), 'traceparent')[0] ?? '', /^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$/)
  assert.match(gateway.logs(), /"requestId":"mine-1","traceId":"4bf92f3577b34da6a3ce929d0e0e4736"/)
  await gateway.call({ url: `http://localhost:${up.port}/p` }, { headers })
  assert.deepEqual([...valuesOf(up.last(), 'x-request-id'), ...valuesOf(up.last(), 'traceparent')], [])
})

describe('what is refused in whatever becomes a header', () => {
  const bad = (headers: unknown) => ({ headers })
  const table: readonly (readonly [name: string, keys: object])[] = [
    ...[
      'Host',
      'Content-Length',
      'Transfer-Encoding',
      'Connection',
      'Keep-Alive',
      'Upgrade',
      'TE',
      'Trailer',
      'Expect',
      'Proxy-X',
    ].map((name) => [`the header ${name}`, bad({ [name]: '1' })] as const),
    ['Proxy-Authorization', bad({ 'proxy-authorization': 'x' })],
    ['a name that is no token', bad({ 'a b': '1' })],
    ['an empty name', bad({ '': '1' })],
    ['a name in different case', bad([['X-A', '1'], ['x-a', '2']])], // biome-ignore format: pairs
    ['a line end in a value', bad({ a: 'b\r\nc: d' })],
    ['a NUL in a value', bad({ a: 'b\0' })],
    ['leading white space', bad({ a: ' b' })],
    ['a leading tab', bad({ a: '\tb' })],
    ['DEL', bad({ a: '\x7f' })],
    ['beyond latin-1', bad({ a: '€' })],
    ['a cookie name', { cookies: { 'a;b': '1' } }],
    ['a cookie value', { cookies: { a: 'x\r\ny' } }],
    ['an auth header name', { auth: { type: 'header', name: 'Host', value: 'x' } }],
    ['an auth header value', { auth: { type: 'header', name: 'X-A', value: 'x\ny' } }],
    ['a bearer token', { auth: { type: 'bearer', token: 'x\r\ny' } }],
    ['a part header', { method: 'POST', files: { f: { text: '', headers: { 'Content-Length': '1' } } } }],
    ['a part type', { method: 'POST', files: { f: { text: '', contentType: 'a\r\nb' } } }],
  ]
  test('is InvalidHeader, and nothing is sent', async (t) => {
    const { up, gateway, at } = await setScene(t)
    for (const [name, keys] of table) {
      await t.test(name, async () => {
        const { status, envelope } = await gateway.call({ url: at('/p'), ...keys })
        assert.deepEqual(
          [status, envelope.error?.type, envelope.error?.sent, envelope.attempts],
          [400, 'InvalidHeader', 'no', []],
        )
      })
    }
    assert.equal(up.accepted(), 0)
  })
})

const INVALID: readonly (readonly [name: string, text: string, type: string, pointer: string])[] = [
  ['no body', '', 'InvalidDescriptor', ''],
  ['no JSON', '{"url":', 'InvalidDescriptor', ''],
  ['a list', '[]', 'InvalidDescriptor', ''],
  ['no url', '{}', 'InvalidDescriptor', '/url'],
  ['NaN', '{"url":"URL","json":NaN}', 'InvalidJSONError', ''],
  ['Infinity', '{"url":"URL","json":[-Infinity]}', 'InvalidJSONError', ''],
  ['an unknown key', '{"url":"URL","timout":1}', 'InvalidDescriptor', '/timout'],
  ['a repeated key', '{"url":"URL","url":"URL"}', 'InvalidDescriptor', '/url'],
  ['a repeated key deeper', '{"url":"URL","params":{"a":1,"a":2}}', 'InvalidDescriptor', '/params/a'],
  ['65 levels', `{"url":"URL","json":${'['.repeat(64)}${']'.repeat(64)}}`, 'InvalidDescriptor', ''],
  ['CONNECT', '{"url":"URL","method":"connect"}', 'InvalidDescriptor', '/method'],
  ['a method that is no token', '{"url":"URL","method":"GE T"}', 'InvalidDescriptor', '/method'],
  ['a timeout of 0', '{"url":"URL","timeout":0}', 'InvalidDescriptor', '/timeout'],
  ['a fractional timeout', '{"url":"URL","timeout":3.05}', 'InvalidDescriptor', '/timeout'],
  ['a negative timeout', '{"url":"URL","timeout":{"read":-1}}', 'InvalidDescriptor', '/timeout/read'],
  ['two bodies', '{"url":"URL","json":1,"data":"x"}', 'InvalidDescriptor', '/data'],
  ['content and json', '{"url":"URL","json":1,"content":"eA=="}', 'InvalidDescriptor', '/content'],
  ['files and json', '{"url":"URL","json":1,"files":{"f":{"text":""}}}', 'InvalidDescriptor', '/files'],
  ['files and data as a string', '{"url":"URL","data":"x","files":{"f":{"text":""}}}', 'InvalidDescriptor', '/data'],
  ['no base64', '{"url":"URL","content":"e A="}', 'InvalidDescriptor', '/content'],
  ['a name that is none', '{"url":"URL","session":"a/b"}', 'InvalidDescriptor', '/session'],
  ['a long key', `{"url":"URL","idempotencyKey":"${'k'.repeat(256)}"}`, 'InvalidDescriptor', '/idempotencyKey'],
  ['nine tags', `{"url":"URL","tags":{${Array.from({ length: 9 }, (_, i) => `"t${i}":"x"`)}}}`, 'InvalidDescriptor', '/tags'],
  ['an unknown bundle', '{"url":"URL","verify":"nobody"}', 'InvalidDescriptor', '/verify'],
  ['no scheme', '{"url":"example.com/x"}', 'MissingSchema', '/url'],
  ['another scheme', '{"url":"ftp://example.com/"}', 'InvalidSchema', '/url'],
  ['no host', '{"url":"http:///x"}', 'InvalidURL', '/url'],
  ['a port too great', '{"url":"http://h:65536/"}', 'InvalidURL', '/url'],
]

test('what cannot be sent is a 400 that points at the fault', async (t) => {
  const { up, gateway, at } = await setScene(t)
  for (const [name, text, type, pointer] of INVALID) {
    await t.test(name, async () => {
      const { status, envelope } = await gateway.post('/v1/requests', text.replaceAll('URL', at('/p')))
      assert.deepEqual([status, envelope.error?.type, envelope.error?.detail?.[0]?.pointer], [400, type, pointer])
      assert.equal(envelope.source, 'gateway')
    })
  }
  await t.test('bytes that are no UTF-8', async () => {
    const body = Buffer.concat([Buffer.from(`{"url":"${at('/p')}","data":"`), Buffer.from([0xff]), Buffer.from('"}')])
    const { status, envelope } = await gateway.post('/v1/requests', body)
    assert.deepEqual([status, envelope.error.type], [400, 'InvalidDescriptor'])
  })
  await t.test('every fault is told', async () => {
    const { envelope } = await gateway.post('/v1/requests', '{"ulr":"x","method":7,"json":1,"data":2}')
    const pointers = envelope.error.detail.map(({ pointer }: { pointer: string }) => pointer)
    assert.deepEqual(pointers.sort(), ['/data', '/method', '/ulr', '/url'].sort())
    assert.match(envelope.error.detail.find(({ pointer }: { pointer: string }) => pointer === '/ulr').message, /"ulr".*"url"/)
  })
  await t.test('the fault of a timeout in seconds says how to write it', async () => {
    const { envelope } = await gateway.call({ url: at('/p'), timeout: 0.5 })
    assert.match(envelope.error.message, /milliseconds; for seconds write "3\.05s"/)
  })
  assert.equal(up.accepted(), 0)
})

test('the ceilings clamp, and warnings say so', async (t: TestContext) => {
  const { up, gateway, at } = await setScene(t, {
    config: { ceilings: { timeout: { total: '40s' }, maxRetries: 3, responseSize: '20MiB' }, caBundles: {} },
  })
  const { envelope } = await gateway.call({
    ...{ url: at('/p'), maxRetries: 9, maxResponseSize: '1GiB' },
    timeout: { connect: '10m', read: '10m', total: '10m' },
  })
  assert.equal(envelope.status, 200)
  assert.deepEqual(
    ['timeout.total clamped to 40000', 'timeout.connect clamped to 40000', 'timeout.read clamped to 40000'].filter(
      (warning) => !envelope.warnings.includes(warning),
    ),
    [],
  )
  assert.deepEqual(
    envelope.warnings.filter((warning: string) => /^max/.test(warning)),
    ['maxRetries clamped to 3', 'maxResponseSize clamped to 20971520'],
  )
  const short = await gateway.call({ url: at('/p'), timeout: { total: '40s', read: 49 } })
  assert.match(short.envelope.warnings.join(), /timeout\.read is 49/)
  const widened = await gateway.call({ url: at('/p'), maxRetries: { allowedMethods: ['GET', 'POST'] } })
  assert.match(widened.envelope.warnings.join(), /allowedMethods clamped to GET$/)
  assert.equal(up.received.length, 3)
})
