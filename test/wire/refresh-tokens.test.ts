// Refresh tokens that rotate, by a real server that revokes the whole grant where one comes twice; two gateways on one Redis
// would do just that if they did not keep their tokens together.
import assert from 'node:assert/strict'
import { createPublicKey, randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import type { NewSecret } from '../../src/credentials/provision.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts'
import { CANARY_TOKEN } from '../support/canary.ts'
import { certificates } from '../support/certificates.ts'
import { startGateway, type TestGateway, type TestGatewayOptions } from '../support/gateway.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { gatewayFor, upstreamFor } from '../support/scene.ts'
import { type ScriptedUpstream, valuesOf } from '../support/scripted-upstream.ts'
import { loopbackAdapter, metric, until } from '../support/wire.ts'

const CLIENT_SECRET = `${CANARY_TOKEN}:%2F+"&=`

async function authFor(t: TestContext): Promise<AuthorizationServer> {
  const assertionKey = createPublicKey(certificates().client.key)
  const auth = await startAuthorizationServer({ clientId: 'machine', clientSecret: CLIENT_SECRET, assertionKey })
  t.after(() => auth.close())
  return auth
}

const adaptersFor = (up: ScriptedUpstream, auth: AuthorizationServer): object[] => [
  loopbackAdapter('up', up.origin, { credentials: 'it', allowPlaintextSecrets: true }),
  // Even an adapter that repeats every method does not make a refresh token go out twice.
  loopbackAdapter('auth', auth.origin, {
    allowPlaintextSecrets: true,
    retry: { total: 3, allowedMethods: null, backoffFactor: 1 },
  }),
]

async function secretFor(
  up: ScriptedUpstream,
  auth: AuthorizationServer,
  values: Readonly<Record<string, string>>,
): Promise<NewSecret> {
  const { clientId = 'rotating', ...rest } = values
  const refreshToken = await auth.grantTo(clientId)
  return {
    ...{ name: 'it', scheme: 'oauth2-refresh-token', origins: [up.origin], callers: ['*'] },
    values: { tokenUrl: auth.tokenUrl, clientId, refreshToken, ...rest },
  }
}

const refreshTokens = ({ asked }: AuthorizationServer): string[] => asked.map(({ form }) => form.get('refresh_token') ?? '')
const sentTokens = ({ received }: ScriptedUpstream): string[] =>
  received.flatMap((request) => valuesOf(request, 'authorization').map((value) => value.replace('Bearer ', '')))

for (const [clientId, values] of [
  ['rotating', { clientSecret: CLIENT_SECRET }],
  ['rotating-body', { clientSecret: CLIENT_SECRET, clientAuth: 'body' }],
  ['rotating-public', { scope: 'read' }],
] as const)
  test(`the client "${clientId}" goes from token to token`, async (t) => {
    const [auth, up] = [await authFor(t), await upstreamFor(t)]
    auth.saidSeconds = 0
    const secret = await secretFor(up, auth, { clientId, ...values })
    const gateway = await gatewayFor(t, { adapters: adaptersFor(up, auth), secrets: [secret] })
    for (let i = 0; i < 3; i++) assert.equal((await gateway.call({ url: up.origin })).envelope.status, 200)
    assert.equal(new Set(refreshTokens(auth)).size, 3)
    for (const token of sentTokens(up)) assert.equal((await auth.find(token))?.clientId, clientId)
    const told = gateway.logs() + JSON.stringify(gateway.audit())
    for (const token of [...refreshTokens(auth), ...sentTokens(up)]) assert.ok(!told.includes(token))
    const labels = { scheme: 'oauth2-refresh-token', outcome: 'renewed' }
    assert.equal(metric(await gateway.metrics(), 'sallyport_token_renewals_total', labels), 3)
  })

interface Pair {
  readonly auth: AuthorizationServer
  readonly up: ScriptedUpstream
  readonly redis: TestRedis
  readonly options: TestGatewayOptions
  readonly gateways: readonly TestGateway[]
}

/** Two gateways on one Redis. */
async function setPair(t: TestContext): Promise<Pair> {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const [auth, up] = [await authFor(t), await upstreamFor(t)]
  const store = { redis: redis.url, key: `k1:${randomBytes(32).toString('base64')}` }
  const options = { adapters: adaptersFor(up, auth), config: { store } }
  const gateways = [await gatewayFor(t, options), await gatewayFor(t, options)]
  for (const gateway of gateways) await isReady(gateway)
  return { auth, up, redis, options, gateways }
}

const isReady = (gateway: TestGateway): Promise<void> =>
  until('the store is reached', async () => (await gateway.get('/readyz')).text === '{"ready":true,"degraded":[]}')

async function provisionAll({ gateways, up }: Pair, secret: NewSecret): Promise<void> {
  await gateways[0]?.provision(secret)
  const knows = async (gateway: TestGateway): Promise<boolean> =>
    (await gateway.post('/v1/prepare', JSON.stringify({ url: up.origin }))).envelope.error === null
  for (const gateway of gateways) await until('the secret is known', () => knows(gateway))
}

test('two gateways that renew all the time send no refresh token twice, and lose none over a restart', async (t) => {
  const pair = await setPair(t)
  const { auth, up, redis, gateways } = pair
  auth.saidSeconds = 0
  await provisionAll(pair, await secretFor(up, auth, { clientSecret: CLIENT_SECRET }))
  for (let round = 0; round < 6; round++) {
    const calls = Array.from({ length: 12 }, (_, i) => gateways[i % 2]?.call({ url: up.origin }))
    for (const reply of await Promise.all(calls)) assert.equal(reply?.envelope.status, 200, String(reply?.text))
  }
  const renewals = auth.asked.length
  assert.ok(renewals >= 6 && renewals <= 12, `${renewals} renewals for 6 rounds of two gateways`)
  const third = await gatewayFor(t, pair.options)
  await isReady(third)
  assert.equal((await third.call({ url: up.origin })).envelope.status, 200)
  assert.equal(new Set(refreshTokens(auth)).size, renewals + 1)

  const kept: unknown[] = []
  for (const key of (await redis.command('KEYS', '*')) as string[])
    kept.push(key, await redis.command('HGETALL', key).catch(() => null))
  assert.match(JSON.stringify(kept), /token:it@1/)
  for (const token of [...refreshTokens(auth), ...sentTokens(up)]) assert.ok(!JSON.stringify(kept).includes(token))
})

test('one refresh for all calls of both gateways; the other takes what the first got', async (t) => {
  const pair = await setPair(t)
  const { auth, up, gateways } = pair
  await provisionAll(pair, await secretFor(up, auth, { clientSecret: CLIENT_SECRET }))
  auth.delayMs = 100
  const calls = Array.from({ length: 20 }, (_, i) => gateways[i % 2]?.call({ url: up.origin }))
  for (const reply of await Promise.all(calls)) assert.equal(reply?.envelope.status, 200)
  assert.deepEqual([auth.asked.length, new Set(sentTokens(up)).size], [1, 1])
  const scheme = 'oauth2-refresh-token'
  const counts = async (outcome: string): Promise<number> => {
    let sum = 0
    for (const gateway of gateways)
      sum += metric(await gateway.metrics(), 'sallyport_token_renewals_total', { scheme, outcome }) ?? 0
    return sum
  }
  assert.deepEqual([await counts('renewed'), await counts('shared')], [1, 1])
})

test('an answer that was lost ends the use of the refresh token everywhere, until a new one is stored', async (t) => {
  const pair = await setPair(t)
  const { auth, up, gateways } = pair
  await provisionAll(pair, await secretFor(up, auth, { clientSecret: CLIENT_SECRET }))
  auth.instead = { status: 502, body: 'half of the answer was lost' }
  for (const gateway of gateways) {
    const { status, envelope } = await gateway.call({ url: up.origin })
    assert.deepEqual([status, envelope.error.type, envelope.error.sent], [503, 'CredentialUnavailable', 'no'])
    assert.match(envelope.error.message, /have a new refresh token granted, and store it with "sallyport secrets rotate it"/)
  }
  assert.equal(auth.asked.length, 1)
  auth.instead = null
  await gateways[0]?.provision(await secretFor(up, auth, { clientSecret: CLIENT_SECRET }))
  for (const gateway of gateways)
    await until('the new version is used', async () => (await gateway.call({ url: up.origin })).envelope.status === 200)
  assert.equal(auth.asked.length, 2)
})

test('a shutdown in the middle of a refresh waits for its answer, though nobody else does any more', async (t) => {
  const pair = await setPair(t)
  const { auth, up, options, gateways } = pair
  await provisionAll(pair, await secretFor(up, auth, { clientSecret: CLIENT_SECRET }))
  const leaving = await startGateway(options)
  await isReady(leaving)
  auth.delayMs = 300
  const hangUp = new AbortController()
  const call = assert.rejects(leaving.call({ url: up.origin }, { signal: hangUp.signal }))
  await until('the refresh is under way', async () => auth.asked.length === 1)
  hangUp.abort()
  await call
  await leaving.stop()
  assert.equal((await gateways[0]?.call({ url: up.origin }))?.envelope.status, 200)
  assert.equal(auth.asked.length, 1, 'its successor was kept, and the token with it')
})

test('with Redis away a token that serves goes on, and no refresh token is used', async (t) => {
  const pair = await setPair(t)
  const { auth, up, redis, gateways } = pair
  await provisionAll(pair, await secretFor(up, auth, { clientSecret: CLIENT_SECRET }))
  const [one, two] = gateways
  assert.equal((await one?.call({ url: up.origin }))?.envelope.status, 200)
  await redis.kill()
  assert.equal((await one?.call({ url: up.origin }))?.envelope.status, 200)
  const from = performance.now()
  const refused = await two?.call({ url: up.origin })
  assert.match(refused?.envelope.error.message, /the store cannot be reached, and a refresh token is not used/)
  assert.ok(performance.now() - from < 900, 'at once')
  assert.equal(auth.asked.length, 1)
})

test('client credentials are shared too, and asked for by each gateway where Redis is away', async (t) => {
  const pair = await setPair(t)
  const { auth, up, redis, gateways } = pair
  const values = { tokenUrl: auth.tokenUrl, clientId: 'machine', clientSecret: CLIENT_SECRET, scope: 'read' }
  const secret: NewSecret = { name: 'it', scheme: 'oauth2-client-credentials', origins: [up.origin], callers: ['*'], values }
  await provisionAll(pair, secret)
  auth.saidSeconds = 1
  for (const gateway of gateways) assert.equal((await gateway.call({ url: up.origin })).envelope.status, 200)
  assert.equal(auth.asked.length, 1)
  await redis.kill()
  await new Promise((resolve) => setTimeout(resolve, 950))
  for (const gateway of gateways) assert.equal((await gateway.call({ url: up.origin })).envelope.status, 200)
  assert.equal(auth.asked.length, 3)
})
