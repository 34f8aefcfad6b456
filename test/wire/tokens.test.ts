// Credentials that are first obtained from an authorization server: a real one checks what it is asked, and the canary is the
// client's secret throughout. Token requests are the gateway's own calls, under the adapter of the token URL.
import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import type { NewSecret } from '../../src/credentials/provision.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts'
import { CANARY_TOKEN } from '../support/canary.ts'
import { certificates } from '../support/certificates.ts'
import type { TestGateway } from '../support/gateway.ts'
import { gatewayFor, setScene } from '../support/scene.ts'
import { redirectTo, type ScriptedUpstream, valuesOf } from '../support/scripted-upstream.ts'
import { loopbackAdapter, metric, until } from '../support/wire.ts'

const CLIENT_SECRET = `${CANARY_TOKEN} %2F+"&=`
const { key: ASSERTION_KEY } = certificates().client

interface TokenScene {
  readonly auth: AuthorizationServer
  readonly up: ScriptedUpstream
  readonly gateway: TestGateway
  at(path: string): string
  /** Tokens that the upstream was sent, in order. */
  tokens(): string[]
}

interface SceneAsk {
  readonly scheme?: NewSecret['scheme']
  readonly values?: Readonly<Record<string, string>>
  readonly adapter?: object
  readonly authAdapter?: object | null
}

const BASIC = { clientId: 'bil ling', clientSecret: CLIENT_SECRET, scope: 'read' }

async function setTokenScene(t: TestContext, ask: SceneAsk = {}): Promise<TokenScene> {
  const { scheme = 'oauth2-client-credentials', values = BASIC, adapter, authAdapter } = ask
  const auth = await startAuthorizationServer({
    ...{ clientId: 'bil ling', clientSecret: CLIENT_SECRET, assertionKey: createPublicKey(ASSERTION_KEY) },
  })
  t.after(() => auth.close())
  const scene = await setScene(t, {
    adapter: { credentials: 'it', allowPlaintextSecrets: true, ...adapter },
    others: () =>
      authAdapter === null ? [] : [loopbackAdapter('auth', auth.origin, { allowPlaintextSecrets: true, ...authAdapter })],
    secrets: ({ origin }) => [
      { name: 'it', scheme, origins: [origin], callers: ['*'], values: { tokenUrl: auth.tokenUrl, ...values } },
    ],
  })
  const tokens = (): string[] =>
    scene.up.received.flatMap((request) => valuesOf(request, 'authorization').map((value) => value.replace(/^Bearer /, '')))
  // After the gateway has stopped, which the scene saw to first: its log is whole.
  t.after(() => {
    const told = scene.gateway.logs()
    for (const token of tokens()) assert.ok(!told.includes(token), 'an access token stands in the log')
  })
  return { ...scene, auth, tokens }
}

const KINDS: [name: string, ask: SceneAsk, clientId: string, form: RegExp][] = [
  ['client credentials, in the header', {}, 'bil ling', /^grant_type=client_credentials&scope=read$/],
  [
    'client credentials, in the body',
    { values: { ...BASIC, clientId: 'in-body', clientAuth: 'body', audience: 'a b', params: 'x=1&y=%26' } },
    'in-body',
    /^grant_type=client_credentials&client_id=in-body&client_secret=[^&]+&scope=read&audience=a\+b&x=1&y=%26$/,
  ],
  [
    'a JWT as the client’s proof',
    {
      scheme: 'jwt-bearer',
      values: { issuer: 'by-key', key: ASSERTION_KEY, algorithm: 'ES256', keyId: 'key-1', use: 'client', scope: 'read' },
    },
    'by-key',
    /^grant_type=client_credentials&client_assertion_type=[^&]+&client_assertion=[^&]+&scope=read$/,
  ],
  [
    'a JWT as the grant',
    {
      scheme: 'jwt-bearer',
      values: {
        ...{ issuer: 'billing', subject: 'someone', key: ASSERTION_KEY, algorithm: 'ES256', scope: 'read' },
        params: 'client_id=granted',
      },
    },
    'granted',
    /^grant_type=urn[^&]+jwt-bearer&assertion=[^&]+&scope=read&client_id=granted$/,
  ],
]

for (const [name, ask, clientId, form] of KINDS) {
  test(name, async (t) => {
    const { auth, gateway, at, tokens } = await setTokenScene(t, ask)
    const { envelope } = await gateway.call({ url: at('/p') })
    assert.equal(envelope.status, 200, JSON.stringify(envelope.error))
    const [token = ''] = tokens()
    const known = await auth.find(token)
    assert.deepEqual([known?.clientId, known?.scope], [clientId, 'read'])
    assert.match(String(auth.asked[0]?.form), form)
    assert.equal(envelope.request.headers.Authorization, 'Bearer ***')
    assert.deepEqual(
      envelope.attempts.map(({ status, because }: Record<string, unknown>) => [status, because]),
      [[200, 'renewed credential']],
    )
    assert.ok(envelope.attempts[0].waited > 0)
    const again = await gateway.call({ url: at('/p') })
    assert.deepEqual([again.envelope.attempts[0].because, auth.asked.length, tokens()[1]], [null, 1, token])
  })
}

test('one token request for any number of calls that wait, on the record as the gateway’s own', async (t) => {
  const { auth, gateway, at, tokens } = await setTokenScene(t)
  auth.delayMs = 50
  const calls = Array.from({ length: 30 }, () => gateway.call({ url: at('/p') }))
  for (const { envelope } of await Promise.all(calls)) assert.equal(envelope.status, 200)
  assert.equal(auth.asked.length, 1)
  assert.equal(new Set(tokens()).size, 1)
  const own = gateway.audit().filter(({ caller }) => caller === '(credentials)')
  assert.deepEqual(
    own.map(({ kind, adapter, url, status }) => [kind, adapter, url, status]),
    [
      ['intent', 'auth:token', auth.tokenUrl, undefined],
      ['result', 'auth:token', auth.tokenUrl, 200],
    ],
  )
  assert.deepEqual(own[0].tags, { secret: 'it' })
  assert.match(own[0].id, /-token$/)
  assert.equal(metric(await gateway.metrics(), 'sallyport_calls_total', { entrance: 'token', adapter: 'auth:token' }), 1)
})

test('a token that ends is renewed, and a redirect, a retry and an error show nothing of it', async (t) => {
  const { auth, up, gateway, at, tokens } = await setTokenScene(t, { adapter: { retry: { total: 1, backoffFactor: 1 } } })
  auth.lifeSeconds = 1
  await gateway.call({ url: at('/p') })
  auth.lifeSeconds = 600
  const renewed = async (): Promise<boolean> => {
    await gateway.call({ url: at('/p') })
    return tokens().at(-1) !== tokens()[0]
  }
  await until('the token is renewed ahead of its end', renewed, 1500)
  assert.equal(auth.asked.length, 2)
  up.answer(({ target }) => (target === '/from' ? redirectTo('/p') : { status: 503, body: 'x' }))
  const { envelope } = await gateway.call({ url: at('/from') })
  assert.deepEqual([envelope.status, envelope.attempts.length], [503, 3])
  assert.equal(new Set(tokens().slice(-3)).size, 1)
  up.answer({ headers: [['Content-Encoding', 'gzip']], body: 'no gzip' })
  assert.equal((await gateway.call({ url: at('/p') })).envelope.error.type, 'ContentDecodingError')
})

test('a 401', async (t) => {
  const { auth, up, gateway, at, tokens } = await setTokenScene(t)
  const revoked = new Set<string>()
  up.answer((request) => {
    const token = (valuesOf(request, 'authorization')[0] ?? '').slice('Bearer '.length)
    return revoked.has(token) ? { status: 401, reason: 'Unauthorized', body: 'no' } : {}
  })
  /** Every token so far is refused from now on, once it is old enough that another may be asked for. */
  const revoke = async (): Promise<void> => {
    for (const token of tokens()) revoked.add(token)
    await new Promise((resolve) => setTimeout(resolve, 1010))
  }
  await gateway.call({ url: at('/p') })

  await t.test('has the token renewed and the request repeated', async () => {
    await revoke()
    const calls = await Promise.all([1, 2, 3, 4].map(() => gateway.call({ url: at('/p') })))
    for (const { envelope } of calls) assert.deepEqual([envelope.status, envelope.history], [200, []])
    const tries = calls.map(({ envelope }) =>
      envelope.attempts.map(({ status, because }: Record<string, unknown>) => [status, because]),
    )
    assert.deepEqual(tries[0], [[401, null], [200, 'renewed credential']]) // biome-ignore format: pairs
    assert.equal(auth.asked.length, 2, 'one for all of them')
  })
  await t.test('of a POST does not, unless it has an idempotency key', async () => {
    await revoke()
    const post = { url: at('/p'), method: 'POST', json: {} }
    const { envelope } = await gateway.call(post)
    assert.deepEqual([envelope.status, envelope.attempts.length, auth.asked.length], [401, 1, 2])
    assert.equal((await gateway.call({ ...post, idempotencyKey: 'k-1' })).envelope.status, 200)
    assert.equal(auth.asked.length, 3)
  })
  await t.test('and no new token is CredentialUnavailable, with what was sent', async () => {
    await revoke()
    auth.instead = { status: 503, body: '{}' }
    const { status, envelope } = await gateway.call({ url: at('/p') })
    assert.deepEqual([status, envelope.error.type, envelope.error.sent], [503, 'CredentialUnavailable', 'yes'])
    assert.match(envelope.error.message, /its token endpoint answered 503;/)
  })
})

const ECHO = `{"error":"${CANARY_TOKEN}","error_description":"${CANARY_TOKEN}"}`
const FAILURES: [name: string, instead: AuthorizationServer['instead'], message: RegExp][] = [
  ['an answer that echoes what it was sent', { status: 400, body: ECHO }, /answered 400;/],
  ['no JSON', { status: 200, body: `<p>${CANARY_TOKEN}</p>` }, /answered without an access token/],
  ['a redirect is not followed', { status: 307, headers: { Location: '/elsewhere' }, body: '' }, /answered 307;/],
  ['an endless answer', { status: 200, body: `"${'x'.repeat(70_000)}"` }, /could not be asked \(ResponseTooLarge\)/],
]

for (const [name, instead, message] of FAILURES) {
  test(`where there is no token, nothing is sent: ${name}`, async (t) => {
    const { auth, up, gateway, at } = await setTokenScene(t)
    auth.instead = instead
    const { status, envelope, headers } = await gateway.call({ url: at('/p') })
    assert.deepEqual([status, envelope.error.type, envelope.error.sent], [503, 'CredentialUnavailable', 'no'])
    assert.match(envelope.error.message, message)
    assert.equal(envelope.error.retryable, true)
    assert.equal(headers['retry-after'], '1')
    assert.deepEqual([up.accepted(), auth.asked.length, envelope.attempts], [0, 1, []])
    assert.equal((await gateway.call({ url: at('/p'), auth: null })).envelope.status, 200)
  })
}

test('a client secret that the server refuses is said so', async (t) => {
  const { gateway, at } = await setTokenScene(t, { values: { ...BASIC, clientSecret: `${CLIENT_SECRET}x` } })
  const { envelope } = await gateway.call({ url: at('/p') })
  assert.match(envelope.error.message, /^secret "it" is not available: its token endpoint answered 401 \(invalid_client\);/)
})

const PLACES: [name: string, ask: SceneAsk, message: RegExp][] = [
  ['no adapter', { authAdapter: null }, /no adapter is mounted on its token URL/],
  ['plain http', { authAdapter: { allowPlaintextSecrets: false } }, /allowPlaintextSecrets on adapter "auth"/],
  ['an address that is not allowed', { authAdapter: { egress: {} } }, /could not be asked \(EgressDenied\)/],
  ['a method that is not allowed', { authAdapter: { methods: ['GET'] } }, /could not be asked \(Forbidden\)/],
]

for (const [name, ask, message] of PLACES) {
  test(`the token URL is under the rules of its adapter: ${name}`, async (t) => {
    const { auth, up, gateway, at } = await setTokenScene(t, ask)
    const { status, envelope } = await gateway.call({ url: at('/p') })
    assert.deepEqual([status, envelope.error.type], [503, 'CredentialUnavailable'])
    assert.match(envelope.error.message, message)
    assert.deepEqual([up.accepted(), auth.asked.length], [0, 0])
  })
}

test('a wait for a token ends with the call’s own time, and the others get theirs', async (t) => {
  const { auth, gateway, at } = await setTokenScene(t)
  auth.delayMs = 300
  const [short, long] = await Promise.all([
    gateway.call({ url: at('/p'), timeout: { total: 100 } }),
    gateway.call({ url: at('/p') }),
  ])
  assert.deepEqual([short.status, short.envelope.error.type, short.envelope.error.sent], [504, 'Timeout', 'no'])
  assert.equal(long.envelope.status, 200)
  assert.equal(auth.asked.length, 1)
})

test('an adapter of the token URL that has this very secret as its own does not wait for itself', async (t) => {
  const { auth, gateway, at } = await setTokenScene(t, { authAdapter: { credentials: 'it' } })
  assert.equal((await gateway.call({ url: at('/p') })).envelope.status, 200)
  assert.equal(auth.asked.length, 1)
})

test('calls that hold every slot of the adapter that the token URL is under do not keep the token from coming', async (t) => {
  const auth = await startAuthorizationServer({
    ...{ clientId: 'bil ling', clientSecret: CLIENT_SECRET, assertionKey: createPublicKey(ASSERTION_KEY) },
  })
  t.after(() => auth.close())
  const origins = [auth.origin]
  const gateway = await gatewayFor(t, {
    adapters: [
      loopbackAdapter('both', auth.origin, {
        ...{ credentials: 'it', allowPlaintextSecrets: true, limits: { concurrency: 1, queue: 10 }, timeout: { total: '2s' } },
      }),
    ],
    secrets: [
      {
        ...{ name: 'it', scheme: 'oauth2-client-credentials', callers: ['*'], origins },
        values: { tokenUrl: auth.tokenUrl, ...BASIC },
      },
    ],
  })
  auth.delayMs = 20
  const calls = [1, 2].map(() => gateway.call({ url: `${auth.origin}/.well-known/openid-configuration` }))
  for (const { envelope } of await Promise.all(calls)) assert.equal(envelope.status, 200)
})

test('prepare asks for no token, and says what would refuse it', async (t) => {
  const prepare = async ({ gateway, at }: TokenScene) =>
    gateway.post('/v1/prepare', JSON.stringify({ url: at('/p') }), { headers: { 'content-type': 'application/json' } })
  const good = await setTokenScene(t)
  const { envelope } = await prepare(good)
  assert.deepEqual([envelope.error, envelope.plan.credential, good.auth.asked.length], [null, 'it', 0])
  assert.equal(envelope.request.headers.Authorization, 'Bearer ***')
  await good.gateway.call({ url: good.at('/p') })
  assert.equal(good.auth.asked.length, 1)
  const bad = await setTokenScene(t, { authAdapter: null })
  const refused = await prepare(bad)
  assert.match(refused.envelope.error.message, /no adapter is mounted/)
})
