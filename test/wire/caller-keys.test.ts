// Stored keys over the wire: made and revoked while gateways run, over one Redis and over the embedded store.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CANARY_TOKEN } from '../support/canary.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startRedis } from '../support/redis.ts'
import { gatewayFor, upstreamFor } from '../support/scene.ts'
import { loopbackAdapter, pause, until } from '../support/wire.ts'

const SEALING_KEY = `k1:${Buffer.alloc(32, 7).toString('base64')}`
const FILE_KEY = 'file-key-0123456789'
const withKey = (key: string) => ({ headers: { 'x-sallyport-key': key } })

function configOf(origin: string, redis?: string) {
  return {
    adapters: [loopbackAdapter('up', origin)],
    config: {
      store: { key: SEALING_KEY, ...(redis === undefined ? {} : { redis }) },
      callers: [
        { name: 'billing', may: [{ adapter: 'up' }] },
        { name: 'ops', keys: [FILE_KEY], admin: true, may: [{ adapter: 'up' }] },
      ],
    },
  }
}

/** Its store is connected, and the stored keys were read. */
async function isWhole(gateway: TestGateway): Promise<void> {
  await until('readyz is not degraded', async () => (await gateway.get('/readyz')).envelope.degraded.length === 0)
}

async function statusOf(gateway: TestGateway, url: string, key: string): Promise<number> {
  return (await gateway.call({ url }, withKey(key))).status
}

test('a key is taken and refused by two gateways over one Redis within a second of each change', async (t) => {
  const up = await upstreamFor(t)
  const redis = await startRedis()
  t.after(() => redis.stop())
  const first = await gatewayFor(t, configOf(up.origin, redis.url))
  const second = await gatewayFor(t, configOf(up.origin, redis.url))
  await Promise.all([isWhole(first), isWhole(second)])
  const url = `${up.origin}/p`
  const both = async (key: string, status: number): Promise<void> => {
    // The promise is a second; ten of them is where a test calls it broken.
    for (const gateway of [first, second])
      await until(`${status} from both`, async () => (await statusOf(gateway, url, key)) === status, 10_000)
  }
  const { key, id } = await first.callers.createKey({ caller: 'billing', expiresAt: null, by: 'ann' })
  await both(key, 200)
  await second.callers.revokeKey(id, 'ann')
  await both(key, 401)
  for (const gateway of [first, second])
    assert.ok(!(gateway.logs() + JSON.stringify(gateway.audit())).includes(key), 'the key is in no log and no record')
})

test('a stored key identifies in each of the headers, and is never forwarded, whoever has it', async (t) => {
  const up = await upstreamFor(t)
  const gateway = await gatewayFor(t, configOf(up.origin))
  const url = `${up.origin}/p`
  const { key, id } = await gateway.callers.createKey({ caller: 'billing', expiresAt: null, by: 'ann' })
  for (const headers of [
    { 'x-sallyport-key': key },
    { 'proxy-authorization': `Bearer ${key}` },
    { 'proxy-authorization': `Basic ${Buffer.from(`any:${key}`).toString('base64')}` },
    { authorization: `Bearer ${key}` },
  ]) {
    const { status } = await gateway.call({ url }, { headers })
    assert.equal(status, 200)
    assert.equal(gateway.audit().at(-1).caller, 'billing')
  }
  const sent = up.received.length
  await gateway.callers.revokeKey(id, 'ann')
  for (const leak of [
    { headers: { 'X-Api-Key': key } },
    { headers: { 'X-Note': `my key is<${key}>` } },
    { headers: { Authorization: `Basic ${Buffer.from(`u:${key}`).toString('base64')}` } },
    { auth: { type: 'bearer', token: key } },
    { auth: { type: 'basic', username: key, password: '' } },
    { auth: { type: 'digest', username: key, password: 'x' } },
    { auth: { type: 'query', name: key, value: 'x' } },
    { url: url.replace('http://', `http://${key}:x@`) },
    { cookies: { key } },
  ]) {
    const { status, envelope } = await gateway.call({ url, ...leak }, withKey(FILE_KEY))
    assert.deepEqual([status, envelope.error?.type], [403, 'Forbidden'], 'revoked or not')
  }
  assert.equal(up.received.length, sent)
})

test('without the store the known keys go on; a reload takes the caller, and its keys with it', async (t) => {
  const up = await upstreamFor(t)
  const redis = await startRedis()
  t.after(() => redis.stop())
  const options = configOf(up.origin, redis.url)
  const gateway = await gatewayFor(t, options)
  await isWhole(gateway)
  const url = `${up.origin}/p`
  const { key } = await gateway.callers.createKey({ caller: 'billing', expiresAt: null, by: 'ann' })
  await redis.kill()
  await pause(600)
  assert.equal(await statusOf(gateway, url, key), 200)
  assert.equal(await statusOf(gateway, url, FILE_KEY), 200)
  const { callers } = options.config
  await gateway.reload({ ...options, config: { ...options.config, callers: callers.slice(1) } })
  const { status, envelope } = await gateway.call({ url }, withKey(key))
  assert.equal(status, 401)
  assert.match(envelope.error.message, /caller "billing", who is not configured/)
  await gateway.reload(options)
  assert.equal(await statusOf(gateway, url, key), 200)
})

test('a key that is not known comes out nowhere', async (t) => {
  const up = await upstreamFor(t)
  const gateway = await gatewayFor(t, configOf(up.origin))
  assert.equal(await statusOf(gateway, up.origin, CANARY_TOKEN), 401)
})
