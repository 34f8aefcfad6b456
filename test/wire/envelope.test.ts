// The envelope's parts beside the body: headers, links, cookies, history, the masked request, the ledger, who may see what.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gatewayFor, setScene, upstreamFor } from '../support/scene.ts'
import { redirectTo, valuesOf } from '../support/scripted-upstream.ts'
import { loopbackAdapter } from '../support/wire.ts'

test('every key is there, in the same shape, whatever happened', async (t) => {
  const { up, gateway, at } = await setScene(t)
  const keys = (envelope: object): string[] => Object.keys(envelope).filter((key) => !['json', 'text', 'base64'].includes(key))
  const answered = await gateway.call({ url: at('/p') })
  const refused = await gateway.call({ url: 'https://unmounted.example/' })
  const unread = await gateway.post('/v1/requests', '', { headers: { 'content-type': 'text/plain' } })
  const lost = await gateway.get('/nowhere')
  assert.deepEqual(keys(refused.envelope), keys(answered.envelope))
  assert.deepEqual(keys(unread.envelope), keys(answered.envelope))
  assert.deepEqual(keys(lost.envelope), keys(answered.envelope))
  const { requestId: _id, error: _error, timings: _timings, ...nothing } = unread.envelope
  assert.deepEqual(nothing, {
    ...{ ok: false, status: null, reason: null, url: null, headers: {}, encoding: null, links: {}, bytes: 0, cookies: {} },
    ...{ history: [], request: null, elapsed: null, attempts: [], notRetried: null, adapter: null, breaker: null },
    ...{ warnings: [], source: 'gateway' },
  })
  assert.equal(refused.envelope.url, 'https://unmounted.example/')
  up.answer({ status: 404, reason: 'Not Here', body: '' })
  const missing = await gateway.call({ url: at('/p') })
  assert.equal(missing.status, 200)
  const { ok, status, reason, error, source } = missing.envelope
  assert.deepEqual(
    { ok, status, reason, error, source },
    { ok: false, status: 404, reason: 'Not Here', error: null, source: 'upstream' },
  )
})

test('headers are those of the upstream', async (t) => {
  const { up, gateway, at } = await setScene(t)
  up.answer({
    headers: [
      ['X-B', '2'],
      ['Set-Cookie', 'a=1; Path=/'],
      ['x-a', '1'],
      ['X-B', 'three, four'],
      ['X-Name', 'Jos\u00e9'],
      ['__proto__', 'own'],
      ['12', 'twelve'],
      ['Link', '</two>; rel="next"; title="a b", <https://h/three>; rel=last, <four>'],
    ],
    body: 'x',
  })
  const { envelope, text } = await gateway.call({ url: at('/p') })
  assert.deepEqual(Object.entries(envelope.headers), Object.entries({ ...JSON.parse(text).headers }))
  assert.match(
    text,
    /"headers":\{"x-b":"2, three, four","set-cookie":\["a=1; Path=\/"\],"x-a":"1","x-name":"José","__proto__":"own","12":"twelve","link":/,
  )
  assert.deepEqual(envelope.links, {
    next: { url: '/two', rel: 'next', title: 'a b' },
    last: { url: 'https://h/three', rel: 'last' },
    four: { url: 'four' },
  })
  up.answer({ headers: [['Set-Cookie', 'a=1'], ['Set-Cookie', 'b=2; Path=/']] }) // biome-ignore format: pairs
  const twice = await gateway.call({ url: at('/p') })
  assert.deepEqual(twice.envelope.headers['set-cookie'], ['a=1', 'b=2; Path=/'])
  assert.deepEqual(twice.envelope.cookies, { a: '1', b: '2' })
})

test('cookies are those set on the way, redirects included', async (t) => {
  const { up, gateway, at } = await setScene(t)
  up.answer(
    ({ target }) =>
    target === '/one'
      ? redirectTo('/two', 302, [['Set-Cookie', 'a=1'], ['Set-Cookie', 'gone=1']]) // biome-ignore format: pairs
      : { headers: [['Set-Cookie', 'b=2'], ['Set-Cookie', 'gone=; Max-Age=0']] }, // biome-ignore format: pairs
  )
  const { envelope } = await gateway.call({ url: at('/one') })
  assert.deepEqual(envelope.cookies, { a: '1', b: '2' })
  assert.deepEqual(valuesOf(up.last(), 'cookie'), ['a=1; gone=1'])
})

test('history holds the hops, each whole', async (t) => {
  const { up, gateway, at } = await setScene(t)
  up.answer(({ target }) => {
    if (target === '/one') return redirectTo('/two?q=1', 301, [['X-Hop', 'first']])
    return target === '/two?q=1' ? redirectTo(at('/three'), 307) : { body: 'x' }
  })
  const { envelope } = await gateway.call({ url: at('/one#frag'), method: 'POST', data: 'x' })
  assert.equal(envelope.url, at('/three#frag'))
  const [first, second] = envelope.history
  assert.deepEqual(
    { ...first, elapsed: 0 },
    {
      ...{ method: 'POST', status: 301, reason: 'Found', url: at('/one#frag'), elapsed: 0 },
      headers: { location: '/two?q=1', 'x-hop': 'first', 'content-length': '0' },
    },
  )
  assert.deepEqual([second.method, second.status, second.url], ['GET', 307, at('/two?q=1#frag')])
  assert.deepEqual(
    envelope.attempts.map(({ hop, method, url }: Record<string, unknown>) => [hop, method, url]),
    [[0, 'POST', at('/one')], [1, 'GET', at('/two')], [2, 'GET', at('/three')]], // biome-ignore format: pairs
  )
})

test('the request is shown as it went out, masked', async (t) => {
  const { gateway, at, up } = await setScene(t)
  const { envelope } = await gateway.call({
    ...{ url: at('/p?a=1').replace('//', '//me:pw@'), method: 'POST', json: { n: 1.5 }, inspect: true },
    ...{ headers: { 'X-A': '1' }, cookies: { sid: 'hidden' } },
  })
  assert.deepEqual(envelope.request, {
    ...{ method: 'POST', url: at('/p?a=1') },
    headers: {
      ...{ 'User-Agent': envelope.request.headers['User-Agent'], 'Accept-Encoding': 'gzip, deflate, br, zstd', Accept: '*/*' },
      ...{ 'X-A': '1', Cookie: 'sid=***', 'Content-Type': 'application/json', Authorization: 'Basic ***', 'Content-Length': '9' },
    },
    ...{ bodyBytes: 9, body: { text: '{"n":1.5}' } },
  })
  assert.deepEqual(
    up
      .last()
      .headers.slice(2)
      .map(([name]) => name.toLowerCase()),
    Object.keys(envelope.request.headers).map((name) => name.toLowerCase()),
    'in the order in which they went out',
  )
  assert.equal(envelope.url, at('/p?a=1'))
  const plain = await gateway.call({ url: at('/p'), method: 'POST', content: 'AP8=' })
  assert.deepEqual([plain.envelope.request.bodyBytes, 'body' in plain.envelope.request], [2, false])
  const inspected = await gateway.call({ url: at('/p'), method: 'POST', content: 'AP8=', inspect: true })
  assert.deepEqual(inspected.envelope.request.body, { base64: 'AP8=' })
  const given = await gateway.call({ url: at('/p'), headers: { authorization: 'Custom abc' } })
  assert.equal(given.envelope.request.headers.authorization, '***')
})

test('the ledger, the clocks and the breaker', async (t) => {
  const { gateway, at } = await setScene(t, { adapter: { breaker: {} } })
  const first = (await gateway.call({ url: at('/p?secret=q') })).envelope
  const [attempt] = first.attempts
  assert.deepEqual(
    { ...attempt, connect: 0, firstByte: 0, elapsed: 0 },
    {
      ...{ hop: 0, method: 'GET', url: at('/p'), adapter: 'up', origin: at(''), address: '127.0.0.1', reused: false },
      ...{ waited: 0, because: null, status: 200, sent: 'yes', connect: 0, firstByte: 0, elapsed: 0 },
    },
  )
  assert.deepEqual([first.adapter, first.breaker, first.notRetried], ['up', 'closed', null])
  assert.ok(first.timings.total >= first.elapsed)
  assert.equal(first.timings.connect, attempt.connect)
  const second = (await gateway.call({ url: at('/p') })).envelope
  assert.deepEqual([second.attempts[0].reused, second.attempts[0].connect, second.timings.connect], [true, null, null])
})

test('internal addresses are for callers with admin rights', async (t) => {
  const up = await upstreamFor(t)
  const gateway = await gatewayFor(t, {
    adapters: [
      loopbackAdapter('up', up.origin),
      { name: 'named', mount: `http://localhost:${up.port}/`, egress: { allow: ['127.0.0.1', '::1'] }, retry: false },
      { name: 'closed', mount: 'http://internal.localhost/', retry: false },
    ],
    config: {
      callers: [
        {
          name: 'billing',
          keys: ['billing-key-0123456789'],
          may: [{ adapter: 'up' }, { adapter: 'named' }, { adapter: 'closed' }],
        },
        {
          name: 'ops',
          keys: ['ops-key-0123456789'],
          admin: true,
          may: [{ adapter: 'up' }, { adapter: 'named' }, { adapter: 'closed' }],
        },
      ],
    },
  })
  const as = (key: string) => ({ headers: { 'x-sallyport-key': key } })
  const name = `http://localhost:${up.port}/p`
  const seen = (await gateway.call({ url: name }, as('billing-key-0123456789'))).envelope
  assert.deepEqual([seen.status, seen.attempts[0].address], [200, null])
  const shown = (await gateway.call({ url: name }, as('ops-key-0123456789'))).envelope
  assert.equal(shown.attempts[0].address, '127.0.0.1')
  const denied = await gateway.call({ url: 'http://internal.localhost/' }, as('billing-key-0123456789'))
  assert.deepEqual([denied.status, denied.envelope.error.type], [403, 'EgressDenied'])
  assert.doesNotMatch(denied.text, /127\.0\.0\.1|::1/)
  const told = await gateway.call({ url: 'http://internal.localhost/' }, as('ops-key-0123456789'))
  assert.match(told.envelope.error.message, /127\.0\.0\.1/)
})

test('a failure to connect tells no internal address either', async (t) => {
  const up = await upstreamFor(t)
  const gateway = await gatewayFor(t, {
    adapters: [{ name: 'named', mount: `http://localhost:${up.port}/`, egress: { allow: ['127.0.0.1', '::1'] }, retry: false }],
    config: { callers: [{ name: 'billing', keys: ['billing-key-0123456789'], may: [{ adapter: 'named' }] }] },
  })
  await up.close()
  const { status, text, envelope } = await gateway.call(
    { url: `http://localhost:${up.port}/p` },
    { headers: { 'x-sallyport-key': 'billing-key-0123456789' } },
  )
  assert.deepEqual([status, envelope.error.type, envelope.error.sent], [502, 'ConnectionError', 'no'])
  assert.doesNotMatch(text, /127\.0\.0\.1|::1/)
})

test('a request id is taken or made, and is on answer, log line and audit record', async (t) => {
  const { gateway, at } = await setScene(t)
  for (const [given, taken] of [
    ['abc.DEF:1_2-3', true],
    ['a'.repeat(128), true],
    ['a'.repeat(129), false],
    ['a b', false],
    ['', false],
  ] as const) {
    const { headers, envelope } = await gateway.call(
      { url: at('/p'), tags: { team: 'x' } },
      { headers: { 'x-request-id': given } },
    )
    assert.equal(headers['x-request-id'] === given, taken, given)
    const { requestId } = envelope
    const records = gateway.audit().filter(({ id }) => id === requestId)
    assert.deepEqual(
      records.map(({ kind }) => kind),
      ['intent', 'result'],
    )
    assert.deepEqual(records[0].tags, { team: 'x' })
    assert.ok(gateway.logs().includes(`"requestId":"${requestId}"`))
  }
})
