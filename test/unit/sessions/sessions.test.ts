import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KeyValueStore } from '../../../src/model/ports.ts'
import { createSessions } from '../../../src/sessions/sessions.ts'
import { aUrl } from '../../support/builders.ts'
import { createFakeClock } from '../../support/fake-clock.ts'

const HERE = aUrl('https://h.example.com/')
const TTL = 60_000

/** A store in memory that counts, and can be made to lose every race. */
function aStore() {
  const entries = new Map<string, { value: string; version: number; ttlMs: number | null }>()
  const count = { get: 0, put: 0, lost: 0 }
  const hooks = { beforePut: async (_key: string): Promise<void> => {} }
  const store: KeyValueStore = {
    async get(key) {
      count.get++
      const entry = entries.get(key)
      return entry ? { value: entry.value, version: entry.version } : null
    },
    version: async (key) => entries.get(key)?.version ?? null,
    async put(key, value, { ttlMs, ifVersion }) {
      count.put++
      await hooks.beforePut(key)
      const version = entries.get(key)?.version ?? null
      if (version !== ifVersion) {
        count.lost++
        return false
      }
      entries.set(key, { value, version: (version ?? 0) + 1, ttlMs })
      return true
    },
    async delete(key) {
      entries.delete(key)
    },
  }
  return { store, entries, count, hooks }
}

function setUp() {
  const clock = createFakeClock()
  const kept = aStore()
  return { ...kept, clock, sessions: createSessions({ store: kept.store, clock, ttlMs: TTL }) }
}

test('a session keeps its cookies between calls', async () => {
  const { sessions, entries } = setUp()
  const first = await sessions.open('billing', 'login')
  first.store(HERE, ['a=1'])
  await sessions.save('billing', 'login', first)
  const second = await sessions.open('billing', 'login')
  assert.equal(second.header(HERE), 'a=1')
  assert.deepEqual(
    [...entries.values()].map(({ ttlMs }) => ttlMs),
    [TTL],
  )
})

for (const [caller, name] of [
  ['other', 'login'],
  ['billing', 'other'],
  ['billing:login', 'x'],
] as const) {
  test(`a session is private: ${caller} with "${name}" does not see billing’s "login"`, async () => {
    const { sessions } = setUp()
    const mine = await sessions.open('billing', 'login')
    mine.store(HERE, ['a=1'])
    await sessions.save('billing', 'login', mine)
    assert.equal((await sessions.open(caller, name)).header(HERE), null)
  })
}

test('no caller’s name runs into a session’s', async () => {
  const { sessions, entries } = setUp()
  for (const [caller, name] of [
    ['a:b', 'c'],
    ['a', 'b:c'],
  ] as const) {
    const jar = await sessions.open(caller, name)
    jar.store(HERE, ['a=1'])
    await sessions.save(caller, name, jar)
  }
  assert.equal(entries.size, 2)
})

test('a call without cookies writes nothing', async () => {
  const { sessions, count } = setUp()
  const jar = await sessions.open('billing', 'login')
  assert.equal(jar.changed, false)
  await sessions.save('billing', 'login', jar)
  assert.equal(count.put, 0)
})

test('two calls at once lose no cookie: each keeps what it took', async () => {
  const { sessions } = setUp()
  const [one, two] = await Promise.all([sessions.open('c', 's'), sessions.open('c', 's')])
  one.store(HERE, ['a=1'])
  two.store(HERE, ['b=2'])
  await Promise.all([sessions.save('c', 's', one), sessions.save('c', 's', two)])
  assert.equal((await sessions.open('c', 's')).header(HERE), 'a=1; b=2')
})

test('a cookie that one call removed stays removed, though another call knew it', async () => {
  const { sessions } = setUp()
  const before = await sessions.open('c', 's')
  before.store(HERE, ['a=1'])
  await sessions.save('c', 's', before)
  const [remover, other] = await Promise.all([sessions.open('c', 's'), sessions.open('c', 's')])
  remover.store(HERE, ['a=; Max-Age=0'])
  other.store(HERE, ['b=2'])
  await sessions.save('c', 's', remover)
  await sessions.save('c', 's', other)
  assert.equal((await sessions.open('c', 's')).header(HERE), 'b=2')
})

test('forty calls of one replica that end together all keep their cookies', async () => {
  const { sessions, count } = setUp()
  const jars = await Promise.all(Array.from({ length: 40 }, () => sessions.open('c', 's')))
  for (const [i, jar] of jars.entries()) jar.store(HERE, [`n${i}=${i}`])
  await Promise.all(jars.map((jar) => sessions.save('c', 's', jar)))
  assert.equal((await sessions.open('c', 's')).header(HERE)?.split('; ').length, 40)
  assert.ok(count.put <= 2 * 40, `${count.put} writes`)
})

test('Max-Age counts from when the cookie came, also where the write had to be repeated', async () => {
  const { sessions, clock } = setUp()
  const [one, two] = await Promise.all([sessions.open('c', 's'), sessions.open('c', 's')])
  one.store(HERE, ['a=1; Max-Age=10'])
  two.store(HERE, ['b=2'])
  await sessions.save('c', 's', two)
  await clock.advance(9000)
  await sessions.save('c', 's', one)
  await clock.advance(1000)
  assert.equal((await sessions.open('c', 's')).header(HERE), 'b=2')
})

test('another replica that always wins ends in Overloaded, after a bounded number of tries', async () => {
  const { sessions, store, entries, count, hooks } = setUp()
  const jar = await sessions.open('c', 's')
  jar.store(HERE, ['a=1'])
  hooks.beforePut = async (key) => {
    entries.set(key, { value: '{}', version: (entries.get(key)?.version ?? 0) + 1, ttlMs: TTL })
  }
  await assert.rejects(sessions.save('c', 's', jar), { name: 'Overloaded', message: /session "s"/ })
  assert.equal(count.put, 10)
  hooks.beforePut = async () => {}
  await sessions.save('c', 's', jar)
  assert.ok(await store.get('session:c:s'))
})

test('a store that is away fails the call that needs it and not the next one', async () => {
  const { sessions, hooks } = setUp()
  const jar = await sessions.open('c', 's')
  jar.store(HERE, ['a=1'])
  hooks.beforePut = () => Promise.reject(new Error('away'))
  await assert.rejects(sessions.save('c', 's', jar), /away/)
  hooks.beforePut = async () => {}
  await sessions.save('c', 's', jar)
  assert.equal((await sessions.open('c', 's')).header(HERE), 'a=1')
})

test('a session in use has its expiry put off once half of it has passed', async () => {
  const { sessions, clock, count } = setUp()
  const first = await sessions.open('c', 's')
  first.store(HERE, ['a=1'])
  await sessions.save('c', 's', first)
  await clock.advance(TTL / 2)
  assert.equal((await sessions.open('c', 's')).changed, false)
  await clock.advance(1)
  const later = await sessions.open('c', 's')
  assert.equal(later.changed, true)
  await sessions.save('c', 's', later)
  assert.equal(count.put, 2)
  const afterwards = await sessions.open('c', 's')
  assert.deepEqual([afterwards.changed, afterwards.header(HERE)], [false, 'a=1'])
})

for (const value of ['not JSON', '{}', 'null', '{"writtenAt":0,"cookies":[1,null,{"key":5}]}']) {
  test(`what is no jar in the store counts as an empty one and is written over: ${value}`, async () => {
    const { sessions, entries } = setUp()
    entries.set('session:c:s', { value, version: 7, ttlMs: TTL })
    const jar = await sessions.open('c', 's')
    assert.equal(jar.header(HERE), null)
    jar.store(HERE, ['a=1'])
    await sessions.save('c', 's', jar)
    assert.equal((await sessions.open('c', 's')).header(HERE), 'a=1')
  })
}

test('a transient jar carries cookies within its call and touches no store', async () => {
  const { sessions, count } = setUp()
  const jar = sessions.transient()
  assert.equal(jar.header(HERE), null)
  jar.store(HERE, ['a=1'])
  assert.equal(jar.header(HERE), 'a=1')
  await sessions.save('c', 's', jar)
  assert.deepEqual(count, { get: 0, put: 0, lost: 0 })
  assert.equal(sessions.transient().header(HERE), null)
})
