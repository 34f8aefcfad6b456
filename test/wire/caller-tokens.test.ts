// Callers that show a JWT: an independent issuer signs and publishes, the gateway fetches its keys through an adapter.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { gatewayFor, upstreamFor } from '../support/scene.ts'
import { startTokenIssuer } from '../support/token-issuer.ts'
import { loopbackAdapter } from '../support/wire.ts'

const KEY = 'file-key-0123456789'
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

async function setUp(t: TestContext) {
  const up = await upstreamFor(t)
  const issuer = await startTokenIssuer()
  t.after(() => issuer.close())
  const jwt = (client: string) => ({
    ...{ issuer: issuer.issuer, audience: 'sallyport', jwksUri: issuer.jwksUri, claims: { client_id: client } },
  })
  const options = {
    adapters: [
      loopbackAdapter('up', up.origin),
      loopbackAdapter('issuer', issuer.issuer, { allowPlaintextSecrets: true, paths: ['/jwks'] }),
    ],
    config: {
      callers: [
        { name: 'billing', jwt: jwt('billing'), may: [{ adapter: 'up' }] },
        { name: 'shipping', keys: [KEY], jwt: jwt('shipping'), may: [{ adapter: 'up', paths: ['/ships/**'] }] },
      ],
    },
  }
  const gateway = await gatewayFor(t, options)
  return { up, issuer, options, gateway, url: `${up.origin}/p` }
}

test("a token of the issuer is its caller's key, and brings that caller's policy", async (t) => {
  const { up, issuer, gateway, url } = await setUp(t)
  const billing = await issuer.token('billing', 'sallyport')
  const first = await gateway.call({ url }, bearer(billing))
  assert.equal(first.status, 200, first.envelope.error?.message)
  assert.equal(gateway.audit().at(-1).caller, 'billing')
  assert.equal((await gateway.call({ url }, bearer(billing))).status, 200)
  assert.equal((await gateway.post('/v1/prepare', JSON.stringify({ url }), bearer(billing))).status, 200)
  const shipping = await issuer.token('shipping', 'sallyport')
  const refused = await gateway.call({ url }, bearer(shipping))
  assert.equal(refused.status, 403)
  assert.match(refused.envelope.error.message, /caller "shipping"/)
  assert.equal((await gateway.call({ url: `${up.origin}/ships/1` }, bearer(shipping))).status, 200)
  const proxied = await gateway.call({ url }, { headers: { 'proxy-authorization': `Bearer ${billing}` } })
  assert.equal(proxied.status, 200)
  const fetches = gateway.audit().filter(({ caller, kind }) => caller === '(callers)' && kind === 'result')
  assert.deepEqual(
    [fetches.length, fetches[0].adapter, fetches[0].status],
    [1, 'issuer:token', 200],
    'fetched once, and recorded',
  )
  for (const token of [billing, shipping])
    assert.ok(!(gateway.logs() + JSON.stringify(gateway.audit())).includes(token), 'a token is in no log and no record')
})

test('a token for somebody else, or an edited one, is nobody here', async (t) => {
  const { issuer, gateway, url } = await setUp(t)
  const other = await issuer.token('billing', 'somebody-else')
  const [head, , signature] = (await issuer.token('shipping', 'sallyport')).split('.')
  const edited = [head, other.split('.')[1], signature].join('.')
  for (const [token, because] of [
    [other, /token in Authorization is not taken: its audience is none/],
    [edited, /signature is not that of its issuer|audience is none/],
  ] as const) {
    const { status, envelope } = await gateway.call({ url }, bearer(token))
    assert.deepEqual([status, envelope.error.type], [401, 'Unauthenticated'])
    assert.match(envelope.error.message, because)
  }
})

test('a key header decides before a token, and a wrong one is not made good by it', async (t) => {
  const { issuer, gateway, url } = await setUp(t)
  const token = await issuer.token('billing', 'sallyport')
  const status = async (headers: Record<string, string>) => (await gateway.call({ url }, { headers })).status
  assert.equal(await status({ 'x-sallyport-key': 'nonsense', authorization: `Bearer ${token}` }), 401)
  assert.equal(await status({ 'x-sallyport-key': KEY, authorization: `Bearer ${token}` }), 403, 'it is shipping who calls')
  assert.equal(await status({ 'x-sallyport-key': token }), 200)
})

test('a token that callers are known by is never forwarded, whoever has it', async (t) => {
  const { up, issuer, gateway, url } = await setUp(t)
  const token = await issuer.token('billing', 'sallyport')
  for (const leak of [
    { headers: { Authorization: `Bearer ${token}` } },
    { headers: { 'X-Token': token } },
    { cookies: { token } },
    { auth: { type: 'bearer', token } },
    { headers: { Authorization: `Basic ${Buffer.from(`x:${token}`).toString('base64')}` } },
  ]) {
    const { status, envelope } = await gateway.call({ url, ...leak }, bearer(token))
    assert.deepEqual(
      [status, envelope.error?.type, envelope.error?.sent],
      [403, 'Forbidden', 'no'],
      JSON.stringify(Object.keys(leak)),
    )
  }
  assert.equal(up.received.length, 0)
  const foreign = await issuer.token('billing', 'somebody-else')
  assert.equal((await gateway.call({ url, headers: { Authorization: `Bearer ${foreign}` } }, bearer(token))).status, 200)
})

test('while the issuer is away known keys go on; a gateway that never had them says 503 at once', async (t) => {
  const { issuer, options, gateway, url } = await setUp(t)
  const [used, fresh] = [await issuer.token('billing', 'sallyport'), await issuer.token('billing', 'sallyport')]
  assert.equal((await gateway.call({ url }, bearer(used))).status, 200)
  await issuer.close()
  assert.equal((await gateway.call({ url }, bearer(used))).status, 200)
  assert.equal((await gateway.call({ url }, bearer(fresh))).status, 200)
  const late = await gatewayFor(t, options)
  const { status, envelope } = await late.call({ url }, bearer(fresh))
  assert.deepEqual([status, envelope.error.type], [503, 'Overloaded'])
  assert.match(envelope.error.message, /keys of their issuer could not be fetched from http:\/\/127\.0\.0\.1/)
})
