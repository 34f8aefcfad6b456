import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSharedOverrides } from '../../../src/admin/shared-overrides.ts'
import { createEphemeralKeyRing } from '../../../src/credentials/key-ring.ts'
import { createTextSealer, type TextSealer } from '../../../src/credentials/seal-text.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { Override } from '../../../src/model/breaker-override.ts'
import type { KeyValueStore } from '../../../src/model/ports.ts'
import { createOverrides } from '../../../src/policy/overrides.ts'
import { createFakeClock, type FakeClock, settle } from '../../support/fake-clock.ts'

const ALL = { adapter: 'github', origin: null }
const ORIGIN = 'https://api.github.com'

function aStore() {
  const kept = new Map<string, { value: string; version: number }>()
  const state = { away: false }
  const reach = (): void => {
    if (state.away) throw new GatewayError('Overloaded', 'the store is away')
  }
  const store: KeyValueStore = {
    async get(key) {
      reach()
      return kept.get(key) ?? null
    },
    async version(key) {
      reach()
      return kept.get(key)?.version ?? null
    },
    async put(key, value, { ifVersion }) {
      reach()
      if ((kept.get(key)?.version ?? null) !== ifVersion) return false
      kept.set(key, { value, version: (ifVersion ?? 0) + 1 })
      return true
    },
    delete: () => assert.fail('nothing is deleted'),
  }
  return { store, kept, state }
}

function aReplica(store: KeyValueStore, clock: FakeClock, sealer: TextSealer | null = null) {
  const lines: string[] = []
  let changes = 0
  const shared = createSharedOverrides({
    ...{ overrides: createOverrides(clock), store, sealer, clock },
    log: { log: (_level, event) => void lines.push(event) },
    onChange: () => void changes++,
  })
  const state = () => shared.over('github', ORIGIN)()?.state ?? null
  return { shared, state, lines, changes: () => changes }
}

function override(state: Override['state'], clock: FakeClock, until: number | null = null): Override {
  return { state, by: 'ops', reason: 'maintenance', since: clock.date(), until }
}

test('every replica follows within a second, and a later one knows it from the start', async () => {
  const clock = createFakeClock()
  const { store } = aStore()
  const [one, two] = [aReplica(store, clock), aReplica(store, clock)]
  assert.equal(await one.shared.set(ALL, override('open', clock)), true)
  assert.equal(one.state(), 'open')
  await clock.advance(500)
  assert.equal(two.state(), 'open')
  assert.ok(two.changes() > 0)
  const three = aReplica(store, clock)
  await settle()
  assert.equal(three.state(), 'open')
  await two.shared.set(ALL, null)
  await clock.advance(500)
  assert.deepEqual([one.state(), two.state(), three.state()], [null, null, null])
})

test('two operators at once lose nothing of each other', async () => {
  const clock = createFakeClock()
  const { store } = aStore()
  const [one, two] = [aReplica(store, clock), aReplica(store, clock)]
  await Promise.all([
    one.shared.set(ALL, override('open', clock)),
    two.shared.set({ adapter: 'github', origin: ORIGIN }, override('closed', clock)),
  ])
  await clock.advance(1000)
  for (const replica of [one, two]) assert.deepEqual(replica.shared.all().length, 2)
})

test('while the store is away what is set holds here, and reaches the others when it is back', async () => {
  const clock = createFakeClock()
  const { store, state } = aStore()
  const [one, two] = [aReplica(store, clock), aReplica(store, clock)]
  await settle()
  state.away = true
  assert.equal(await one.shared.set(ALL, override('open', clock)), false)
  await clock.advance(5000)
  assert.deepEqual([one.state(), two.state()], ['open', null])
  state.away = false
  await clock.advance(1000)
  assert.deepEqual([one.state(), two.state()], ['open', 'open'])
})

test('a store that lost its memory is told again what stands', async () => {
  const clock = createFakeClock()
  const { store, kept } = aStore()
  const [one, two] = [aReplica(store, clock), aReplica(store, clock)]
  await one.shared.set(ALL, override('open', clock))
  await clock.advance(500)
  kept.clear()
  await clock.advance(2000)
  assert.deepEqual([one.state(), two.state()], ['open', 'open'])
  const three = aReplica(store, clock)
  await settle()
  assert.equal(three.state(), 'open')
})

test('under a sealing key nobody who can write the store can force a breaker', async () => {
  const clock = createFakeClock()
  const { store, kept } = aStore()
  const sealer = createTextSealer({ ring: createEphemeralKeyRing(), installation: 'test' })
  const one = aReplica(store, clock, sealer)
  await one.shared.set(ALL, override('open', clock))
  const [key = ''] = kept.keys()
  assert.doesNotMatch(kept.get(key)?.value ?? '', /maintenance/)
  kept.set(key, { value: JSON.stringify([{ ...ALL, ...override('closed', clock) }]), version: 9 })
  await clock.advance(500)
  assert.deepEqual([one.state(), one.lines], ['open', ['breaker overrides refused']])
  await one.shared.set(ALL, null)
  assert.equal(one.state(), null)
})

for (const text of ['', 'null', '{}', '[{}]', '[null]', '[{"adapter":"github","origin":1}]'])
  test(`a document that is none changes nothing: ${text}`, async () => {
    const clock = createFakeClock()
    const { store, kept } = aStore()
    kept.set('breaker-overrides', { value: text, version: 1 })
    const one = aReplica(store, clock)
    await settle()
    assert.deepEqual([one.shared.all(), one.lines], [[], ['breaker overrides refused']])
    assert.equal(await one.shared.set(ALL, override('open', clock)), true)
  })

test('those that ended are not kept, and nothing runs on after the end', async () => {
  const clock = createFakeClock()
  const { store, kept } = aStore()
  const one = aReplica(store, clock)
  await one.shared.set(ALL, override('open', clock, clock.date() + 1000))
  await clock.advance(1000)
  await one.shared.set({ adapter: 'crm', origin: null }, override('open', clock))
  assert.equal(JSON.parse(kept.get('breaker-overrides')?.value ?? '').length, 1)
  one.shared.close()
  await clock.advance(1000)
  assert.equal(clock.pending, 0)
})
