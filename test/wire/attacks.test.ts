// Ways round a policy, and ways from one caller to another, each tried over real sockets.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { certificates } from '../support/certificates.ts'
import { setScene } from '../support/scene.ts'
import { redirectTo } from '../support/scripted-upstream.ts'
import { loopbackAdapter, makeFolder } from '../support/wire.ts'

describe('a path rule', () => {
  for (const path of [
    '/open/..;/shut',
    '/open/..;x=1/shut',
    '/open/%2e%2e;/shut',
    '/open/..%252fshut',
    '/open/%c0%ae%c0%ae/shut',
    '/open/..%2fshut',
    '/open/%252e%252e/shut',
    '/open/..\\shut',
    '/open/../shut',
    '/open/.%2e/shut',
    '//open/../shut',
    '/open',
  ])
    it(`is not got round by ${path}`, async (t) => {
      const { up, gateway, at } = await setScene(t, { adapter: { paths: ['/open/**'] } })
      const { status, envelope } = await gateway.call({ url: at(path) })
      assert.deepEqual([status, envelope.error?.type], [403, 'Forbidden'])
      assert.equal(up.received.length, 0)
    })
})

describe('a host with a trailing dot', () => {
  it('is under the policy of the same host without it, not under a catch-all', async (t) => {
    const { up, gateway } = await setScene(t, {
      adapter: { mount: 'http://localhost/', methods: ['GET'] },
      others: () => [{ ...loopbackAdapter('rest', 'http:'), mount: 'http://' }],
    })
    for (const url of ['http://localhost/', 'http://localhost./', 'http://LOCALHOST.:80/']) {
      const { status, envelope } = await gateway.call({ url, method: 'DELETE' })
      assert.deepEqual([status, envelope.error?.type, envelope.adapter], [403, 'Forbidden', 'up'], url)
    }
    assert.equal(up.received.length, 0)
  })

  it('shares its connections', async (t) => {
    const { good, ca } = certificates()
    const folder = makeFolder({ 'ca.pem': ca })
    t.after(() => folder.remove())
    const { up, gateway } = await setScene(t, {
      tls: good,
      adapter: { mount: 'https://', tls: { ca: 'test' }, egress: { allow: ['127.0.0.0/8'], mixedAnswers: 'filter' } },
      config: { caBundles: { test: folder.path('ca.pem') } },
    })
    for (const host of ['localhost', 'localhost.', 'localhost', 'localhost.']) {
      const { envelope } = await gateway.call({ url: `https://${host}:${up.port}/` })
      assert.equal(envelope.error, null)
    }
    assert.equal(up.accepted(), 1)
  })
})

describe('connections', () => {
  for (const authorization of ['NTLM TlRMTVNTUAAB', 'Negotiate YII=', 'negotiate YII='])
    it(`that were logged in with ${authorization} are given to nobody else`, async (t) => {
      const { up, gateway, at } = await setScene(t)
      await gateway.call({ url: at('/first') })
      await gateway.call({ url: at('/login'), headers: { Authorization: authorization } })
      await gateway.call({ url: at('/other') })
      const [first, login, other] = up.received
      assert.equal(login?.connection, first?.connection)
      assert.notEqual(other?.connection, login?.connection)
    })

  it('that carried other credentials are kept', async (t) => {
    const { up, gateway, at } = await setScene(t)
    for (const token of ['a', 'b']) await gateway.call({ url: at('/'), auth: { type: 'bearer', token } })
    assert.equal(up.accepted(), 1)
  })
})

describe('redirects without end', () => {
  it('end, whatever the descriptor allows', async (t) => {
    const { up, gateway, at } = await setScene(t)
    up.answer(redirectTo('/again', 302, [['X-Fill', 'x'.repeat(1000)]]))
    const { status, envelope } = await gateway.call({ url: at('/'), maxRedirects: 1_000_000_000 })
    assert.deepEqual([status, envelope.error.type, envelope.history.length], [502, 'TooManyRedirects', 100])
    assert.deepEqual(envelope.warnings, ['maxRedirects clamped to 100'])
    assert.equal(up.received.length, 101)
  })
})

describe('two callers', () => {
  const KEYS = { ann: 'ann-key-0123456789abcdef', bob: 'bob-key-0123456789abcdef' }
  const callers = Object.entries(KEYS).map(([name, key]) => ({ name, keys: [key], may: [{ adapter: 'up' }] }))

  it('with the same idempotency key have an outcome each, also side by side', async (t) => {
    const { up, gateway, at } = await setScene(t, { config: { callers } })
    let count = 0
    up.answer(() => ({ headers: [['Content-Type', 'application/json']], body: `{"nth":${++count}}` }))
    const call = (key: string) =>
      gateway.call({ url: at('/'), method: 'POST', idempotencyKey: 'same' }, { headers: { 'X-Sallyport-Key': key } })
    const [ann, bob] = await Promise.all([call(KEYS.ann), call(KEYS.bob)])
    assert.equal(up.received.length, 2)
    assert.notEqual(ann.envelope.json.nth, bob.envelope.json.nth)
    const again = await call(KEYS.bob)
    assert.deepEqual([again.envelope.json, again.envelope.replayed], [bob.envelope.json, true])
  })

  it('cannot send one key as two', async (t) => {
    const { up, gateway, at } = await setScene(t, { config: { callers } })
    const { status, envelope } = await gateway.call(
      { url: at('/') },
      { headers: { 'X-Sallyport-Key': `${KEYS.ann}, ${KEYS.bob}` } },
    )
    assert.deepEqual([status, envelope.error.type], [401, 'Unauthenticated'])
    assert.equal(up.received.length, 0)
  })
})
