// POST /v1/prepare: a call explained and not sent, refused as the call would be.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VERSION } from '../../src/model/version.ts'
import { CANARY_TOKEN } from '../support/canary.ts'
import { gatewayFor, setScene, upstreamFor } from '../support/scene.ts'
import { loopbackAdapter } from '../support/wire.ts'

const prepare = (descriptor: unknown): readonly ['/v1/prepare', string] => ['/v1/prepare', JSON.stringify(descriptor)]

test('the request as it would go out, with its body, and the plan', async (t) => {
  const { up, gateway, at } = await setScene(t, {
    adapter: {
      ...{ timeout: { connect: '1s', read: '4s', total: '20s' }, pool: { connections: 7 }, responseSize: '1MiB' },
      ...{ limits: { concurrency: 5, queue: 3, rate: '5000/h' }, retry: { total: 2, connect: 1, backoffFactor: '100ms' } },
      ...{ headers: { 'X-Team': 'blue' }, params: { v: '3' }, cookies: { c: 'hidden' } },
      ...{ credentials: 'token', allowPlaintextSecrets: true },
    },
    secrets: ({ origin }) => [
      { name: 'token', scheme: 'bearer', values: { token: CANARY_TOKEN }, origins: [origin], callers: ['*'] },
    ],
  })
  const descriptor = {
    url: at('/p?a=1'),
    method: 'POST',
    json: { n: 1 },
    timeout: { read: '3s', total: '10m' },
    maxRetries: { total: 1 },
  }
  const { status, envelope } = await gateway.post(...prepare(descriptor))
  assert.equal(status, 200)
  assert.deepEqual(envelope, {
    request: {
      ...{ method: 'POST', url: at('/p?a=1&v=3') },
      headers: {
        ...{
          'User-Agent': `sallyport/${VERSION}`,
          'Accept-Encoding': 'gzip, deflate, br, zstd',
          Accept: '*/*',
          'X-Team': 'blue',
        },
        ...{ Cookie: 'c=***', 'Content-Type': 'application/json', Authorization: 'Bearer ***', 'Content-Length': '7' },
      },
      ...{ bodyBytes: 7, body: { text: '{"n":1}' } },
    },
    plan: {
      ...{ adapter: 'up', because: `the only prefix that matches is ${at('/')}`, credential: 'token' },
      timeout: { connect: 1000, read: 3000, total: 120_000 },
      retry: {
        ...{ total: 1, connect: 1, read: null, status: null, statusForcelist: [429, 502, 503, 504] },
        ...{ allowedMethods: ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'], backoffFactor: 100, backoffMax: 10_000 },
        ...{ respectRetryAfterHeader: true, raiseOnStatus: false, maxRetries: 1 },
      },
      limits: { concurrency: 5, queue: 3, rate: '5000/h', responseSize: 1024 * 1024 },
      refusedBy: null,
    },
    warnings: ['timeout.total clamped to 120000'],
    error: null,
  })
  assert.equal(up.accepted(), 0)
  assert.deepEqual(gateway.audit(), [], 'no call was made')
})

test('what goes out is what was explained', async (t) => {
  const { gateway, at } = await setScene(t, { adapter: { params: { v: '3' }, cookies: { c: '1' }, headers: { 'X-A': '1' } } })
  for (const keys of [
    { params: { q: ['a', 'b'] }, headers: { Accept: null } },
    { method: 'PUT', data: { a: 'ü' }, auth: { type: 'basic', username: 'u', password: 'p' } },
    { method: 'POST', content: 'AP8=' },
    { auth: { type: 'query', name: 'k', value: 'v' } },
  ]) {
    const descriptor = { url: at('/p'), inspect: true, ...keys }
    const { envelope: prepared } = await gateway.post(...prepare(descriptor))
    const { envelope: sent } = await gateway.call(descriptor)
    assert.deepEqual(prepared.request, sent.request)
  }
})

const KEY = 'billing-key-0123456789'

test('a refusal has the status and the type that the call would have had', async (t) => {
  const up = await upstreamFor(t)
  const tls = 'https://127.0.0.1:1'
  const secrets = (origin: string) =>
    (['token', 'plain'] as const).map((name) => ({
      ...{ name, scheme: 'bearer' as const, values: { token: CANARY_TOKEN }, callers: ['*'] },
      origins: [name === 'token' ? tls : origin],
    }))
  const gateway = await gatewayFor(t, {
    adapters: [
      loopbackAdapter('up', up.origin, { sessions: false, methods: ['GET', 'POST', 'TRACE'], paths: ['/open/**'] }),
      loopbackAdapter('tls', tls),
      { name: 'rest', mount: 'http://', retry: false },
    ],
    secrets: secrets(up.origin),
    config: { callers: [{ name: 'billing', keys: [KEY], may: [{ adapter: 'up' }, { adapter: 'tls' }, { adapter: 'rest' }] }] },
  })
  const url = `${up.origin}/open/x`
  const table: readonly (readonly [name: string, descriptor: object | string, status: number, type: string])[] = [
    ['no JSON', '{', 400, 'InvalidDescriptor'],
    ['NaN', `{"url":"${url}","json":NaN}`, 400, 'InvalidJSONError'],
    ['an unknown key', { url, nope: 1 }, 400, 'InvalidDescriptor'],
    ['no scheme', { url: 'example.com' }, 400, 'MissingSchema'],
    ['another scheme', { url: 'ftp://example.com' }, 400, 'InvalidSchema'],
    ['no URL', { url: 'http://' }, 400, 'InvalidURL'],
    ['a header that is refused', { url, headers: { TE: 'x' } }, 400, 'InvalidHeader'],
    ['Host', { url, headers: { Host: 'x' } }, 400, 'InvalidHeader'],
    ['an unknown bundle', { url: `${tls}/`, verify: 'nobody' }, 400, 'InvalidDescriptor'],
    ['unmounted', { url: 'https://example.com/' }, 403, 'EgressDenied'],
    ['a private address', { url: 'http://10.0.0.1/' }, 403, 'EgressDenied'],
    ['a method', { url, method: 'PUT' }, 403, 'Forbidden'],
    ['a path', { url: `${up.origin}/closed` }, 403, 'Forbidden'],
    ['a session', { url, session: 's' }, 403, 'Forbidden'],
    ['verify: false', { url: `${tls}/`, verify: false }, 403, 'Forbidden'],
    ['a secret in plain text', { url, auth: { secret: 'plain' } }, 403, 'Forbidden'],
    ['TRACE with a credential', { url, method: 'TRACE', auth: { type: 'bearer', token: 'x' } }, 403, 'Forbidden'],
    ['a gateway key', { url, headers: { 'X-Key': KEY } }, 403, 'Forbidden'],
    ['an unknown secret', { url: `${tls}/`, auth: { secret: 'nobody' } }, 403, 'UnknownCredential'],
    ['an unknown certificate', { url: `${tls}/`, cert: 'nobody' }, 403, 'UnknownCredential'],
    ['a certificate that is none', { url: `${tls}/`, cert: 'token' }, 403, 'UnknownCredential'],
  ]
  const headers = { 'x-sallyport-key': KEY }
  for (const [name, descriptor, status, type] of table) {
    await t.test(name, async () => {
      const body = typeof descriptor === 'string' ? descriptor : JSON.stringify(descriptor)
      const prepared = await gateway.post('/v1/prepare', body, { headers })
      const called = await gateway.post('/v1/requests', body, { headers })
      for (const reply of [prepared, called]) assert.deepEqual([reply.status, reply.envelope.error?.type], [status, type])
      assert.deepEqual(prepared.envelope.error, called.envelope.error)
      assert.equal(prepared.envelope.plan.refusedBy, status === 403 ? type : null)
      assert.deepEqual(prepared.envelope.request?.url, called.envelope.request?.url)
    })
  }
  await t.test('at the door as well', async () => {
    for (const [given, status] of [
      [{}, 401],
      [{ ...headers, 'content-type': 'text/plain' }, 415],
      [{ ...headers, origin: 'https://evil.example' }, 403],
    ] as const) {
      const { status: answered, envelope } = await gateway.post('/v1/prepare?x', JSON.stringify({ url }), { headers: given })
      assert.deepEqual([answered, envelope.request, envelope.plan.adapter], [status, null, null])
    }
  })
  assert.equal(up.accepted(), 0)
})
