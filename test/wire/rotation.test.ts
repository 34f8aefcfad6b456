// The life of a secret under load: rotated at the upstream and here, sealed anew, revoked, and its keys exchanged, while calls
// go on. No call fails of it, and none goes out with what was revoked.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { renameSync, writeFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../src/installation.ts'
import { openRedis } from '../../src/stores/redis.ts'
import { aMeter } from '../support/builders.ts'
import { CANARY_TOKEN } from '../support/canary.ts'
import type { Reply, TestGateway } from '../support/gateway.ts'
import { startRedis } from '../support/redis.ts'
import { singleTarget } from '../support/redis-topologies.ts'
import { gatewayFor, setScene, upstreamFor } from '../support/scene.ts'
import { type ScriptedUpstream, valuesOf } from '../support/scripted-upstream.ts'
import { loopbackAdapter, makeFolder, metric, until } from '../support/wire.ts'

/** Ten times the second that is promised. */
const WITHIN_MS = 10_000
const CALLERS = 40
const OLD = `${CANARY_TOKEN}.old`
const NEW = `${CANARY_TOKEN}.new`
const ADAPTER = { credentials: 'it', allowPlaintextSecrets: true }

const secretFor = (origin: string, token: string) => ({
  ...{ name: 'it', scheme: 'bearer' as const, values: { token } },
  ...{ origins: [origin], callers: ['*'] },
})
const aKey = (id: string): string => `${id}:${randomBytes(32).toString('base64')}`

/** The upstream takes these tokens and answers any other with a 401. */
function takes(up: ScriptedUpstream, ...tokens: string[]): void {
  const good = new Set(tokens.map((token) => `Bearer ${token}`))
  up.answer((request) => (good.has(valuesOf(request, 'authorization')[0] ?? '') ? {} : { status: 401 }))
}

/** So many callers, each with one call after the other, until told to stop. */
function startLoad(gateway: TestGateway, url: string) {
  const replies: Reply[] = []
  let stopped = false
  const caller = async (): Promise<void> => {
    while (!stopped) replies.push(await gateway.call({ url }))
  }
  const callers = Promise.all(Array.from({ length: CALLERS }, caller))
  return {
    replies,
    /** So many calls later. */
    async pass(calls: number): Promise<void> {
      const from = replies.length
      await until(`${calls} more calls`, () => replies.length >= from + calls, WITHIN_MS)
    },
    async stop(): Promise<void> {
      stopped = true
      await callers
    },
  }
}

const failures = (replies: readonly Reply[]): unknown[] =>
  replies.filter(({ envelope }) => envelope.status !== 200).map(({ envelope }) => envelope.error ?? envelope.status)

/** Rotates under load in three acts of the upstream, each given as the tokens that it takes. */
async function rotateUnderLoad(t: TestContext, acts: readonly (readonly string[])[]) {
  const { up, gateway, at } = await setScene(t, {
    adapter: ADAPTER,
    secrets: (upstream) => [secretFor(upstream.origin, OLD)],
  })
  takes(up, ...(acts[0] ?? []))
  const load = startLoad(gateway, at('/p'))
  await load.pass(100)
  await gateway.secrets.rotate('it', { values: { token: NEW } })
  await load.pass(100)
  takes(up, ...(acts[1] ?? []))
  await load.pass(100)
  takes(up, ...(acts[2] ?? []))
  await load.pass(200)
  await load.stop()
  assert.deepEqual(failures(load.replies), [])
  return { up, gateway, replies: load.replies }
}

test('a key that the upstream takes beside the old one is rotated under load with no failed call and no 401', async (t) => {
  const { up, replies } = await rotateUnderLoad(t, [[OLD, NEW], [OLD, NEW], [NEW]])
  assert.ok(replies.length >= 500)
  // Only calls that were in flight with the old one when the upstream let go of it may have met a 401.
  assert.ok(up.received.length - replies.length <= CALLERS)
  assert.deepEqual(valuesOf(up.last(), 'authorization'), [`Bearer ${NEW}`])
})

test('an upstream that changes over later: calls fall back to the old version, and on to the new, a 401 a change and not a call', async (t) => {
  const { up, replies } = await rotateUnderLoad(t, [[OLD], [OLD], [NEW]])
  const repeated = replies.filter(({ envelope }) => envelope.attempts.length > 1)
  assert.ok(repeated.length >= 2 && repeated.length <= 2 * CALLERS, `${repeated.length} of ${replies.length} met a 401`)
  for (const { envelope } of repeated) {
    assert.deepEqual(
      envelope.attempts.map((attempt: { status: number; because: string | null }) => [attempt.status, attempt.because]),
      [
        [401, null],
        [200, 'renewed credential'],
      ],
    )
    assert.deepEqual(envelope.history, [])
  }
  assert.deepEqual(valuesOf(up.last(), 'authorization'), [`Bearer ${NEW}`])
})

test('a call that must not be repeated gives its 401 to the caller, and one with an idempotency key is repeated', async (t) => {
  const { up, gateway, at } = await setScene(t, {
    adapter: ADAPTER,
    secrets: (upstream) => [secretFor(upstream.origin, OLD)],
  })
  await gateway.secrets.rotate('it', { values: { token: NEW } })
  takes(up, OLD)
  const post = { url: at('/p'), method: 'POST', json: 1 }
  assert.equal((await gateway.call(post)).envelope.status, 401)
  assert.equal(up.received.length, 1)
  assert.equal((await gateway.call({ ...post, idempotencyKey: 'once' })).envelope.status, 200)
  assert.equal(up.received.length, 3)
})

test('what is revoked is used no more, and a call without a version that serves is refused and not made', async (t) => {
  const { up, gateway, at } = await setScene(t, {
    adapter: ADAPTER,
    secrets: (upstream) => [secretFor(upstream.origin, OLD)],
  })
  await gateway.secrets.rotate('it', { values: { token: NEW }, expiresAt: Date.now() + 3_600_000 })
  assert.equal(
    metric(await gateway.metrics(), 'sallyport_credential_expires_timestamp_seconds', { credential: 'it' }) > Date.now() / 1000,
    true,
  )
  await gateway.secrets.revoke('it', 1)
  takes(up, OLD)
  assert.equal((await gateway.call({ url: at('/p') })).envelope.status, 401)
  assert.equal(up.received.length, 1)
  await gateway.secrets.revoke('it', null)
  const { status, envelope } = await gateway.call({ url: at('/p') })
  assert.deepEqual([status, envelope.error.type, envelope.error.sent], [503, 'CredentialUnavailable', 'no'])
  assert.match(envelope.error.message, /version 2 was revoked at \d{4}-.*; the call was not made without it/)
  assert.equal(up.received.length, 1)
})

test('sealing keys are added, activated and taken out under load, every secret sealed anew between, with no failed call', async (t) => {
  const [first, second] = [aKey('first'), aKey('second')]
  const folder = makeFolder({ 'sealing.key': first })
  t.after(folder.remove)
  const { gateway, at } = await setScene(t, {
    adapter: ADAPTER,
    secrets: (upstream) => [secretFor(upstream.origin, OLD)],
    config: { store: { keyFile: folder.path('sealing.key') } },
  })
  const take = async (text: string): Promise<void> => {
    writeFileSync(folder.path('next.key'), text)
    renameSync(folder.path('next.key'), folder.path('sealing.key'))
  }
  const told = (event: string): number => gateway.logs().split(`"event":"${event}"`).length - 1
  const load = startLoad(gateway, at('/p'))
  await load.pass(50)
  await take(`${first}\n${second}`)
  await until('added', () => told('sealing keys changed') === 1, WITHIN_MS)
  await take(`${second}\n${first}`)
  await until('activated', () => told('sealing keys changed') === 2, WITHIN_MS)
  await take(second)
  await until('refused', () => told('sealing keys refused, the old ones stand') === 1, WITHIN_MS)
  assert.match(gateway.logs(), /no longer holds key \\"first\\", under which are still: it; put the key back/)
  assert.deepEqual((await gateway.secrets.rekey()).resealed, ['it'])
  await until('taken out', () => told('sealing keys changed') === 3, WITHIN_MS)
  await load.pass(50)
  await load.stop()
  assert.deepEqual(failures(load.replies), [])
  assert.deepEqual(
    (await gateway.secrets.list()).map((secret) => 'keyId' in secret && secret.keyId),
    ['second'],
  )
})

/** Two gateways over one Redis, each with a data folder of its own, and what either of them says for a call. */
async function twoGateways(t: TestContext) {
  const up = await upstreamFor(t)
  const redis = await startRedis()
  t.after(() => redis.stop())
  const folder = makeFolder({})
  t.after(folder.remove)
  const options = {
    adapters: [loopbackAdapter('up', up.origin, ADAPTER)],
    config: { store: { redis: redis.url, key: aKey('k'), highWater: folder.path('marks.jsonl') } },
  }
  const start = (): Promise<TestGateway> => gatewayFor(t, options)
  const both = await Promise.all([start(), start()])
  return { up, redis, start, both, url: `${up.origin}/p` }
}

test('two gateways over one Redis use a changed secret, and stop using a revoked one, within a second of each change', async (t) => {
  const { up, both, url } = await twoGateways(t)
  const [operator] = both
  const sees = async (what: string, holds: (reply: Reply) => boolean): Promise<void> => {
    const from = performance.now()
    for (const gateway of both) await until(what, async () => holds(await gateway.call({ url })), WITHIN_MS)
    assert.ok(performance.now() - from < WITHIN_MS)
  }
  for (const token of [OLD, NEW]) {
    takes(up, token)
    await operator.secrets.set(secretFor(up.origin, token))
    await sees('the token of now', ({ envelope }) => envelope.status === 200)
  }
  await operator.secrets.revoke('it', null)
  await sees('none', ({ envelope }) => envelope.error?.type === 'CredentialUnavailable')
  const sent = up.received.length
  for (const gateway of both) await gateway.call({ url })
  assert.equal(up.received.length, sent)
})

test('an old record that somebody puts back in Redis is refused, by whoever saw the newer one and by a gateway that starts later', async (t) => {
  const { up, redis, start, both, url } = await twoGateways(t)
  const [operator, other] = both
  const quiet = { clock: systemClock, meter: aMeter(), log: { log: () => {} } }
  const intruder = openRedis({ target: singleTarget(redis), prefix: 'sallyport:' }, quiet)
  t.after(() => intruder.close())
  await new Promise<void>((resolve) => intruder.onRecovery(resolve))
  const read = { keys: 1, lua: "return redis.call('GET', KEYS[1])" }
  const write = { keys: 2, lua: "redis.call('SET', KEYS[2], 'another') return redis.call('SET', KEYS[1], ARGV[1])" }
  await operator.secrets.set(secretFor(up.origin, OLD))
  const record = String(await intruder.run(read, 'secret:it'))
  await operator.secrets.revoke('it', null)
  await until('revoked', async () => (await other.call({ url })).status === 503, WITHIN_MS)
  await intruder.run(write, 'secret:it', 'secret-mark', record)
  const late = await start()
  for (const gateway of [operator, other, late]) {
    await until('refused', () => /rolled back to revision 1; revision 2 was there before/.test(gateway.logs()), WITHIN_MS)
    const { envelope } = await gateway.call({ url })
    assert.equal(envelope.error.type, 'CredentialUnavailable')
    assert.match(envelope.error.message, /its stored record is refused/)
  }
  assert.equal(up.received.length, 0)
})
