// Sessions: named cookie jars, private to a caller, kept between calls in either store, by RFC 6265.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { STORE_KEY, startRedis } from '../support/redis.ts'
import { gatewayFor, type Scene, setScene, upstreamFor } from '../support/scene.ts'
import { redirectTo, type Scripted, valuesOf } from '../support/scripted-upstream.ts'
import { loopbackAdapter, until } from '../support/wire.ts'

const sets = (...cookies: readonly string[]): Scripted => ({
  headers: cookies.map((cookie) => ['Set-Cookie', cookie]),
  body: 'x',
})

async function sent({ up, gateway, at }: Scene, path: string, keys: object = {}): Promise<string> {
  up.answer({})
  const { status, text } = await gateway.call({ url: at(path), session: 's', ...keys })
  assert.equal(status, 200, text)
  return valuesOf(up.last(), 'cookie').join('\n')
}

async function taking({ up, gateway, at }: Scene, path: string, ...cookies: readonly string[]) {
  up.answer(sets(...cookies))
  return (await gateway.call({ url: at(path), session: 's' })).envelope
}

test('a session keeps its cookies between calls', async (t) => {
  const scene = await setScene(t)
  await taking(scene, '/login', 'sid=1; Path=/; HttpOnly', 'lang=de; Path=/')
  assert.equal(await sent(scene, '/next'), 'sid=1; lang=de')
  assert.equal(await sent(scene, '/next', { session: 'other' }), '', 'another session has none of them')
  assert.equal(await sent(scene, '/next', { session: null }), '', 'nor has a call without one')
  assert.equal(await sent(scene, '/next', { cookies: { lang: 'en', a: '1' } }), 'sid=1; lang=en; a=1', "the descriptor's win")
  await taking(scene, '/logout', 'sid=; Max-Age=0; Path=/')
  assert.equal(await sent(scene, '/next'), 'lang=de')
})

test('RFC 6265', async (t) => {
  const cases: readonly (readonly [name: string, from: string, cookie: string, to: string, expected: string])[] = [
    ['a path matches at a boundary', '/', 'a=1; Path=/x', '/x/y', 'a=1'],
    ['and nowhere else', '/', 'a=1; Path=/x', '/xy', ''],
    ['the default path is the folder', '/x/login', 'a=1', '/x/other', 'a=1'],
    ['and not beside it', '/x/login', 'a=1', '/y', ''],
    ['Secure stays off http', '/', 'a=1; Secure', '/', ''],
    ['a foreign Domain is refused', '/', 'a=1; Domain=example.com', '/', ''],
    ['an expired cookie is none', '/', 'a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT', '/', ''],
    ['Max-Age beats Expires', '/', 'a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Max-Age=100', '/', 'a=1'],
    ['quotes are part of the value', '/', 'a="b c"', '/', 'a="b c"'],
    ['an equals sign in the value too', '/', 'a=b=c', '/', 'a=b=c'],
  ]
  const scene = await setScene(t)
  for (const [index, [name, from, cookie, to, expected]] of cases.entries()) {
    await t.test(name, async () => {
      const session = `s${index}`
      scene.up.answer(sets(cookie))
      await scene.gateway.call({ url: scene.at(from), session })
      assert.equal(await sent(scene, to, { session }), expected)
    })
  }
  await t.test('longer paths come first', async () => {
    await taking(scene, '/', 'a=short; Path=/', 'a=long; Path=/x')
    assert.equal(await sent(scene, '/x/y'), 'a=long; a=short')
  })
})

test('a jar serves redirects of its own call, session or not', async (t) => {
  const { up, gateway, at } = await setScene(t)
  for (const session of ['s', null]) {
    up.answer(({ target }) => (target === '/in' ? redirectTo('/to', 302, [['Set-Cookie', 'a=1']]) : {}))
    await gateway.call({ url: at('/in'), session })
    assert.deepEqual(valuesOf(up.last(), 'cookie'), ['a=1'])
  }
})

const KEYS = { ann: 'ann-key-0123456789', bob: 'bob-key-0123456789' }
const CALLERS = [
  { name: 'ann', keys: [KEYS.ann], may: [{ adapter: 'up' }] },
  { name: 'bob', keys: [KEYS.bob], may: [{ adapter: 'up' }] },
]

test('a session is private to its caller', async (t) => {
  const { up, gateway, at } = await setScene(t, { config: { callers: CALLERS } })
  const call = (key: string) => gateway.call({ url: at('/'), session: 'shared-name' }, { headers: { 'x-sallyport-key': key } })
  up.answer(sets('who=ann'))
  await call(KEYS.ann)
  up.answer({})
  await call(KEYS.bob)
  assert.deepEqual(valuesOf(up.last(), 'cookie'), [])
  await call(KEYS.ann)
  assert.deepEqual(valuesOf(up.last(), 'cookie'), ['who=ann'])
})

test('an adapter may keep no sessions', async (t) => {
  const { up, gateway, at } = await setScene(t, { adapter: { sessions: false } })
  const { status, envelope } = await gateway.call({ url: at('/'), session: 's' })
  assert.deepEqual([status, envelope.error.type, up.received.length], [403, 'Forbidden', 0])
})

test('two gateways on one Redis share sessions; without Redis a call with one is Overloaded', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const up = await upstreamFor(t)
  const options = { adapters: [loopbackAdapter('up', up.origin)], config: { store: { redis: redis.url, key: STORE_KEY } } }
  const [one, two] = [await gatewayFor(t, options), await gatewayFor(t, options)]
  for (const gateway of [one, two])
    await until('Redis is reached', async () => (await gateway.get('/readyz')).text === '{"ready":true,"degraded":[]}')
  up.answer(sets('a=1'))
  await one.call({ url: up.origin, session: 's' })
  up.answer({})
  await two.call({ url: up.origin, session: 's' })
  assert.deepEqual(valuesOf(up.last(), 'cookie'), ['a=1'])
  await redis.kill()
  const { status, envelope, headers } = await two.call({ url: up.origin, session: 's' })
  assert.deepEqual([status, envelope.error.type, headers['retry-after']], [503, 'Overloaded', '1'])
  assert.equal((await two.call({ url: up.origin })).status, 200, 'a call without a session does not need it')
})

test('a session stands sealed in Redis; one that was edited there begins anew, and the envelope says so', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const up = await upstreamFor(t)
  const config = { store: { redis: redis.url, key: STORE_KEY } }
  const gateway = await gatewayFor(t, { adapters: [loopbackAdapter('up', up.origin)], config })
  await until('Redis is reached', async () => (await gateway.get('/readyz')).text === '{"ready":true,"degraded":[]}')
  const call = async (session: string) => (await gateway.call({ url: up.origin, session })).envelope
  up.answer(sets('token=plainly-visible'))
  await call('mine')
  up.answer(sets('token=another'))
  await call('other')
  up.answer({})
  const key = (session: string): string => `sallyport:kv:session:local:${session}`
  const stored = String(await redis.command('HGET', key('mine'), 'value'))
  assert.match(stored, /^k1:[A-Za-z0-9+/=]+$/)
  assert.doesNotMatch(Buffer.from(stored, 'base64').toString('latin1'), /visible/)

  // Moved there from another session, it opens for neither.
  await redis.command('HSET', key('mine'), 'value', String(await redis.command('HGET', key('other'), 'value')))
  up.answer(sets('fresh=1'))
  const { warnings } = await call('mine')
  assert.deepEqual(valuesOf(up.last(), 'cookie'), [])
  assert.deepEqual(warnings, ['what was stored of session "mine" could not be read; it began anew, without cookies'])
  assert.match(
    gateway.logs(),
    /"name":"session","because":"it was edited, moved or sealed by another installation","event":"stored text refused"/,
  )
  up.answer({})
  assert.deepEqual((await call('mine')).warnings, [])
  assert.deepEqual(valuesOf(up.last(), 'cookie'), ['fresh=1'])
})

test('without a sealing key a session is this process’ own', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const up = await upstreamFor(t)
  const gateway = await gatewayFor(t, { adapters: [loopbackAdapter('up', up.origin)], config: { store: { redis: redis.url } } })
  await until('Redis is reached', async () => (await gateway.get('/readyz')).text === '{"ready":true,"degraded":[]}')
  up.answer(sets('a=1'))
  await gateway.call({ url: up.origin, session: 's' })
  up.answer({})
  await gateway.call({ url: up.origin, session: 's' })
  assert.deepEqual(valuesOf(up.last(), 'cookie'), ['a=1'])
  assert.deepEqual(await redis.command('KEYS', '*session*'), [])
})
