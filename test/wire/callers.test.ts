// Who is calling and what they may: keys in three headers, grants by adapter, method and path, a gateway key that is never
// forwarded, admin rights.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { gatewayFor, setScene, upstreamFor } from '../support/scene.ts'
import { valuesOf } from '../support/scripted-upstream.ts'
import { loopbackAdapter } from '../support/wire.ts'

const KEY = 'billing-key-0123456789'
const SECOND = 'billing-key-9876543210'
const OPS = 'ops-key-0123456789'
const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`

const CALLERS = [
  {
    name: 'billing',
    keys: [KEY, { sha256: createHash('sha256').update(SECOND).digest('hex') }],
    may: [{ adapter: 'up' }],
  },
  { name: 'ops', keys: [OPS], admin: true, may: [] },
]

test('a key identifies its caller', async (t) => {
  const { up, gateway, at } = await setScene(t, { config: { callers: CALLERS } })
  const known: readonly (readonly [name: string, headers: Record<string, string>])[] = [
    ['X-Sallyport-Key', { 'x-sallyport-key': KEY }],
    ['a second key, known by its hash alone', { 'x-sallyport-key': SECOND }],
    ['Proxy-Authorization: Bearer', { 'proxy-authorization': `Bearer ${KEY}` }],
    ['Proxy-Authorization: Basic, the key as password', { 'proxy-authorization': basic(`anyone:${KEY}`) }],
    ['Authorization: Bearer', { authorization: `bearer ${KEY}` }],
    ['X-Sallyport-Key before the others', { 'x-sallyport-key': KEY, authorization: 'Bearer nonsense' }],
    ['Proxy-Authorization before Authorization', { 'proxy-authorization': `Bearer ${KEY}`, authorization: 'Bearer nonsense' }],
  ]
  for (const [name, headers] of known) {
    await t.test(name, async () => {
      const { status, envelope } = await gateway.call({ url: at('/p') }, { headers })
      assert.equal(status, 200, envelope.error?.message)
      assert.equal(gateway.audit().at(-1).caller, 'billing')
      for (const header of Object.keys(headers)) assert.deepEqual(valuesOf(up.last(), header), [], 'it does not travel upstream')
    })
  }
  const unknown: readonly (readonly [name: string, headers: Record<string, string>])[] = [
    ['no key', {}],
    ['an unknown key', { 'x-sallyport-key': 'nonsense' }],
    ['an empty key', { 'x-sallyport-key': '' }],
    ['a hash for a key', { 'x-sallyport-key': createHash('sha256').update(SECOND).digest('hex') }],
    ['a wrong key before a right one', { 'x-sallyport-key': 'nonsense', authorization: `Bearer ${KEY}` }],
    ['Authorization: Basic', { authorization: basic(`anyone:${KEY}`) }],
    ['the key as user name', { 'proxy-authorization': basic(`${KEY}:x`) }],
  ]
  const before = up.received.length
  for (const [name, headers] of unknown) {
    await t.test(name, async () => {
      for (const entrance of ['/v1/requests', '/v1/prepare', '/v1/batch']) {
        const {
          status,
          envelope,
          headers: answered,
        } = await gateway.post(entrance, JSON.stringify({ url: at('/p') }), { headers })
        assert.deepEqual([status, envelope.error.type, envelope.error.sent], [401, 'Unauthenticated', 'no'])
        assert.equal(answered['www-authenticate'], 'Bearer realm="sallyport"')
      }
    })
  }
  assert.equal(up.received.length, before)
  assert.doesNotMatch(gateway.logs() + JSON.stringify(gateway.audit()), /billing-key/)
})

test('a key of the gateway is never forwarded', async (t) => {
  const { up, gateway, at } = await setScene(t, { config: { callers: CALLERS } })
  const leaks: readonly (readonly [name: string, keys: object])[] = [
    ['as a header', { headers: { 'X-Api-Key': KEY } }],
    ["another caller's", { headers: { 'X-Api-Key': OPS } }],
    ['one known by its hash', { headers: { 'X-Api-Key': SECOND } }],
    ['as a Bearer token', { headers: { Authorization: `Bearer ${KEY}` } }],
    ['as a Basic password', { headers: { Authorization: basic(`x:${KEY}`) } }],
    ['behind a scheme of its own', { headers: { Authorization: `Token ${KEY}` } }],
    ['as a parameter of a header', { headers: { 'X-Auth': `a=1; key="${KEY}", b` } }],
    ['in the header that identified it', { headers: { 'X-Sallyport-Key': KEY } }],
    ['in a cookie', { cookies: { key: KEY } }],
    ['as given credentials', { auth: { type: 'bearer', token: KEY } }],
    ['as a password', { auth: { type: 'basic', username: 'u', password: KEY } }],
    ['as an idempotency key', { method: 'POST', idempotencyKey: KEY }],
  ]
  for (const [name, keys] of leaks) {
    await t.test(name, async () => {
      const { status, envelope, text } = await gateway.call({ url: at('/p'), ...keys }, { headers: { 'x-sallyport-key': KEY } })
      assert.deepEqual([status, envelope.error?.type, envelope.error?.sent], [403, 'Forbidden', 'no'])
      assert.doesNotMatch(JSON.stringify(envelope.error), /key-0123/, text)
    })
  }
  await t.test('in the login of the URL', async () => {
    const { status } = await gateway.call({ url: at('/p').replace('//', `//u:${KEY}@`) }, { headers: { 'x-sallyport-key': KEY } })
    assert.equal(status, 403)
  })
  assert.equal(up.accepted(), 0)
})

test('a policy says adapter, method and path', async (t) => {
  const other = await upstreamFor(t)
  const { up, gateway, at } = await setScene(t, {
    others: () => [loopbackAdapter('other', other.origin)],
    config: {
      callers: [
        {
          name: 'reader',
          keys: ['reader-key-0123456789'],
          may: [
            { adapter: 'up', methods: ['GET', 'HEAD'], paths: ['/repos/**', '/one/*/leaf'] },
            { adapter: 'up', methods: ['POST'], paths: ['/hooks'] },
          ],
        },
        { name: 'nobody', keys: ['nobody-key-0123456789'] },
        { name: 'ops', keys: [OPS], admin: true },
      ],
    },
  })
  const reader = { headers: { 'x-sallyport-key': 'reader-key-0123456789' } }
  const allowed: readonly (readonly [method: string, path: string])[] = [
    ['GET', '/repos/'],
    ['GET', '/repos/a/b'],
    ['HEAD', '/repos/a'],
    ['GET', '/one/x/leaf?q=1'],
    ['POST', '/hooks'],
    ['GET', '/x/../repos/a'],
  ]
  for (const [method, path] of allowed)
    await t.test(`${method} ${path} may`, async () => {
      assert.equal((await gateway.call({ url: at(path), method }, reader)).status, 200)
    })
  const count = up.received.length
  const refused: readonly (readonly [method: string, path: string])[] = [
    ['GET', '/repos'],
    ['GET', '/Repos/a'],
    ['GET', '/repos/../secret'],
    ['GET', '/repos/%2e%2e/secret'],
    ['GET', '/repos/..%2fsecret'],
    ['GET', '/repos/..%5csecret'],
    ['GET', '/repos/..\\secret'],
    ['GET', '/repos/%252e%252e/secret'],
    ['GET', '/one/x/y/leaf'],
    ['POST', '/repos/a'],
    ['DELETE', '/repos/a'],
    ['GET', '/hooks'],
  ]
  for (const [method, path] of refused)
    await t.test(`${method} ${path} may not`, async () => {
      const { status, envelope } = await gateway.call({ url: at(path), method }, reader)
      assert.deepEqual([status, envelope.error.type, envelope.error.sent], [403, 'Forbidden', 'no'])
      const prepared = await gateway.post('/v1/prepare', JSON.stringify({ url: at(path), method }), reader)
      assert.deepEqual([prepared.status, prepared.envelope.plan.refusedBy], [403, 'Forbidden'])
    })
  await t.test('another adapter may not', async () => {
    assert.equal((await gateway.call({ url: `${other.origin}/repos/a` }, reader)).status, 403)
  })
  await t.test('no `may` is nothing, admin rights or not', async () => {
    for (const key of ['nobody-key-0123456789', OPS])
      assert.equal((await gateway.call({ url: at('/repos/a') }, { headers: { 'x-sallyport-key': key } })).status, 403)
  })
  assert.deepEqual([up.received.length, other.received.length], [count, 0])
})

test('metrics want admin rights', async (t) => {
  const { gateway } = await setScene(t, { config: { callers: CALLERS } })
  for (const [headers, status] of [
    [{}, 401],
    [{ 'x-sallyport-key': KEY }, 401],
    [{ 'x-sallyport-key': OPS }, 200],
    [{ authorization: `Bearer ${OPS}` }, 200],
  ] as const)
    assert.equal((await gateway.get('/metrics', { headers })).status, status)
  for (const path of ['/healthz', '/readyz', '/openapi.json', '/docs']) assert.equal((await gateway.get(path)).status, 200, path)
  const open = await gatewayFor(t, {
    adapters: [],
    config: { callers: [{ name: 'ops', keys: [OPS] }], metrics: { public: true } },
  })
  assert.equal((await open.get('/metrics')).status, 200)
})

test('without callers configured, everybody on this machine is `local` with admin rights', async (t) => {
  const { gateway, at } = await setScene(t)
  await gateway.call({ url: at('/p') })
  assert.equal(gateway.audit().at(-1).caller, 'local')
  assert.equal((await gateway.get('/metrics')).status, 200)
})

test('once a caller is configured, loopback and Host are nothing special', async (t) => {
  const { gateway, at } = await setScene(t, { config: { callers: CALLERS } })
  const headers = { host: 'sallyport.internal', 'x-sallyport-key': KEY }
  assert.equal((await gateway.call({ url: at('/p') }, { headers })).status, 200)
})
