// A changed configuration takes effect whole or not at all, by signal or by a changed file, and costs what did not change
// nothing.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startProcess } from '../support/process.ts'
import { createRudeUpstream } from '../support/rude-upstream.ts'
import { gatewayFor, upstreamFor } from '../support/scene.ts'
import { valuesOf } from '../support/scripted-upstream.ts'
import { loopbackAdapter, until } from '../support/wire.ts'

test('a running gateway', async (t) => {
  const [one, two] = [await upstreamFor(t), await upstreamFor(t)]
  const dataDir = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const config = (...adapters: object[]) => ({ listen: { port: 0 }, dataDir, adapters })
  const running = await startProcess(t, config(loopbackAdapter('one', one.origin)))
  assert.deepEqual(await running.call(two.origin), [403, 'EgressDenied'])

  await t.test('takes a changed file', async () => {
    running.write(config(loopbackAdapter('one', one.origin), loopbackAdapter('two', two.origin)))
    await until('the new adapter serves', async () => (await running.call(two.origin))[0] === 200, 3000)
    assert.deepEqual(await running.call(one.origin), [200, null])
  })
  await t.test('keeps the old one where the new has a fault, and says where', async () => {
    running.write(config({ name: 'two', mount: two.origin, tmeout: {} }))
    await until('it is refused', () => /tmeout.*"?timeout/s.test(running.errors()), 3000)
    assert.match(running.errors(), /sallyport\.yaml:1:\d+/)
    assert.deepEqual(
      [await running.call(one.origin), await running.call(two.origin)],
      [
        [200, null],
        [200, null],
      ],
    )
    const before = running.errors().length
    running.write('adapters: [')
    running.child.kill('SIGHUP')
    await until('it is refused too', () => running.errors().length > before, 3000)
    assert.deepEqual(await running.call(two.origin), [200, null])
  })
  await t.test('takes it with SIGHUP', async () => {
    running.write(config(loopbackAdapter('two', two.origin)))
    running.child.kill('SIGHUP')
    await until('the old adapter is gone', async () => (await running.call(one.origin))[0] === 403, 3000)
    assert.deepEqual(await running.call(two.origin), [200, null])
  })
  await t.test('takes or refuses it when an operator asks, before it answers', async () => {
    running.write('adapters: [')
    assert.deepEqual(await running.reload(), [400, 'InvalidDescriptor'])
    assert.deepEqual(await running.call(two.origin), [200, null])
    running.write(config(loopbackAdapter('one', one.origin)))
    assert.deepEqual(await running.reload(), [200, null])
    assert.deepEqual(await running.call(one.origin), [200, null])
  })
  await t.test('ends with SIGTERM, exit code 0', async () => {
    const exited = once(running.child, 'exit')
    running.child.kill('SIGTERM')
    assert.deepEqual(await exited, [0, null])
  })
})

test('an adapter that did not change keeps its connections and its breaker, another does not', async (t) => {
  const [same, changed] = [await upstreamFor(t), await upstreamFor(t)]
  const sick = await createRudeUpstream({ always: 'closes-before-headers' })
  t.after(() => sick.close())
  const breaker = { volume: 2, errorRate: '50%', openFor: '60s' }
  const adapters = (team: string) => [
    loopbackAdapter('same', same.origin),
    loopbackAdapter('sick', sick.origin, { breaker }),
    loopbackAdapter('changed', changed.origin, { headers: { 'X-Team': team } }),
  ]
  const gateway = await gatewayFor(t, { adapters: adapters('blue') })
  const reused = async (url: string): Promise<boolean> => (await gateway.call({ url })).envelope.attempts[0].reused
  assert.deepEqual([await reused(same.origin), await reused(changed.origin)], [false, false])
  for (let i = 0; i < 2; i++) await gateway.call({ url: sick.origin })
  assert.equal((await gateway.call({ url: sick.origin })).envelope.error.type, 'BreakerOpen')
  assert.deepEqual(await gateway.reload({ adapters: adapters('red') }), [])
  assert.deepEqual([await reused(same.origin), await reused(changed.origin)], [true, false])
  assert.deepEqual(valuesOf(changed.last(), 'x-team'), ['red'])
  assert.equal((await gateway.call({ url: sick.origin })).envelope.error.type, 'BreakerOpen')
})

test('a call under way ends under the configuration that it began with', async (t) => {
  const up = await createRudeUpstream()
  t.after(() => up.close())
  const gateway = await gatewayFor(t, { adapters: [loopbackAdapter('up', up.origin)] })
  const call = gateway.call({ url: `${up.origin}/slow-but-well` })
  await until('it is under way', () => up.received.length === 1)
  await gateway.reload({ adapters: [] })
  assert.equal((await call).status, 200)
  assert.equal((await gateway.call({ url: `${up.origin}/ok` })).envelope.error.type, 'EgressDenied')
})

test('callers, ceilings and keys change with it; a refused one changes nothing', async (t) => {
  const up = await upstreamFor(t)
  const adapters = [loopbackAdapter('up', up.origin)]
  const callers = (key: string) => [{ name: 'billing', keys: [key], may: [{ adapter: 'up' }] }]
  const gateway = await gatewayFor(t, { adapters, config: { callers: callers('first-key-0123456789') } })
  const status = async (key: string): Promise<number> =>
    (await gateway.call({ url: up.origin }, { headers: { 'x-sallyport-key': key } })).status
  assert.deepEqual([await status('first-key-0123456789'), await status('second-key-0123456789')], [200, 401])
  await gateway.reload({ adapters, config: { callers: callers('second-key-0123456789') } })
  assert.deepEqual([await status('first-key-0123456789'), await status('second-key-0123456789')], [401, 200])
  await assert.rejects(
    gateway.reload({ adapters: [{ ...adapters[0], nope: 1 }], config: { callers: callers('third-key-0123456789') } }),
  )
  assert.deepEqual([await status('second-key-0123456789'), await status('third-key-0123456789')], [200, 401])
})
