// Stored client certificates against a real nginx that asks for them: whom it sees, which TLS sessions are resumed and which
// connections are used again, and by whom they never are.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import type { NewSecret } from '../../src/credentials/provision.ts'
import { type Certificate, certificates } from '../support/certificates.ts'
import type { TestGateway } from '../support/gateway.ts'
import { type SeenByNginx, startNginx } from '../support/nginx.ts'
import { startRedis } from '../support/redis.ts'
import { gatewayFor } from '../support/scene.ts'
import { loopbackAdapter, makeFolder, until } from '../support/wire.ts'

const made = certificates()
const KEYS = { ann: 'ann-key-0123456789', bob: 'bob-key-0123456789' }

async function nginxFor(t: TestContext, protocol: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3') {
  const nginx = await startNginx({ server: made.good, clientCa: made.ca, protocol })
  t.after(() => nginx.stop())
  return nginx
}

const bundle = (t: TestContext): { caBundles: object } => {
  const folder = makeFolder({ 'ca.pem': made.ca })
  t.after(folder.remove)
  return { caBundles: { test: folder.path('ca.pem'), again: folder.path('ca.pem') } }
}

const stored = (name: string, { cert, key }: Certificate, ...origins: string[]): NewSecret => {
  return { name, scheme: 'mtls', values: { cert, key }, origins, callers: ['*'] }
}

async function seen(gateway: TestGateway, descriptor: object, key?: string): Promise<SeenByNginx> {
  const { envelope } = await gateway.call(descriptor, key === undefined ? {} : { headers: { 'x-sallyport-key': key } })
  assert.equal(envelope.status, 200, JSON.stringify(envelope.error))
  return envelope.json
}

test('nginx sees the certificate that is stored, and refuses a call without one or with a strange one', async (t) => {
  const nginx = await nginxFor(t)
  const gateway = await gatewayFor(t, {
    adapters: [loopbackAdapter('up', nginx.strict, { tls: { ca: 'test' } })],
    config: bundle(t),
    secrets: [stored('own', made.client, nginx.strict), stored('strange', made.strangeClient, nginx.strict)],
  })
  const url = `${nginx.strict}/`
  const { subject, verified } = await seen(gateway, { url, cert: 'own' })
  assert.deepEqual([subject, verified], ['CN=gateway', 'SUCCESS'])
  const refusals = [
    { ask: { url }, words: 'No required SSL certificate was sent' },
    { ask: { url, cert: 'strange' }, words: 'The SSL certificate error' },
  ]
  for (const { ask, words } of refusals) {
    const { envelope } = await gateway.call(ask)
    assert.deepEqual([envelope.status, envelope.text?.includes(words)], [400, true], words)
  }
})

test('a rotated certificate is used by every gateway within a second, on connections and sessions of its own', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const nginx = await nginxFor(t)
  const options = {
    adapters: [loopbackAdapter('up', nginx.strict, { tls: { ca: 'test', cert: 'own' } })],
    config: { ...bundle(t), store: { redis: redis.url, key: `k1:${randomBytes(32).toString('base64')}` } },
  }
  const [one, two] = [await gatewayFor(t, options), await gatewayFor(t, options)]
  const url = `${nginx.strict}/`
  await until('the store is reached', async () => (await one.get('/readyz')).text === '{"ready":true,"degraded":[]}')
  await one.provision(stored('own', made.client, nginx.strict))
  const subjectAt = async (gateway: TestGateway): Promise<string> => (await gateway.call({ url })).envelope.json?.subject
  await until('the other gateway has it', async () => (await subjectAt(two)) === 'CN=gateway')
  const before = await seen(two, { url })
  await one.provision(stored('own', made.successor, nginx.strict))
  assert.equal(await subjectAt(one), 'CN=successor')
  await until('the other gateway shows the new one', async () => (await subjectAt(two)) === 'CN=successor', 1000)
  const after = await seen(two, { url })
  assert.notEqual(after.connection, before.connection)
  assert.equal(after.session, '.')
})

for (const protocol of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${protocol}: sessions are resumed within a scope and never across two`, async (t) => {
    const nginx = await nginxFor(t, protocol)
    const may = [{ adapter: 'up' }]
    const gateway = await gatewayFor(t, {
      adapters: [loopbackAdapter('up', nginx.asking, { tls: { ca: 'test', allowInsecure: true, allowInsecureSecrets: true } })],
      config: { ...bundle(t), callers: [{ name: 'ann', keys: [KEYS.ann], may }, { name: 'bob', keys: [KEYS.bob], may }] }, // biome-ignore format: pairs
      secrets: [
        { ...stored('anns', made.client, nginx.asking), callers: ['ann'] },
        { ...stored('bobs', made.successor, nginx.asking), callers: ['bob'] },
        stored('strange', made.strangeClient, nginx.asking),
        // The same certificate under another name is another secret: its callers may be others.
        stored('same', made.client, nginx.asking),
      ],
    })
    const scopes: readonly (readonly [scope: object, key: string, subject: string])[] = [
      [{}, KEYS.ann, ''],
      [{ cert: 'anns' }, KEYS.ann, 'CN=gateway'],
      [{ cert: 'bobs' }, KEYS.bob, 'CN=successor'],
      [{ cert: 'same' }, KEYS.bob, 'CN=gateway'],
      [{ cert: 'strange' }, KEYS.bob, 'CN=stranger'],
      [{ verify: false }, KEYS.ann, ''],
      [{ verify: false, cert: 'anns' }, KEYS.ann, 'CN=gateway'],
      [{ verify: 'again' }, KEYS.ann, ''],
    ]
    const connections = new Set<string>()
    for (const round of [1, 2]) {
      for (const [scope, key, subject] of scopes) {
        const was = await seen(gateway, { url: `${nginx.asking}/`, ...scope }, key)
        assert.deepEqual(
          [was.subject, was.session],
          [subject, round === 1 ? '.' : 'r'],
          `${JSON.stringify(scope)}, round ${round}`,
        )
        connections.add(was.connection)
      }
    }
    assert.equal(connections.size, scopes.length * 2, 'each answer came on a connection of its own')
    const others = await gateway.call({ url: `${nginx.asking}/`, cert: 'anns' }, { headers: { 'x-sallyport-key': KEYS.bob } })
    assert.deepEqual([others.status, others.envelope.error.type], [403, 'UnknownCredential'])
  })
}

test('a connection is used again by calls of its scope, and by no other', async (t) => {
  const nginx = await nginxFor(t)
  const gateway = await gatewayFor(t, {
    adapters: [loopbackAdapter('up', nginx.strict, { tls: { ca: 'test' } })],
    config: bundle(t),
    secrets: [stored('a', made.client, nginx.strict), stored('b', made.successor, nginx.strict)],
  })
  const on = async (cert: string): Promise<string> => (await seen(gateway, { url: `${nginx.strict}/`, cert })).connection
  const [a, b] = [await on('a'), await on('b')]
  assert.notEqual(a, b)
  assert.deepEqual([await on('a'), await on('b'), await on('a')], [a, b, a])
})
