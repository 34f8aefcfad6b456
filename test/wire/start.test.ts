// What is true from the first moment that the gateway listens.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { startGateway } from '../support/gateway.ts'
import { startRedis } from '../support/redis.ts'
import { createScriptedUpstream } from '../support/scripted-upstream.ts'
import { loopbackAdapter } from '../support/wire.ts'

test('the first call finds the credentials that stand in Redis', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const upstream = await createScriptedUpstream()
  t.after(() => upstream.close())
  const store = { redis: redis.url, key: `k1:${randomBytes(32).toString('base64')}` }
  const adapters = [loopbackAdapter('a', upstream.origin, { credentials: 'token', allowPlaintextSecrets: true })]
  const before = await startGateway({ adapters, config: { store } })
  const secret = { name: 'token', scheme: 'bearer', values: { token: 'first' } } as const
  await before.provision({ ...secret, origins: [upstream.origin], callers: ['*'] })
  await before.stop()
  const gateway = await startGateway({ adapters, config: { store } })
  t.after(() => gateway.stop())
  const { envelope } = await gateway.call({ url: `${upstream.origin}/` })
  assert.equal(envelope.error, null)
})
