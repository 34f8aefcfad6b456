// What every implementation of a port must do, whichever store stands behind it.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Clock, IdempotencyStore, KeyValueStore, SecretStore } from '../../../src/model/ports.ts'
import type { RedisTarget } from '../../../src/model/redis-target.ts'
import { openEmbedded } from '../../../src/stores/embedded.ts'
import { createEmbeddedIdempotency } from '../../../src/stores/embedded-idempotency.ts'
import { createEmbeddedSecrets } from '../../../src/stores/embedded-secrets.ts'
import { createEmbeddedValues } from '../../../src/stores/embedded-values.ts'
import { createMemoryIdempotency } from '../../../src/stores/memory-idempotency.ts'
import { createMemorySecrets } from '../../../src/stores/memory-secrets.ts'
import { createMemoryValues } from '../../../src/stores/memory-values.ts'
import { openRedis, type RedisConnection } from '../../../src/stores/redis.ts'
import { createRedisBreakers } from '../../../src/stores/redis-breakers.ts'
import { createRedisCooldowns } from '../../../src/stores/redis-cooldowns.ts'
import { createRedisIdempotency } from '../../../src/stores/redis-idempotency.ts'
import { createRedisSecrets } from '../../../src/stores/redis-secrets.ts'
import { createRedisValues } from '../../../src/stores/redis-values.ts'
import { aMeter } from '../../support/builders.ts'
import { certificates } from '../../support/certificates.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { startRedis } from '../../support/redis.ts'
import {
  ACL_LOGIN,
  documentedAcl,
  redisTls,
  singleTarget,
  startCluster,
  startSentinelSet,
  startTlsRedis,
} from '../../support/redis-topologies.ts'

const REAL: Clock = {
  now: () => performance.now(),
  date: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}
const silent = { log: () => {} }

interface Kind {
  readonly kind: string
  readonly prefix?: string
  start(): Promise<{ readonly target: RedisTarget; stop(): Promise<void> }>
}

/** Each as the user that docs/redis.md describes, but the first. */
const KINDS: readonly Kind[] = [
  { kind: 'redis', start: () => startRedis() },
  {
    kind: 'redis as an ACL user',
    async start() {
      const server = await startRedis({ args: ['--user', ...documentedAcl({ more: ['+select'] })] })
      return { target: singleTarget(server, { login: ACL_LOGIN, database: 3 }), stop: server.stop }
    },
  },
  {
    kind: 'redis by TLS',
    async start() {
      const server = await startTlsRedis({ wantsCertificate: true })
      const { cert, key } = certificates().client
      return { target: singleTarget(server, { tls: redisTls({ cert, key }) }), stop: server.stop }
    },
  },
  {
    kind: 'redis of sentinels',
    async start() {
      const set = await startSentinelSet({ acl: documentedAcl(), sentinelPassword: 'spw', tls: true })
      return { target: set.target({ login: ACL_LOGIN }), stop: set.stop }
    },
  },
  {
    kind: 'redis cluster',
    prefix: '{sallyport}:',
    async start() {
      const set = await startCluster({ acl: documentedAcl({ prefix: '{sallyport}:', more: ['+cluster|slots', '+asking'] }) })
      return { target: set.target({ login: ACL_LOGIN }), stop: set.stop }
    },
  },
]

const connections = new Map<string, RedisConnection>()
const closers: (() => void | Promise<void>)[] = []
const dir = mkdtempSync(join(tmpdir(), 'sallyport-stores-'))
const fake = createFakeClock()
const embedded = openEmbedded(dir, { meter: aMeter(), log: silent })

before(async () => {
  const open = async ({ kind, prefix = 'sallyport:', start }: Kind): Promise<void> => {
    const { target, stop } = await start()
    const redis = openRedis({ target, prefix }, { clock: REAL, meter: aMeter(), log: silent })
    closers.push(stop, redis.close)
    await new Promise<void>((resolve) => redis.onRecovery(resolve))
    connections.set(kind, redis)
  }
  await Promise.all(KINDS.map(open))
})
after(async () => {
  for (const close of closers.reverse()) await close()
  embedded.close()
  rmSync(dir, { recursive: true })
})

function connectionTo(kind: string): RedisConnection {
  const redis = connections.get(kind)
  if (!redis) throw new Error(`${kind} is not open`)
  return redis
}

/** Lets time pass for the store: Redis has its own clock. */
type Pass = (ms: number) => Promise<void>
const passReal = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const passFake = (ms: number): Promise<void> => fake.advance(ms)

const SECRETS: [string, () => SecretStore][] = [
  ...KINDS.map(({ kind }): [string, () => SecretStore] => [kind, () => createRedisSecrets(connectionTo(kind))]),
  ['embedded', () => createEmbeddedSecrets(embedded)],
  ['memory', () => createMemorySecrets()],
]

for (const [kind, make] of SECRETS)
  describe(`secrets in ${kind}`, () => {
    test('what was put is loaded, and nothing is loaded where nothing changed', async () => {
      const store = make()
      assert.equal(await store.put('github', '{"a":"é"}', { after: 0, revision: 1 }), true)
      assert.deepEqual(await store.get('github'), { record: '{"a":"é"}', revision: 1 })
      const first = await store.load(null)
      assert.deepEqual([...(first?.records ?? [])], [['github', '{"a":"é"}']])
      for (let rounds = 0; rounds < 50; rounds++) assert.equal(await store.load(first?.digest ?? null), null)
      await store.put('stripe', 'two', { after: 0, revision: 1 })
      const second = await store.load(first?.digest ?? null)
      assert.deepEqual([...(second?.records.keys() ?? [])].sort(), ['github', 'stripe'])
      await store.delete('stripe')
      assert.equal((await store.load(second?.digest ?? null))?.records.size, 1)
    })

    test('of two writers after one revision the second is refused and writes nothing; a revision may leap', async () => {
      const store = make()
      const { revision } = await store.get('race')
      const next = { after: revision, revision: revision + 1 }
      assert.deepEqual(await Promise.all([store.put('race', 'mine', next), store.put('race', 'yours', next)]), [true, false])
      assert.equal((await store.load(null))?.records.get('race'), 'mine')
      assert.equal(await store.put('race', 'far ahead', { after: revision + 1, revision: revision + 9 }), true)
      assert.equal((await store.get('race')).revision, revision + 9)
    })

    test('a deletion is a revision: who read the record before it cannot put it back', async () => {
      const store = make()
      await store.put('gone', 'x', { after: 0, revision: 1 })
      assert.equal(await store.delete('gone'), 2)
      assert.equal(await store.delete('gone'), null)
      assert.deepEqual(await store.get('gone'), { record: null, revision: 2 })
      assert.equal(await store.put('gone', 'again', { after: 1, revision: 2 }), false)
      assert.equal(await store.put('gone', 'again', { after: 2, revision: 3 }), true)
    })

    test('a name that nobody stored has no record and no revision', async () => {
      const store = make()
      assert.deepEqual(await store.get('nobody'), { record: null, revision: 0 })
      assert.equal(await store.delete('nobody'), null)
    })
  })

for (const { kind } of KINDS)
  test(`the replicas' breakers tell each other in ${kind}`, async () => {
    const board = createRedisBreakers(connectionTo(kind))
    const none = { tripped: [], wanted: [], recovered: [] }
    await board.exchange({ replica: 'one', ...none, tripped: ['a'], wanted: ['b'], recovered: ['c'] })
    const { live, votes, leases } = await board.exchange({ replica: 'two', ...none, wanted: ['b'] })
    assert.deepEqual([live, votes.get('a'), leases.has('b')], [2, 1, false])
  })

for (const { kind } of KINDS)
  test(`replicas tell each other of cool-downs in ${kind}`, async () => {
    const board = createRedisCooldowns(connectionTo(kind))
    await board.exchange('one', [{ key: 'a o\nstored k ', leftMs: 5000 }])
    const [heard] = await board.exchange('two', [])
    assert.equal(heard?.key, 'a o\nstored k ')
    assert.ok(heard.leftMs > 0 && heard.leftMs <= 5000)
  })

const VALUES: [string, () => KeyValueStore, (ms: number) => Promise<void>][] = [
  ...KINDS.map(({ kind }): [string, () => KeyValueStore, Pass] => [kind, () => createRedisValues(connectionTo(kind)), passReal]),
  ['embedded', () => createEmbeddedValues(embedded, fake), passFake],
  ['memory', () => createMemoryValues(fake), passFake],
]

for (const [kind, make, pass] of VALUES)
  describe(`values in ${kind}`, () => {
    test('a value is written only over the version that was read', async () => {
      const store = make()
      assert.equal(await store.get('jar'), null)
      assert.equal(await store.put('jar', 'one', { ttlMs: 60_000, ifVersion: null }), true)
      assert.equal(await store.put('jar', 'late', { ttlMs: 60_000, ifVersion: null }), false)
      const first = await store.get('jar')
      assert.equal(first?.value, 'one')
      assert.equal(await store.put('jar', 'two', { ttlMs: 60_000, ifVersion: first?.version ?? null }), true)
      assert.equal(await store.put('jar', 'late', { ttlMs: 60_000, ifVersion: first?.version ?? null }), false)
      assert.equal((await store.get('jar'))?.value, 'two')
      await store.delete('jar')
      assert.equal(await store.get('jar'), null)
    })

    test('an expired value is gone, and one that comes after it never has its version', async () => {
      const store = make()
      await store.put('brief', 'old', { ttlMs: 40, ifVersion: null })
      const old = await store.get('brief')
      await pass(60)
      assert.equal(await store.get('brief'), null)
      assert.equal(await store.put('brief', 'new', { ttlMs: 60_000, ifVersion: null }), true)
      assert.notEqual((await store.get('brief'))?.version, old?.version)
    })

    test('a write that keeps the expiry leaves it where it was', async () => {
      const store = make()
      await store.put('kept', '1', { ttlMs: 80, ifVersion: null })
      const read = await store.get('kept')
      assert.equal(await store.put('kept', '2', { ttlMs: null, ifVersion: read?.version ?? null, keepExpiry: true }), true)
      assert.equal((await store.get('kept'))?.value, '2')
      await pass(120)
      assert.equal(await store.get('kept'), null)
    })

    test('each write begins the expiry anew', async () => {
      const store = make()
      await store.put('long', '1', { ttlMs: 600, ifVersion: null })
      await pass(150)
      const read = await store.get('long')
      await store.put('long', '2', { ttlMs: 60_000, ifVersion: read?.version ?? null })
      await pass(500)
      assert.equal((await store.get('long'))?.value, '2')
    })

    test('without an expiry it is kept, and whether it has one is said anew at each write', async () => {
      const store = make()
      await store.put('kept', '1', { ttlMs: 40, ifVersion: null })
      const version = async (): Promise<number | null> => (await store.get('kept'))?.version ?? null
      assert.equal(await store.put('kept', '2', { ttlMs: null, ifVersion: await version() }), true)
      await pass(60)
      assert.equal((await store.get('kept'))?.value, '2')
      assert.equal(await store.put('kept', '3', { ttlMs: 40, ifVersion: await version() }), true)
      await pass(60)
      assert.equal(await store.get('kept'), null)
    })
  })

const IDEMPOTENCY: [string, () => IdempotencyStore, (ms: number) => Promise<void>][] = [
  ...KINDS.map(({ kind }): [string, () => IdempotencyStore, Pass] => [
    kind,
    () => createRedisIdempotency(connectionTo(kind)),
    passReal,
  ]),
  ['embedded', () => createEmbeddedIdempotency(embedded, fake), passFake],
  ['memory', () => createMemoryIdempotency({ clock: fake }), passFake],
]

for (const [kind, make, pass] of IDEMPOTENCY)
  describe(`idempotency in ${kind}`, () => {
    test('the first claim is mine; until it is told, a second is running; then it is done', async () => {
      const store = make()
      const claim = await store.claim('caller/k1', 'print', 60_000)
      assert.equal(claim.state, 'mine')
      assert.equal((await store.claim('caller/k1', 'print', 60_000)).state, 'running')
      if (claim.state === 'mine') await claim.complete('{"ok":true}', 60_000)
      assert.deepEqual(await store.claim('caller/k1', 'print', 60_000), { state: 'done', outcome: '{"ok":true}' })
    })

    test('another request with the key is a conflict, before and after the outcome', async () => {
      const store = make()
      const claim = await store.claim('k2', 'print', 60_000)
      assert.equal((await store.claim('k2', 'other', 60_000)).state, 'conflict')
      if (claim.state === 'mine') await claim.complete('x', 60_000)
      assert.equal((await store.claim('k2', 'other', 60_000)).state, 'conflict')
    })

    test('a released claim leaves nothing behind', async () => {
      const store = make()
      const claim = await store.claim('k3', 'print', 60_000)
      if (claim.state === 'mine') await claim.release()
      assert.equal((await store.claim('k3', 'other', 60_000)).state, 'mine')
    })

    test('a claim whose lease ran out is lost, until its owner tells after all', async () => {
      const store = make()
      const claim = await store.claim('k4', 'print', 30)
      await pass(50)
      assert.equal((await store.claim('k4', 'print', 30)).state, 'lost')
      if (claim.state === 'mine') await claim.complete('late', 60_000)
      assert.equal((await store.claim('k4', 'print', 30)).state, 'done')
    })

    test('an outcome is forgotten after its time, and its owner does not disturb the next', async () => {
      const store = make()
      const first = await store.claim('k5', 'print', 60_000)
      if (first.state === 'mine') await first.complete('short', 30)
      await pass(50)
      const second = await store.claim('k5', 'other', 60_000)
      assert.equal(second.state, 'mine')
      if (first.state === 'mine') {
        await first.release()
        await first.complete('too late', 60_000)
      }
      assert.equal((await store.claim('k5', 'other', 60_000)).state, 'running')
    })
  })
