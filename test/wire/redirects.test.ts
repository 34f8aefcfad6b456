// Redirects by Requests' rules, each hop routed anew: methods, bodies, fragments; what is dropped on a change of origin; what
// refused and surplus hops leave behind.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CANARY } from '../support/canary.ts'
import { certificates } from '../support/certificates.ts'
import { type Scene, type SceneOptions, setScene, upstreamFor } from '../support/scene.ts'
import { redirectTo, type ScriptedUpstream, valuesOf } from '../support/scripted-upstream.ts'
import { loopbackAdapter } from '../support/wire.ts'

const METHODS: readonly (readonly [status: number, method: string, next: string, body: boolean])[] = [
  [301, 'GET', 'GET', false],
  [301, 'POST', 'GET', false],
  [301, 'PUT', 'PUT', false],
  [302, 'POST', 'GET', false],
  [302, 'PUT', 'GET', false],
  [302, 'HEAD', 'HEAD', false],
  [303, 'DELETE', 'GET', false],
  [303, 'HEAD', 'HEAD', false],
  [307, 'POST', 'POST', true],
  [308, 'PATCH', 'PATCH', true],
]

test('methods and bodies', async (t) => {
  const { up, gateway, at } = await setScene(t)
  for (const [status, method, next, keepsBody] of METHODS) {
    await t.test(`${status} leads a ${method} to ${next}, ${keepsBody ? 'with' : 'without'} its body`, async () => {
      up.answer(({ target }) => (target === '/from' ? redirectTo('/to', status) : {}))
      const body = method === 'GET' || method === 'HEAD' ? {} : { json: { a: 1 } }
      const { envelope } = await gateway.call({
        ...{ url: at('/from'), method, allowRedirects: true, headers: { 'X-Own': '1', 'Content-Language': 'en' }, ...body },
      })
      assert.equal(envelope.status, 200)
      const last = up.last()
      assert.deepEqual([last.target, last.method, last.body.toString()], ['/to', next, keepsBody ? '{"a":1}' : ''])
      assert.deepEqual(valuesOf(last, 'content-type'), keepsBody ? ['application/json'] : [])
      assert.deepEqual(valuesOf(last, 'x-own'), ['1'])
    })
  }
  await t.test('304 and 300 and a redirect without a Location are answers', async () => {
    for (const script of [{ status: 304 }, { status: 300, headers: [['Location', '/to']] as const }, { status: 302 }]) {
      up.answer(script)
      const { envelope } = await gateway.call({ url: at('/from') })
      assert.deepEqual([envelope.status, envelope.history, envelope.warnings], [script.status, [], []])
    }
  })
})

test('where a Location leads', async (t) => {
  const { up, gateway, at } = await setScene(t)
  const table: readonly (readonly [location: string, target: string])[] = [
    ['/abs?x=1', '/abs?x=1'],
    ['rel', '/a/b/rel'],
    ['../up', '/a/up'],
    ['?q=2', '/a/b/c?q=2'],
    [`//127.0.0.1:${up.port}/net`, '/net'],
    ['/caf\u00c3\u00a9 x', '/caf%C3%A9%20x'],
    ['/%2e%2e/dots', '/dots'],
  ]
  for (const [location, target] of table) {
    await t.test(location, async () => {
      up.answer((request) => (request.target === '/a/b/c' ? redirectTo(location) : { body: 'x' }))
      const { envelope } = await gateway.call({ url: at('/a/b/c') })
      assert.deepEqual([envelope.status, up.last().target], [200, target])
    })
  }
  await t.test('a fragment stays unless the Location has one', async () => {
    up.answer((request) => (request.target === '/a/b/c' ? redirectTo('/to') : { body: 'x' }))
    assert.equal((await gateway.call({ url: at('/a/b/c#mine') })).envelope.url, at('/to#mine'))
    up.answer((request) => (request.target === '/a/b/c' ? redirectTo('/to#theirs') : { body: 'x' }))
    assert.equal((await gateway.call({ url: at('/a/b/c#mine') })).envelope.url, at('/to#theirs'))
  })
  await t.test('userinfo in a Location is neither used nor shown', async () => {
    up.answer((request) => (request.target === '/a/b/c' ? redirectTo(`http://eve:pw@127.0.0.1:${up.port}/to`) : { body: 'x' }))
    const { envelope } = await gateway.call({ url: at('/a/b/c') })
    assert.equal(envelope.url, at('/to'))
    assert.deepEqual(valuesOf(up.last(), 'authorization'), [])
  })
  for (const [location, type] of [
    ['http://[::1', 'InvalidURL'],
    ['http://h:99999/', 'InvalidURL'],
    ['ftp://example.com/', 'InvalidSchema'],
  ] as const) {
    await t.test(`${location} is the upstream's fault`, async () => {
      up.answer(redirectTo(location))
      const { status, envelope } = await gateway.call({ url: at('/a/b/c') })
      assert.deepEqual([status, envelope.error.type, envelope.status, envelope.source], [502, type, 302, 'upstream'])
      assert.equal(envelope.headers.location, location)
      assert.equal(envelope.url, at('/a/b/c'))
    })
  }
})

test('how many, and whether at all', async (t) => {
  const { up, gateway, at } = await setScene(t)
  up.answer(({ target }) => redirectTo(`/${Number(target.slice(1)) + 1}`))

  await t.test('30 by default, one more is TooManyRedirects', async () => {
    const { status, envelope } = await gateway.call({ url: at('/0') })
    assert.deepEqual(
      [status, envelope.error.type, envelope.error.sent, envelope.error.retryable],
      [502, 'TooManyRedirects', 'yes', false],
    )
    assert.deepEqual([envelope.status, envelope.headers.location, envelope.url], [302, '/31', at('/30')])
    assert.equal(envelope.history.length, 30)
  })
  await t.test('maxRedirects: 0 refuses the first', async () => {
    const { envelope } = await gateway.call({ url: at('/0'), maxRedirects: 0 })
    assert.deepEqual([envelope.error.type, envelope.status, envelope.history], ['TooManyRedirects', 302, []])
  })
  await t.test('allowRedirects: false returns the 3xx, without a warning', async () => {
    const { status, envelope } = await gateway.call({ url: at('/0'), allowRedirects: false })
    assert.deepEqual([status, envelope.status, envelope.ok, envelope.warnings], [200, 302, true, []])
  })
  await t.test('HEAD follows none unless asked', async () => {
    const { envelope } = await gateway.call({ url: at('/0'), method: 'HEAD' })
    assert.deepEqual([envelope.status, envelope.warnings], [302, []])
    const asked = await gateway.call({ url: at('/28'), method: 'HEAD', allowRedirects: true, maxRedirects: 2 })
    assert.equal(asked.envelope.history.length, 2)
  })
})

/** `up` redirects to `other`, each with an adapter of its own. */
async function twoOrigins(t: Parameters<typeof setScene>[0], options: SceneOptions & { readonly other?: object } = {}) {
  const other = await upstreamFor(t)
  const scene = await setScene(t, { ...options, others: () => [loopbackAdapter('other', other.origin, options.other)] })
  return { ...scene, other }
}

function leads(from: Scene & { readonly other: ScriptedUpstream }, status = 302): void {
  from.up.answer(({ target }) => (target.startsWith('/away') ? redirectTo(`${from.other.origin}/there`, status) : {}))
}

test('on a change of origin', async (t) => {
  await t.test('Authorization, Cookie and what the adapter lists are dropped, the rest goes on', async (t) => {
    const scene = await twoOrigins(t, {
      adapter: { redirects: { drop: ['X-Team'] }, headers: { 'X-Adapter': 'up' }, cookies: { own: 'up' } },
      other: { headers: { 'X-Adapter': 'other' } },
    })
    leads(scene)
    const { envelope } = await scene.gateway.call({
      url: scene.at('/away'),
      headers: { Authorization: 'Custom abc', Cookie: 'a=1', 'x-team': 'blue', 'X-Kept': '1', 'X-Api-Key': 'mine' },
    })
    assert.equal(envelope.status, 200)
    const names = scene.other
      .last()
      .headers.slice(2)
      .map(([name]) => name)
    assert.deepEqual(names, ['User-Agent', 'Accept-Encoding', 'Accept', 'X-Adapter', 'X-Kept', 'X-Api-Key'])
    assert.deepEqual(valuesOf(scene.other.last(), 'x-adapter'), ['other'])
    assert.deepEqual(
      envelope.attempts.map(({ adapter }: { adapter: string }) => adapter),
      ['up', 'other'],
    )
    assert.equal(envelope.adapter, 'up')
  })
  await t.test("the descriptor's credentials stay behind, by header, query and login", async (t) => {
    const scene = await twoOrigins(t)
    leads(scene)
    for (const auth of [
      { type: 'basic', username: 'u', password: CANARY },
      { type: 'header', name: 'X-Api-Key', value: 'cnry.7Qz2FxK9.tweet.4411' },
      { type: 'query', name: 'key', value: CANARY },
    ]) {
      await scene.gateway.call({ url: scene.at('/away'), auth })
      const { headers, target } = scene.other.last()
      assert.equal(target, '/there')
      assert.deepEqual(
        headers.slice(2).map(([name]) => name),
        ['User-Agent', 'Accept-Encoding', 'Accept'],
      )
    }
    await scene.gateway.call({ url: scene.at('/away').replace('//', '//u:pw@') })
    assert.deepEqual(valuesOf(scene.up.last(), 'authorization').length, 1)
    assert.deepEqual(valuesOf(scene.other.last(), 'authorization'), [])
  })
  await t.test('and do not come back with a second redirect to where they were given for', async (t) => {
    const scene = await twoOrigins(t)
    leads(scene)
    scene.other.answer(redirectTo(`${scene.up.origin}/home`))
    await scene.gateway.call({ url: scene.at('/away'), auth: { type: 'bearer', token: 'cnry.7Qz2FxK9.tweet.4411' } })
    assert.equal(scene.up.last().target, '/home')
    assert.deepEqual(valuesOf(scene.up.last(), 'authorization'), [])
  })
  await t.test("the descriptor's cookies go to the first host alone, on whatever hop", async (t) => {
    const scene = await twoOrigins(t, {})
    leads(scene)
    await scene.gateway.call({ url: scene.at('/away'), cookies: { a: '1' } })
    assert.deepEqual(valuesOf(scene.other.last(), 'cookie'), ['a=1'], 'another port of the same host')
    const named = await setScene(t, {
      others: ({ port }) => [{ name: 'named', mount: `http://localhost:${port}/`, egress: { allow: ['127.0.0.1', '::1'] } }],
    })
    named.up.answer(({ target, headers }) => {
      const host = headers.find(([name]) => name.toLowerCase() === 'host')?.[1] ?? ''
      if (target === '/away') return redirectTo(`http://localhost:${named.up.port}/there`)
      return host.startsWith('localhost') ? redirectTo(named.at('/home')) : {}
    })
    await named.gateway.call({ url: named.at('/away'), cookies: { a: '1' } })
    const [, there, home] = named.up.received
    assert.deepEqual([there && valuesOf(there, 'cookie'), home && valuesOf(home, 'cookie')], [[], ['a=1']])
  })
  await t.test('without an adapter there, the hop is EgressDenied, with what was followed', async (t) => {
    const { up, gateway, at } = await setScene(t)
    up.answer(({ target }) => (target === '/one' ? redirectTo('/two') : redirectTo('http://unmounted.example/x')))
    const { status, envelope } = await gateway.call({ url: at('/one') })
    assert.deepEqual([status, envelope.error.type, envelope.error.sent], [403, 'EgressDenied', 'yes'])
    assert.deepEqual([envelope.status, envelope.headers.location, envelope.url], [302, 'http://unmounted.example/x', at('/two')])
    assert.deepEqual(
      envelope.history.map(({ url }: { url: string }) => url),
      [at('/one')],
    )
  })
})

test("from https to http the descriptor's cookies and Authorization stay behind, on every later hop", async (t) => {
  const plain = await upstreamFor(t)
  const { up, gateway, at } = await setScene(t, {
    tls: certificates().good,
    adapter: { tls: { verify: false } },
    others: () => [loopbackAdapter('plain', plain.origin)],
  })
  up.answer(redirectTo(`${plain.origin}/one`))
  plain.answer(({ target }) => (target === '/one' ? redirectTo('/two') : {}))
  const headers = { Authorization: 'Custom abc' }
  const { envelope } = await gateway.call({ url: at('/from'), cookies: { a: '1' }, headers })
  assert.deepEqual([envelope.status, envelope.history.length], [200, 2])
  assert.deepEqual(valuesOf(up.last(), 'cookie'), ['a=1'])
  for (const request of plain.received)
    assert.deepEqual([...valuesOf(request, 'cookie'), ...valuesOf(request, 'authorization')], [])
})

test('redirects of the adapter', async (t) => {
  for (const [redirects, away, home] of [
    ['same-origin', 302, 200],
    ['none', 302, 302],
    [false, 302, 302],
  ] as const) {
    await t.test(`${redirects}`, async (t) => {
      const scene = await twoOrigins(t, { adapter: { redirects } })
      leads(scene)
      const left = await scene.gateway.call({ url: scene.at('/away') })
      assert.deepEqual([left.status, left.envelope.status, left.envelope.error], [200, away, null])
      assert.match(left.envelope.warnings.join(), /redirect was not followed/)
      scene.up.answer(({ target }) => (target === '/from' ? redirectTo('/to') : {}))
      const stayed = await scene.gateway.call({ url: scene.at('/from') })
      assert.equal(stayed.envelope.status, home)
      assert.equal(scene.other.received.length, 0)
    })
  }
})

test("a hop is under its own adapter's policy and the caller's", async (t) => {
  const other = await upstreamFor(t)
  const key = 'billing-key-0123456789'
  const scene = await setScene(t, {
    others: () => [loopbackAdapter('other', other.origin, { methods: ['GET'], paths: ['/open/**'] })],
    config: {
      callers: [{ name: 'billing', keys: [key], may: [{ adapter: 'up' }, { adapter: 'other', paths: ['/open/mine/*'] }] }],
    },
  })
  const go = async (path: string, status = 302, method = 'GET') => {
    scene.up.answer(redirectTo(other.origin + path, status))
    return scene.gateway.call({ url: scene.at('/from'), method }, { headers: { 'x-sallyport-key': key } })
  }
  assert.equal((await go('/open/mine/x')).envelope.status, 200)
  for (const [path, status, method] of [
    ['/closed', 302, 'GET'],
    ['/open/theirs', 302, 'GET'],
    ['/open/mine/x', 307, 'POST'],
    ['/open/mine/..%2f..', 302, 'GET'],
  ] as const) {
    const refused = await go(path, status, method)
    assert.deepEqual([refused.status, refused.envelope.error.type, refused.envelope.status], [403, 'Forbidden', status], path)
    assert.deepEqual(refused.envelope.history, [])
  }
  assert.equal(other.received.length, 1)
})
