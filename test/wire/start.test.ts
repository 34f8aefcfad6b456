// What is true from the first moment that the gateway listens.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startGateway } from '../support/gateway.ts'
import { startRedis } from '../support/redis.ts'
import { createScriptedUpstream } from '../support/scripted-upstream.ts'
import { loopbackAdapter, makeFolder } from '../support/wire.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

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

test('a signal that comes the moment it says that it listens is heeded', async (t) => {
  const adapters = [loopbackAdapter('a', 'http://127.0.0.1:9')]
  const folder = makeFolder({ 'sallyport.yaml': JSON.stringify({ listen: { port: 0 }, adapters }) })
  t.after(folder.remove)
  const signalled =
    'const send = process.send; process.send = (m) => { const sent = send.call(process, m); process.kill(process.pid, "SIGTERM"); return sent }'
  const execArgv = ['--import', `data:text/javascript,${encodeURIComponent(signalled)}`]
  const child = fork(MAIN, ['--config', folder.path('sallyport.yaml')], { silent: true, execArgv, cwd: folder.path('.') })
  t.after(() => void child.kill('SIGKILL'))
  assert.deepEqual(await once(child, 'exit'), [0, null])
})
