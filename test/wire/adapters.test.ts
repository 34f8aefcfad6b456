// What is kept per adapter and origin, so that neighbours neither share nor suffer; and policies that are switched off.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePort } from '../support/free-port.ts'
import { gatewayFor, upstreamFor } from '../support/scene.ts'
import { loopbackAdapter } from '../support/wire.ts'

test('one dead host does not shut a whole prefix', async (t) => {
  const up = await upstreamFor(t)
  const dead = `http://127.0.0.1:${await freePort()}`
  const gateway = await gatewayFor(t, {
    adapters: [{ name: 'rest', mount: 'http://', egress: { allow: ['127.0.0.1'] }, retry: false, breaker: { volume: 2 } }],
  })
  for (let i = 0; i < 2; i++) assert.equal((await gateway.call({ url: dead })).envelope.error.type, 'ConnectionError')
  const refused = await gateway.call({ url: dead })
  assert.deepEqual(
    [refused.envelope.error.type, refused.envelope.breaker, refused.envelope.attempts],
    ['BreakerOpen', 'open', []],
  )
  const { envelope } = await gateway.call({ url: up.origin })
  assert.deepEqual([envelope.status, envelope.breaker], [200, 'closed'])
})

test('two adapters on one origin share neither connections nor breaker', async (t) => {
  const up = await upstreamFor(t)
  const gateway = await gatewayFor(t, {
    adapters: ['/a/', '/b/'].map((path) => ({
      ...loopbackAdapter(`at-${path[1]}`, up.origin, { breaker: { volume: 1, statuses: [500] } }),
      mount: up.origin + path,
    })),
  })
  const call = async (path: string) => (await gateway.call({ url: up.origin + path })).envelope
  assert.deepEqual([(await call('/a/1')).attempts[0].reused, (await call('/a/2')).attempts[0].reused], [false, true])
  assert.equal((await call('/b/1')).attempts[0].reused, false)
  assert.equal(up.accepted(), 2)
  up.answer({ status: 500, body: 'x' })
  while ((await call('/a/3')).error === null);
  assert.deepEqual([(await call('/a/4')).error.type, (await call('/b/2')).error], ['BreakerOpen', null])
})

test('off and false both switch a policy off', async (t) => {
  const up = await upstreamFor(t)
  for (const off of ['off', false]) {
    const gateway = await gatewayFor(t, {
      adapters: [
        loopbackAdapter('up', up.origin, { breaker: off, retry: off, redirects: off, limits: { rate: off }, propagate: off }),
      ],
    })
    up.answer({ status: 503, headers: [['Location', '/x']], body: 'x' })
    const { envelope } = await gateway.call({ url: up.origin })
    assert.deepEqual([envelope.status, envelope.attempts.length, envelope.breaker], [503, 1, null])
    assert.match(envelope.notRetried, /retry\.total is 0/)
    up.answer({ status: 302, headers: [['Location', '/x']] })
    assert.equal((await gateway.call({ url: up.origin })).envelope.status, 302)
    up.answer({})
  }
})
