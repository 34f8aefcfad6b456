// The admin entrance: who may, what it shows, what it changes, and the record of it.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { CANARY_TOKEN } from '../support/canary.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import type { Reply, TestGateway } from '../support/gateway.ts'
import { startRedis } from '../support/redis.ts'
import { gatewayFor, setScene, upstreamFor } from '../support/scene.ts'
import { valuesOf } from '../support/scripted-upstream.ts'
import { loopbackAdapter, metric, until } from '../support/wire.ts'

const OPS = 'ops-key-0123456789'
const BILLING = 'billing-key-0123456789'
const CALLERS = [
  { name: 'ops', keys: [OPS], admin: true, may: [{ adapter: 'up' }] },
  { name: 'billing', keys: [BILLING], may: [{ adapter: 'up' }] },
]

/** With the operator's key, in JSON. */
function ask(gateway: TestGateway, method: string, path: string, body?: unknown, key = OPS): Promise<Reply> {
  const headers = { 'x-sallyport-key': key, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
  return gateway.send(method, `/v1/admin/${path}`, body === undefined ? null : JSON.stringify(body), { headers })
}

/** A record of what the operator did to `vendor`. */
const ACT = { who: 'ops', via: 'admin', subject: 'vendor', error: null }

const call = (gateway: TestGateway, url: string): Promise<Reply> =>
  gateway.call({ url }, { headers: { 'x-sallyport-key': BILLING } })

/** Kind `act`, without what differs each time. */
function acts(gateway: TestGateway): object[] {
  return gateway
    .audit()
    .filter(({ kind }) => kind === 'act')
    .map(({ who, via, act, subject, phase, error, detail: { requestId, ...detail } }) => {
      assert.equal(typeof requestId, 'string')
      return { who, via, act, subject, phase, error, detail }
    })
}

describe('who may', () => {
  const REFUSED = [
    ['a caller without admin rights', { 'x-sallyport-key': BILLING }, 403, 'Forbidden'],
    ['nobody known', { 'x-sallyport-key': 'nonsense' }, 401, 'Unauthenticated'],
    ['no key', {}, 401, 'Unauthenticated'],
    ['a page of another origin', { 'x-sallyport-key': OPS, origin: 'https://evil.example' }, 403, 'Forbidden'],
    ['a cross-site page', { 'x-sallyport-key': OPS, 'sec-fetch-site': 'cross-site' }, 403, 'Forbidden'],
  ] as const
  test('admin rights are wanted, and a refusal of a known caller is on record', async (t) => {
    const { gateway } = await setScene(t, { config: { callers: CALLERS } })
    for (const [name, headers, status, type] of REFUSED)
      await t.test(name, async () => {
        for (const [method, path] of [
          ['GET', 'adapters'],
          ['PUT', 'adapters/up/breaker'],
        ] as const) {
          const reply = await gateway.send(method, `/v1/admin/${path}`, null, {
            headers: { ...headers, 'content-type': 'application/json' },
          })
          assert.deepEqual([reply.status, reply.envelope.error.type], [status, type])
        }
      })
    const refused = { who: 'billing', via: 'admin', phase: undefined, error: 'Forbidden', detail: {} }
    assert.deepEqual(acts(gateway), [
      { ...refused, act: 'adapter.list', subject: null },
      { ...refused, act: 'breaker.force', subject: 'up' },
    ])
    assert.match(gateway.logs(), /"act":"breaker\.force","subject":"up","error":"Forbidden","event":"administrative act"/)
    const text = (await gateway.get('/metrics', { headers: { 'x-sallyport-key': OPS } })).text
    assert.equal(metric(text, 'sallyport_admin_acts_total', { act: 'breaker.force', error: 'Forbidden' }), 1)
  })

  test('without callers, whoever is on this machine is local and may', async (t) => {
    const { gateway } = await setScene(t)
    assert.equal((await gateway.get('/v1/admin/adapters')).status, 200)
    const foreign = await gateway.get('/v1/admin/adapters', { headers: { host: 'evil.example' } })
    assert.deepEqual([foreign.status, foreign.envelope.error.type], [403, 'Forbidden'])
  })
})

describe('what is asked', () => {
  const FAULTS: readonly (readonly [name: string, body: unknown, pointer: string, message: RegExp])[] = [
    [
      'an unknown key',
      { state: 'open', reason: 'x', untl: 'x' },
      '/untl',
      /unknown key "untl"; the nearest known one is "until"/,
    ],
    ['no state', { reason: 'x' }, '/state', /^is missing$/],
    ['no reason', { state: 'open' }, '/reason', /^is missing$/],
    ['an unknown state', { state: 'half-open', reason: 'x' }, '/state', /must be "open", "closed", or null/],
    ['a reason of two lines', { state: 'open', reason: 'a\nb' }, '/reason', /one line/],
    ['two ends', { state: 'open', reason: 'x', expiresIn: '1m', until: '2999-01-01T00:00:00Z' }, '', /exclude one another/],
    ['an end that has been', { state: 'open', reason: 'x', until: '2020-01-01T00:00:00Z' }, '/until', /in the future/],
    ['no time', { state: 'open', reason: 'x', expiresIn: 0 }, '/expiresIn', /longer than 0/],
    ['another origin', { state: 'open', reason: 'x', origin: 'https://elsewhere.example' }, '/origin', /mounted on http:/],
    ['a list', [], '', /must be a JSON object/],
  ]
  test('a body is read strictly, and refused with every fault before anything is done', async (t) => {
    const { gateway } = await setScene(t, { config: { callers: CALLERS } })
    for (const [name, body, pointer, message] of FAULTS)
      await t.test(name, async () => {
        const { status, envelope } = await ask(gateway, 'PUT', 'adapters/up/breaker', body)
        assert.deepEqual([status, envelope.error.type], [400, 'InvalidDescriptor'])
        assert.equal(envelope.error.detail[0].pointer, pointer)
        assert.match(envelope.error.detail[0].message, message)
      })
    const { envelope } = await ask(gateway, 'GET', 'adapters/up')
    assert.deepEqual(envelope.overrides, [])
    assert.equal(acts(gateway).length, FAULTS.length)
  })

  test('repeated keys, no JSON, another type, another method, nothing of that name', async (t) => {
    const { gateway } = await setScene(t, { config: { callers: CALLERS } })
    const put = (path: string, body: string, type = 'application/json') =>
      gateway.send('PUT', `/v1/admin/${path}`, body, { headers: { 'x-sallyport-key': OPS, 'content-type': type } })
    const typeOf = async (reply: Promise<Reply>) => [(await reply).status, (await reply).envelope.error.type]
    const twice = '{"state":"open","state":"closed","reason":"x"}'
    assert.deepEqual(await typeOf(put('adapters/up/breaker', twice)), [400, 'InvalidDescriptor'])
    assert.deepEqual(await typeOf(put('adapters/up/breaker', '{')), [400, 'InvalidDescriptor'])
    assert.deepEqual(await typeOf(put('adapters/up/breaker', '{}', 'text/plain')), [415, 'UnsupportedMediaType'])
    assert.deepEqual(await typeOf(put('adapters/none/breaker', '{"state":null}')), [404, 'NotFound'])
    assert.deepEqual(await typeOf(ask(gateway, 'GET', 'adapters/%00')), [404, 'NotFound'])
    assert.deepEqual(await typeOf(ask(gateway, 'GET', 'nothing')), [404, 'NotFound'])
    const { status, headers } = await ask(gateway, 'DELETE', 'adapters')
    assert.deepEqual([status, headers.allow], [405, 'GET, HEAD'])
  })
})

describe('adapters', () => {
  test('are shown with their policy and the state of each origin', async (t) => {
    const { gateway, up, at } = await setScene(t, {
      config: { callers: CALLERS },
      adapter: {
        breaker: {},
        headers: { accept: 'text/plain', 'x-team': CANARY_TOKEN },
        params: { key: CANARY_TOKEN },
        cookies: { c: CANARY_TOKEN },
      },
    })
    await gateway.call({ url: at('/p') }, { headers: { 'x-sallyport-key': BILLING }, echoes: true })
    const { envelope } = await ask(gateway, 'GET', 'adapters')
    const [adapter] = envelope.adapters
    assert.deepEqual(adapter.origins, [
      {
        ...{ origin: up.origin, purpose: 'calls', breaker: 'closed', forced: null },
        ...{ inFlight: 0, queued: 0, connections: 1, idle: 1, retired: false },
      },
    ])
    assert.deepEqual([adapter.name, adapter.mount, adapter.overrides], ['up', `${up.origin}/`, []])
    assert.deepEqual(adapter.policy.headers, [
      ['accept', 'text/plain'],
      ['x-team', '***'],
    ])
    assert.deepEqual(adapter.policy.breaker.statuses, ['500', '502-599'])
    assert.deepEqual((await ask(gateway, 'GET', 'adapters/up')).envelope, adapter)
  })
})

describe('a breaker', () => {
  test('forced open is so for every origin under the adapter, and says who, why and until when', async (t) => {
    const [one, two, other] = [await upstreamFor(t), await upstreamFor(t), await upstreamFor(t)]
    const gateway = await gatewayFor(t, {
      adapters: [
        { ...loopbackAdapter('all', 'http://', { breaker: {} }), mount: 'http://' },
        loopbackAdapter('up', other.origin),
      ],
      config: { callers: CALLERS.map((caller) => ({ ...caller, may: [{ adapter: 'all' }, { adapter: 'up' }] })) },
    })
    await call(gateway, one.origin)
    const end = new Date(Date.now() + 60_000).toISOString()
    const forced = await ask(gateway, 'PUT', 'adapters/all/breaker', { state: 'open', reason: 'vendor maintenance', until: end })
    assert.deepEqual([forced.status, forced.envelope.adapter, forced.envelope.shared], [200, 'all', true])
    for (const { origin } of [one, two]) {
      const { envelope } = await call(gateway, origin)
      assert.equal(envelope.error.type, 'BreakerOpen')
      assert.ok(
        envelope.error.message.endsWith(`was forced open by ops: vendor maintenance; it stays so until ${end}`),
        envelope.error.message,
      )
    }
    assert.equal((await call(gateway, other.origin)).envelope.error, null)
    const { envelope } = await ask(gateway, 'GET', 'adapters/all')
    const [{ since, ...override }] = envelope.overrides
    assert.ok(Math.abs(Date.parse(since) - Date.now()) < 10_000)
    assert.deepEqual(override, { origin: null, state: 'open', by: 'ops', reason: 'vendor maintenance', until: end })
    assert.deepEqual(
      envelope.origins.map(({ breaker, forced }: { breaker: string; forced: string }) => [breaker, forced]),
      [
        ['open', 'open'],
        ['open', 'open'],
      ],
    )
    const text = (await gateway.get('/metrics', { headers: { 'x-sallyport-key': OPS } })).text
    assert.equal(metric(text, 'sallyport_breaker_overrides', { adapter: 'all', state: 'open' }), 1)

    await ask(gateway, 'PUT', 'adapters/all/breaker', { state: 'closed', reason: 'this one is well', origin: two.origin })
    assert.equal((await call(gateway, two.origin)).envelope.error, null)
    assert.equal((await call(gateway, one.origin)).envelope.error.type, 'BreakerOpen')
    await ask(gateway, 'PUT', 'adapters/all/breaker', { state: null })
    assert.equal((await call(gateway, one.origin)).envelope.error, null)

    const act = { who: 'ops', via: 'admin', act: 'breaker.force', subject: 'all', error: null }
    const detail = { origin: null, state: 'open', reason: 'vendor maintenance', until: end }
    assert.deepEqual(acts(gateway).slice(0, 2), [
      { ...act, phase: 'begun', detail },
      { ...act, phase: 'ended', detail: { ...detail, shared: true } },
    ])
    assert.deepEqual(
      acts(gateway).map((record) => [
        (record as { phase: string }).phase,
        (record as { detail: { state: string } }).detail.state,
      ]),
      ['open', 'closed', null].flatMap((state) => [
        ['begun', state],
        ['ended', state],
      ]),
    )
  })

  test('stays forced when its origin was idle and is met anew, until its time is over', async (t) => {
    const clock = createFakeClock()
    const { gateway, at } = await setScene(t, { clock, adapter: { breaker: { window: '10m' } } })
    await gateway.call({ url: at('/') })
    const forced = gateway.send('PUT', '/v1/admin/adapters/up/breaker', '{"state":"open","reason":"audit","expiresIn":"10m"}', {
      headers: { 'content-type': 'application/json' },
    })
    assert.equal((await forced).status, 200)
    const origins = async () => (await gateway.get('/v1/admin/adapters/up')).envelope.origins.length
    assert.equal(await origins(), 1)
    await clock.advance(8 * 60_000)
    assert.equal(await origins(), 0, 'the idle origin is gone')
    const { envelope } = await gateway.call({ url: at('/') })
    assert.deepEqual([envelope.error.type, envelope.error.retryAfter], ['BreakerOpen', 2 * 60_000])
    await clock.advance(2 * 60_000)
    assert.equal((await gateway.call({ url: at('/') })).envelope.error, null)
    assert.deepEqual((await gateway.get('/v1/admin/adapters/up')).envelope.overrides, [])
  })
})

test('a forced breaker is followed by every replica within a second, and outlives a restart and a Redis that dies', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const up = await upstreamFor(t)
  const options = { adapters: [loopbackAdapter('up', up.origin)], config: { store: { redis: redis.url } } }
  const [one, two] = [await gatewayFor(t, options), await gatewayFor(t, options)]
  const force = (state: string | null) =>
    one.send('PUT', '/v1/admin/adapters/up/breaker', JSON.stringify({ state, reason: 'maintenance', expiresIn: '1h' }), {
      headers: { 'content-type': 'application/json' },
    })
  const errorOf = async (gateway: TestGateway) => (await gateway.call({ url: up.origin })).envelope.error?.type ?? null
  await until('it is in the store', async () => (await force('open')).envelope.shared)
  await until('the other replica follows', async () => (await errorOf(two)) === 'BreakerOpen', 1500)
  const three = await gatewayFor(t, options)
  await until('so does one that starts', async () => (await errorOf(three)) === 'BreakerOpen', 1500)
  await redis.kill()
  assert.equal(await errorOf(two), 'BreakerOpen')
  assert.equal((await force(null)).envelope.shared, false)
  assert.equal(await errorOf(one), null)
  await redis.restart()
  await until('the others follow when it is back', async () => (await errorOf(two)) === null, 5000)
})

describe('the configuration', () => {
  const adapters = (origin: string) => [loopbackAdapter('up', origin, { timeout: { read: '7s' } })]

  test('is shown as it is in effect, with nothing secret', async (t) => {
    const up = await upstreamFor(t)
    const gateway = await gatewayFor(t, {
      adapters: adapters(up.origin),
      config: { callers: [...CALLERS, { name: 'canary', keys: [CANARY_TOKEN], may: [] }], log: { level: 'debug' } },
    })
    const { config } = (await ask(gateway, 'GET', 'config')).envelope
    assert.equal(config.adapters[0].timeout.readMs, 7000)
    assert.deepEqual(
      config.callers.map(({ name, keys }: { name: string; keys: number }) => [name, keys]),
      [
        ['ops', 1],
        ['billing', 1],
        ['canary', 1],
      ],
    )
    assert.equal(config.store.redis, null)
  })

  test('is read anew when asked, and the answer says what changed', async (t) => {
    const up = await upstreamFor(t)
    const gateway = await gatewayFor(t, { adapters: adapters(up.origin), config: { callers: CALLERS } })
    const further = loopbackAdapter('further', 'http://127.0.0.1:9')
    gateway.rewrite({
      adapters: [loopbackAdapter('up', up.origin, { timeout: { read: '8s' } }), further],
      config: { callers: CALLERS, sessions: { ttl: '2h' }, ceilings: { maxRetries: 4 } },
    })
    const { status, envelope } = await ask(gateway, 'POST', 'config/reload', {})
    assert.equal(status, 200, JSON.stringify(envelope))
    assert.deepEqual(envelope.adapters, { added: ['further'], changed: ['up'], removed: [] })
    assert.deepEqual(envelope.callers, { added: [], changed: [], removed: [] })
    assert.deepEqual([envelope.changed, envelope.needsRestart], [['ceilings'], ['sessions']])
    assert.equal((await ask(gateway, 'GET', 'adapters/up')).envelope.policy.timeout.readMs, 8000)
  })

  test('with a fault is refused whole, with file, line and key, and the old one stands', async (t) => {
    const up = await upstreamFor(t)
    const gateway = await gatewayFor(t, { adapters: adapters(up.origin), config: { callers: CALLERS } })
    gateway.rewrite({ adapters: [loopbackAdapter('up', up.origin, { timeout: { raed: '8s' } })], config: { callers: CALLERS } })
    const { status, envelope } = await ask(gateway, 'POST', 'config/reload', {})
    assert.deepEqual([status, envelope.error.type], [400, 'InvalidDescriptor'])
    const [{ file, ...fault }] = envelope.error.detail
    assert.match(file, /sallyport\.yaml$/)
    assert.deepEqual([fault.pointer, fault.key, fault.line], ['/adapters/0/timeout/raed', 'adapters[0].timeout.raed', 1])
    assert.match(fault.message, /did you mean read/)
    assert.equal((await ask(gateway, 'GET', 'adapters/up')).envelope.policy.timeout.readMs, 7000)
    assert.deepEqual(
      acts(gateway).map((record) => [(record as { phase: string }).phase, (record as { error: string }).error]),
      [
        ['begun', null],
        ['ended', 'InvalidDescriptor'],
      ],
    )
  })
})

test('the log level can be changed for a time', async (t) => {
  const clock = createFakeClock()
  const { gateway, at } = await setScene(t, { clock, config: { log: { level: 'warn' } } })
  const lines = () => gateway.logs().split('"event":"call"').length - 1
  const put = (body: object) =>
    gateway.send('PUT', '/v1/admin/log-level', JSON.stringify(body), { headers: { 'content-type': 'application/json' } })
  await gateway.call({ url: at('/') })
  const quiet = lines()
  const { envelope } = await put({ level: 'info', expiresIn: '10m' })
  assert.deepEqual(envelope, {
    ...{ level: 'info', configured: 'warn', by: 'local' },
    until: new Date(clock.date() + 600_000).toISOString(),
  })
  await gateway.call({ url: at('/') })
  assert.equal(lines(), quiet + 1)
  await clock.advance(600_000)
  await gateway.call({ url: at('/') })
  assert.equal(lines(), quiet + 1)
  const level = (await gateway.get('/v1/admin/log-level')).envelope
  assert.deepEqual(level, { level: 'warn', configured: 'warn', by: null, until: null })
})

describe('callers', () => {
  const store = { key: `k1:${Buffer.alloc(32, 7).toString('base64')}` }

  test('get keys that are shown once, let in at once, and are revoked at once', async (t) => {
    const { gateway, at } = await setScene(t, { config: { callers: CALLERS, store } })
    const made = await ask(gateway, 'POST', 'callers/billing/keys', { expiresIn: '1h' })
    const { key, id, createdAt, expiresAt, caller } = made.envelope
    assert.deepEqual([made.status, caller], [200, 'billing'])
    assert.ok(Math.abs(Date.parse(expiresAt) - Date.parse(createdAt) - 3_600_000) < 10_000)
    const use = () => gateway.call({ url: at('/') }, { headers: { 'x-sallyport-key': key } })
    assert.equal((await use()).status, 200)
    const listed = (await ask(gateway, 'GET', 'callers')).envelope.callers.find(
      ({ name }: { name: string }) => name === 'billing',
    )
    const ofFile = { source: 'config', state: 'active', createdAt: null, createdBy: null, expiresAt: null }
    const stored = { id, source: 'stored', state: 'active', createdBy: 'ops', createdAt, expiresAt }
    assert.deepEqual(
      listed.keys.map(({ lastUsedAt, id: shown, ...row }: { lastUsedAt: string; id: string }) =>
        shown.startsWith('sha256:') ? row : { id: shown, ...row },
      ),
      [ofFile, stored],
    )
    const third = await ask(gateway, 'POST', 'callers/billing/keys', {})
    assert.deepEqual([third.status, third.envelope.error.type], [403, 'Forbidden'])

    const revoked = await ask(gateway, 'DELETE', `callers/keys/${id}`)
    assert.deepEqual([revoked.status, revoked.envelope.caller, revoked.envelope.key.state], [200, 'billing', 'revoked'])
    assert.equal((await use()).status, 401)
    const [file] = listed.keys
    const inFile = await ask(gateway, 'DELETE', `callers/keys/${file.id}`)
    assert.equal(inFile.status, 404)
    assert.match(inFile.envelope.error.message, /stands in the configuration file/)
    assert.equal((await ask(gateway, 'POST', 'callers/nobody/keys', {})).status, 404)

    const trail = JSON.stringify(gateway.audit())
    assert.ok(!trail.includes(key) && !gateway.logs().includes(key), 'the key is nowhere but in its answer')
    assert.deepEqual(acts(gateway)[1], {
      ...{ who: 'ops', via: 'admin', act: 'caller-key.create', subject: 'billing', phase: 'ended', error: null },
      detail: { expiresAt, key: id },
    })
  })
})

describe('sessions', () => {
  test('are listed without their cookies, and forgotten', async (t) => {
    const { gateway, up, at } = await setScene(t, { config: { callers: CALLERS } })
    up.answer({ headers: [['Set-Cookie', `login=${CANARY_TOKEN}`]] })
    const headers = { 'x-sallyport-key': BILLING }
    await gateway.call({ url: at('/'), session: 'cart' }, { headers, echoes: true })
    const { envelope } = await ask(gateway, 'GET', 'sessions')
    const [{ writtenAt, ...row }] = envelope.sessions
    assert.ok(Date.parse(writtenAt) > 0)
    assert.deepEqual(row, { caller: 'billing', name: 'cart', cookies: 1, domains: ['127.0.0.1'] })
    assert.deepEqual((await ask(gateway, 'GET', 'sessions?caller=ops')).envelope.sessions, [])
    const unknown = await ask(gateway, 'GET', 'sessions?calller=ops')
    assert.equal(unknown.status, 400)
    assert.match(unknown.envelope.error.message, /nearest known one is "caller"/)

    assert.equal((await ask(gateway, 'DELETE', 'sessions/billing/cart')).status, 200)
    assert.equal((await ask(gateway, 'DELETE', 'sessions/billing/cart')).status, 404)
    assert.deepEqual((await ask(gateway, 'GET', 'sessions')).envelope.sessions, [])
    await gateway.call({ url: at('/'), session: 'cart' }, { headers, echoes: true })
    assert.ok(!JSON.stringify(up.last()).includes(CANARY_TOKEN), 'the cookie was sent no more')
  })
})

describe('secrets', () => {
  const store = { key: `k1:${Buffer.alloc(32, 7).toString('base64')}` }
  const scene = async (t: TestContext) => {
    const made = await setScene(t, {
      config: { callers: CALLERS, store },
      adapter: { credentials: 'vendor', allowPlaintextSecrets: true },
    })
    const use = async () => {
      const { envelope } = await made.gateway.call({ url: made.at('/') }, { headers: { 'x-sallyport-key': BILLING } })
      return { error: envelope.error?.type ?? null, sent: valuesOf(made.up.last(), 'authorization') }
    }
    const bound = { scheme: 'bearer', origins: [made.up.origin], callers: ['billing'] }
    return { ...made, use, bound }
  }

  test('go in, are used at once, and never come out', async (t) => {
    const { gateway, use, bound, up } = await scene(t)
    const set = await ask(gateway, 'PUT', 'secrets/vendor', { ...bound, values: { token: CANARY_TOKEN }, expiresIn: '48h' })
    assert.deepEqual([set.status, set.envelope], [200, { name: 'vendor', version: 1, warnings: [] }])
    assert.deepEqual(await use(), { error: null, sent: [`Bearer ${CANARY_TOKEN}`] })
    const { envelope } = await ask(gateway, 'GET', 'secrets')
    const [{ versions, ...secret }] = envelope.secrets
    assert.deepEqual(secret, { name: 'vendor', keyId: 'k1', fault: null })
    const [{ createdAt, notBefore, expiresAt, ...version }] = versions
    assert.ok(Math.abs(Date.parse(expiresAt) - Date.parse(createdAt) - 48 * 3_600_000) < 10_000)
    assert.equal(notBefore, createdAt)
    assert.deepEqual(version, {
      ...{ version: 1, state: 'current', scheme: 'bearer', origins: [up.origin], callers: ['billing'], pool: null },
      ...{ overlapUntil: null, revokedAt: null },
    })
    assert.deepEqual((await ask(gateway, 'GET', 'secrets/vendor')).envelope, envelope.secrets[0])
    assert.deepEqual(acts(gateway), [
      { ...ACT, act: 'secret.set', phase: 'begun', detail: { scheme: 'bearer' } },
      { ...ACT, act: 'secret.set', phase: 'ended', detail: { scheme: 'bearer', version: 1 } },
    ])
  })

  test('are rotated, revoked, sealed anew and removed', async (t) => {
    const { gateway, use, bound } = await scene(t)
    const token = (n: number) => `${CANARY_TOKEN}.${n}`
    await ask(gateway, 'PUT', 'secrets/vendor', { ...bound, values: { token: token(1) } })
    const rotated = await ask(gateway, 'POST', 'secrets/vendor/rotate', { values: { token: token(2) }, overlap: '5m' })
    assert.equal(rotated.envelope.version, 2)
    assert.deepEqual((await use()).sent, [`Bearer ${token(2)}`])
    const states = async () =>
      (await ask(gateway, 'GET', 'secrets/vendor')).envelope.versions.map(({ state }: { state: string }) => state)
    assert.deepEqual(await states(), ['previous', 'current'])
    const rekeyed = await ask(gateway, 'POST', 'secrets/rekey', {})
    assert.deepEqual(rekeyed.envelope, { keyId: 'k1', resealed: [], unchanged: 1, failed: [] })
    await ask(gateway, 'POST', 'secrets/vendor/revoke', {})
    assert.deepEqual(await states(), ['revoked', 'revoked'])
    assert.equal((await use()).error, 'CredentialUnavailable')
    assert.equal((await ask(gateway, 'DELETE', 'secrets/vendor')).status, 200)
    assert.equal((await use()).error, 'UnknownCredential')
    for (const [method, path, body] of [
      ['GET', 'secrets/vendor', undefined],
      ['DELETE', 'secrets/vendor', undefined],
      ['POST', 'secrets/vendor/revoke', {}],
      ['POST', 'secrets/vendor/rotate', { values: { token: token(3) } }],
    ] as const)
      assert.equal((await ask(gateway, method, path, body)).envelope.error.type, 'NotFound')
    assert.deepEqual(
      [...new Set(acts(gateway).map((record) => (record as { act: string }).act))],
      ['secret.set', 'secret.rotate', 'secret.rekey', 'secret.revoke', 'secret.delete'],
    )
  })

  test('that are wrong are refused without a value of theirs', async (t) => {
    const { gateway, bound } = await scene(t)
    const values = { token: CANARY_TOKEN }
    for (const [body, message] of [
      [{ ...bound, values, scheme: CANARY_TOKEN }, /scheme: must be one of basic/],
      [{ ...bound, values: { token: CANARY_TOKEN, [CANARY_TOKEN.slice(0, 4)]: CANARY_TOKEN } }, /values/],
      [{ ...bound, values: { token: `${CANARY_TOKEN}\n` } }, /values: token/],
      [{ ...bound, values: CANARY_TOKEN }, /must be an object of texts, or a list/],
      [{ ...bound, values, origins: [`https://u:${CANARY_TOKEN}@h.example`] }, /origins: scheme/],
      [{ ...bound, values, callers: [] }, /callers: at least one/],
      [{ ...bound, values, overlap: CANARY_TOKEN }, /overlap: must be/],
      [{ ...bound, values, expiresIn: '1h', expiresAt: '2999-01-01T00:00:00Z' }, /exclude one another/],
    ] as const) {
      const { status, envelope } = await ask(gateway, 'PUT', 'secrets/vendor', body)
      assert.deepEqual([status, envelope.error.type], [400, 'InvalidDescriptor'], JSON.stringify(envelope))
      assert.match(envelope.error.message, message)
    }
    assert.deepEqual((await ask(gateway, 'GET', 'secrets')).envelope, { secrets: [] })
  })

  test('may be pools of keys', async (t) => {
    const { gateway, use, bound } = await scene(t)
    const values = [{ token: `${CANARY_TOKEN}.a` }, { token: `${CANARY_TOKEN}.b` }]
    await ask(gateway, 'PUT', 'secrets/vendor', { ...bound, values, pick: 'round-robin' })
    const [version] = (await ask(gateway, 'GET', 'secrets/vendor')).envelope.versions
    assert.deepEqual(version.pool, { pick: 'round-robin', size: 2 })
    const [sent = ''] = (await use()).sent
    assert.ok(values.some(({ token }) => sent === `Bearer ${token}`))
    const one = await ask(gateway, 'PUT', 'secrets/vendor', { ...bound, values: values[0], pick: 'least-used' })
    assert.match(one.envelope.error.message, /pick: is for a pool/)
  })
})

describe('the audit trail', () => {
  const scene = async (t: TestContext) => {
    const made = await setScene(t, { config: { callers: CALLERS } })
    for (const tag of ['a', 'b', 'c'])
      await made.gateway.call({ url: made.at(`/${tag}`), tags: { order: tag } }, { headers: { 'x-sallyport-key': BILLING } })
    await ask(made.gateway, 'PUT', 'log-level', { level: 'error' })
    const search = async (query: string) => {
      const { status, envelope } = await ask(made.gateway, 'GET', `audit?${query}`)
      assert.equal(status, 200, JSON.stringify(envelope))
      return envelope
    }
    const download = (query: string, accept: string) =>
      made.gateway.get(`/v1/admin/audit?${query}`, { headers: { 'x-sallyport-key': OPS, accept } })
    return { ...made, search, download }
  }
  const paths = (records: readonly { url: string }[]) => records.map(({ url }) => new URL(url).pathname)

  test('is searched by what calls and acts were, in pages', async (t) => {
    const { search, gateway } = await scene(t)
    const all = await search('caller=billing&kind=call')
    assert.deepEqual([paths(all.records), all.nextCursor], [['/c', '/b', '/a'], null])
    assert.deepEqual(paths((await search('tag=order=b')).records), ['/b'])
    assert.deepEqual((await search('tag=order=b&tag=order=c')).records, [])
    assert.deepEqual((await search('status=5xx')).records, [])
    assert.equal((await search('status=200&adapter=up&minDuration=0')).records.length, 3)
    const first = await search('kind=call&limit=2&order=oldest')
    assert.deepEqual(paths(first.records), ['/a', '/b'])
    const second = await search(`kind=call&limit=2&order=oldest&cursor=${encodeURIComponent(first.nextCursor)}`)
    assert.deepEqual([paths(second.records), second.nextCursor], [['/c'], null])
    const [act] = (await search('kind=act&caller=ops')).records
    assert.deepEqual([act.who, act.act, act.via], ['ops', 'log.set', 'admin'])
    for (const [query, message] of [
      ['limit=0', /limit: must be a whole number from 1 to 1000/],
      ['status=9xx', /status: must be a status, or one of/],
      ['cursor=nonsense', /cursor/],
      ['caller=a&caller=b', /caller: is given twice/],
      ['from=yesterday', /from: must be an instant/],
    ] as const) {
      const { status, envelope } = await ask(gateway, 'GET', `audit?${query}`)
      assert.equal(status, 400, query)
      assert.match(envelope.error.message, message)
    }
  })

  test('is exported whole, as lines or as a table', async (t) => {
    const { download } = await scene(t)
    const lines = await download('kind=call', 'application/x-ndjson')
    assert.equal(lines.headers['content-type'], 'application/x-ndjson')
    assert.match(lines.headers['content-disposition'] ?? '', /filename="audit\.ndjson"/)
    const records = lines.text.split('\n').slice(0, -1)
    assert.deepEqual(paths(records.map((line) => JSON.parse(line))), ['/a', '/b', '/c'])
    const table = await download('kind=call', 'text/csv')
    const [head, ...rows] = table.text.split('\r\n').slice(0, -1)
    assert.match(head ?? '', /^at,kind,/)
    assert.equal(rows.length, 3)
    const refused = await download('cursor=nonsense', 'text/csv')
    assert.deepEqual([refused.status, refused.envelope.error.type], [400, 'InvalidDescriptor'])
    assert.equal((await download('limit=1', 'text/csv')).status, 400)
  })
})
