// Callers who hang up in the middle, and a gateway that drains under them: the upstream's socket is closed at once, whatever was
// held is freed, nobody else notices, and the audit trail says so.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { CANARY_TOKEN } from '../support/canary.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { startSilentNameServer } from '../support/name-server.ts'
import { createBlackHole, createRudeUpstream } from '../support/rude-upstream.ts'
import { assertFreed, loopbackAdapter, metric, pause, setRudeScene, stateOf, until } from '../support/wire.ts'

// biome-ignore lint/suspicious/noExplicitAny: audit records as they stand
async function resultOf(gateway: TestGateway, id: string): Promise<any> {
  // biome-ignore lint/suspicious/noExplicitAny: audit records as they stand
  let found: any
  const look = (): boolean => {
    found = gateway.audit().find((record) => record.kind === 'result' && record.id === id)
    return found !== undefined
  }
  await until(`the result of ${id} is in the audit trail`, look)
  return found
}

interface Place {
  readonly path: string
  readonly sent: 'maybe' | 'yes'
  readonly status: number | null
}
const PLACES: readonly Place[] = [
  { path: '/stalls-before-headers', sent: 'maybe', status: null },
  { path: '/stalls-in-headers', sent: 'yes', status: null },
  { path: '/stalls-in-body', sent: 'yes', status: 200 },
  { path: '/drips-body', sent: 'yes', status: 200 },
]
for (const { path, sent, status } of PLACES) {
  it(`a caller who hangs up while an upstream ${path.slice(1)}`, async (t) => {
    const { upstream, gateway } = await setRudeScene(t, { adapter: { retry: { total: 3 } } })
    const hangUp = new AbortController()
    const call = gateway.call(
      { url: upstream.origin + path, method: 'GET' },
      { signal: hangUp.signal, headers: { 'x-request-id': 'gone-1' } },
    )
    await until('it is under way', () => upstream.received.length === 1)
    await pause(50)
    hangUp.abort()
    await assert.rejects(call)
    await upstream.drained(500) // at once: no clock would have ended it for seconds
    await assertFreed(gateway, 'rude')
    const result = await resultOf(gateway, 'gone-1')
    assert.deepEqual([result.error, result.sent, result.status], ['Cancelled', sent, status])
    assert.deepEqual([result.attempts.length, result.attempts[0].error], [1, 'Cancelled'])
    assert.equal(upstream.received.length, 1, 'nothing is tried again for nobody')
    const text = await gateway.metrics()
    assert.equal(metric(text, 'sallyport_calls_total', { adapter: 'rude', error: 'Cancelled' }), 1)
    assert.match(gateway.logs(), /"error":"Cancelled"/)
  })
}

it('while connecting: the half-made connection goes too', async (t) => {
  const hole = await createBlackHole()
  t.after(() => hole.close())
  const origin = `http://127.0.0.1:${hole.port}`
  const gateway = await startGateway({ adapters: [loopbackAdapter('hole', origin)] })
  t.after(() => gateway.stop())
  const hangUp = new AbortController()
  const call = gateway.call({ url: `${origin}/` }, { signal: hangUp.signal, headers: { 'x-request-id': 'gone-2' } })
  await until('it dials', async () => (await stateOf(gateway, 'hole')).connections === 1)
  hangUp.abort()
  await assert.rejects(call)
  await assertFreed(gateway, 'hole')
  assert.equal((await stateOf(gateway, 'hole')).connections, 0)
  const result = await resultOf(gateway, 'gone-2')
  assert.deepEqual([result.error, result.sent], ['Cancelled', 'no'])
})

it('in the queue: the place is given up, and whoever is behind moves up', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, { adapter: { limits: { concurrency: 1, queue: 2 } } })
  const taker = gateway.call({ url: `${upstream.origin}/stalls-before-headers`, timeout: { read: 300 } })
  await until('the slot is taken', () => upstream.received.length === 1)
  const hangUp = new AbortController()
  const leaver = gateway.call(
    { url: `${upstream.origin}/ok?leaver` },
    { signal: hangUp.signal, headers: { 'x-request-id': 'gone-3' } },
  )
  await until('it is queued', async () => (await stateOf(gateway, 'rude')).queued === 1)
  const behind = gateway.call({ url: `${upstream.origin}/ok?behind` })
  await until('so is the next', async () => (await stateOf(gateway, 'rude')).queued === 2)
  hangUp.abort()
  await assert.rejects(leaver)
  await until('one is left', async () => (await stateOf(gateway, 'rude')).queued === 1)
  await taker
  assert.equal((await behind).envelope.status, 200)
  assert.ok(!upstream.received.some(({ target }) => target === '/ok?leaver'))
  const result = await resultOf(gateway, 'gone-3')
  assert.deepEqual([result.error, result.sent, result.attempts], ['Cancelled', 'no', []])
  await assertFreed(gateway, 'rude')
})

it('in a wait between tries: the wait ends', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, {
    adapter: { retry: { total: 3 } },
    upstream: {
      behaviours: { later: (socket) => socket.write('HTTP/1.1 503 No\r\nRetry-After: 20\r\nContent-Length: 0\r\n\r\n') },
    },
  })
  const hangUp = new AbortController()
  const call = gateway.call({ url: `${upstream.origin}/later` }, { signal: hangUp.signal, headers: { 'x-request-id': 'gone-4' } })
  await until('it waits', async () => upstream.received.length === 1 && (await stateOf(gateway, 'rude')).slots === 0)
  hangUp.abort()
  await assert.rejects(call)
  const result = await resultOf(gateway, 'gone-4')
  assert.deepEqual([result.error, result.sent, result.attempts.length], ['Cancelled', 'yes', 1])
})

it('in the line of a rate: the turn goes to the next', async (t) => {
  const { upstream, gateway } = await setRudeScene(t, { adapter: { limits: { rate: '2/s', burst: 1 } } })
  await gateway.call({ url: `${upstream.origin}/ok` })
  const hangUp = new AbortController()
  const leaver = gateway.call({ url: `${upstream.origin}/ok` }, { signal: hangUp.signal })
  await pause(30)
  const next = gateway.call({ url: `${upstream.origin}/ok` })
  await pause(30)
  hangUp.abort()
  await assert.rejects(leaver)
  const { envelope } = await next
  assert.equal(envelope.status, 200)
  assert.ok(envelope.attempts[0].waited < 900, `waited ${envelope.attempts[0].waited} ms`)
  assert.equal(upstream.received.length, 2)
})

it('while the name resolves: nobody waits for the name servers, and the question goes on for the others', async (t) => {
  const names = await startSilentNameServer()
  t.after(() => names.close())
  const adapter = loopbackAdapter('named', 'http://api.example.test:9', { breaker: { volume: 1, errorRate: '1%' } })
  const gateway = await startGateway({ adapters: [adapter], config: { dns: { servers: [names.server] } } })
  t.after(() => gateway.stop())
  const [hangUp, later] = [new AbortController(), new AbortController()]
  const leave = (signal: AbortSignal, id: string) =>
    gateway.call({ url: 'http://api.example.test:9/' }, { signal, headers: { 'x-request-id': id } })
  const first = leave(hangUp.signal, 'gone-5')
  await until('the name is asked for', () => names.asked() > 0)
  const second = leave(later.signal, 'gone-6')
  await until('both have a slot', async () => (await stateOf(gateway, 'named')).slots === 2)
  hangUp.abort()
  await assert.rejects(first)
  await until('its slot is free, the other still waits', async () => (await stateOf(gateway, 'named')).slots === 1, 500)
  later.abort()
  await assert.rejects(second)
  await assertFreed(gateway, 'named')
  for (const id of ['gone-5', 'gone-6']) {
    const result = await resultOf(gateway, id)
    assert.deepEqual([result.error, result.sent, result.attempts[0].address], ['Cancelled', 'no', null])
  }
  assert.equal(metric(await gateway.metrics(), 'sallyport_breaker_transitions_total', { adapter: 'named' }), 0)
})

it('while a token is obtained: the slot is free at once, and the token comes for whoever still waits', async (t) => {
  const token = '{"access_token":"t","token_type":"Bearer","expires_in":600}'
  let grant = (): void => {}
  const upstream = await createRudeUpstream({
    behaviours: {
      token: (socket) => {
        const head = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${token.length}\r\n\r\n`
        grant = () => void socket.write(head + token)
      },
    },
  })
  t.after(() => upstream.close())
  const { origin } = upstream
  const policy = { credentials: 'it', allowPlaintextSecrets: true, breaker: { volume: 1, errorRate: '1%' } }
  const values = { tokenUrl: `${origin}/token`, clientId: 'c', clientSecret: CANARY_TOKEN }
  const gateway = await startGateway({
    adapters: [loopbackAdapter('up', origin, policy)],
    secrets: [{ name: 'it', scheme: 'oauth2-client-credentials', origins: [origin], callers: ['*'], values }],
  })
  t.after(() => gateway.stop())
  const hangUp = new AbortController()
  const leaver = gateway.call({ url: `${origin}/ok?leaver` }, { signal: hangUp.signal, headers: { 'x-request-id': 'gone-7' } })
  await until('the token is asked for', () => upstream.received.length === 1)
  const stays = gateway.call({ url: `${origin}/ok?stays` })
  await until('both wait', async () => (await stateOf(gateway, 'up')).slots === 2)
  hangUp.abort()
  await assert.rejects(leaver)
  await until('its slot is free, the other still waits', async () => (await stateOf(gateway, 'up')).slots === 1, 500)
  grant()
  assert.equal((await stays).envelope.status, 200)
  const result = await resultOf(gateway, 'gone-7')
  assert.deepEqual([result.error, result.sent, result.attempts], ['Cancelled', 'no', []])
  assert.deepEqual(
    upstream.received.map(({ target }) => target),
    ['/token', '/ok?stays'],
  )
  assert.equal(metric(await gateway.metrics(), 'sallyport_breaker_transitions_total', { adapter: 'up' }), 0)
})

/** On a connection of its own: `stop` of a test gateway closes those of its other methods. */
async function ask(gateway: TestGateway, url: string): Promise<[status: number, envelope: unknown]> {
  const response = await fetch(`${gateway.url}/v1/requests`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ url }),
  })
  return [response.status, await response.json()]
}

interface Drain {
  readonly path: string
  readonly grace: string
  readonly says: string
  readonly status: number
  readonly error: object | null
}
const DRAINS: readonly Drain[] = [
  { path: '/slow-but-well', grace: '5s', says: 'waits for a call under way', status: 200, error: null },
  {
    ...{ path: '/stalls-before-headers', grace: '100ms', says: 'ends a call that does not end by itself', status: 503 },
    error: { type: 'Draining', sent: 'maybe' },
  },
]
for (const { path, grace, says, status, error } of DRAINS) {
  it(`draining ${says}`, async (t) => {
    const upstream = await createRudeUpstream()
    t.after(() => upstream.close())
    const adapters = [loopbackAdapter('rude', upstream.origin)]
    const gateway = await startGateway({ adapters, config: { listen: { port: 0, drain: grace } } })
    const call = ask(gateway, upstream.origin + path)
    await until('it is under way', () => upstream.received.length === 1)
    const stopping = gateway.stop()
    // biome-ignore lint/suspicious/noExplicitAny: the envelope under test
    const [answered, envelope] = (await call) as [number, any]
    assert.equal(answered, status)
    if (error === null) assert.equal(envelope.error, null)
    else assert.partialDeepStrictEqual(envelope.error, error)
    await stopping
    await upstream.drained()
  })
}
