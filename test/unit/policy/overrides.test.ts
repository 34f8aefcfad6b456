import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Override } from '../../../src/model/breaker-override.ts'
import { createOverrides } from '../../../src/policy/overrides.ts'

const ALL = { adapter: 'github', origin: null }
const API = { adapter: 'github', origin: 'https://api.github.com' }

function override(state: Override['state'], until: number | null = null): Override {
  return { state, by: 'ops', reason: 'maintenance', since: 1000, until }
}

function build() {
  const time = { date: 1000 }
  const overrides = createOverrides({ date: () => time.date })
  return { time, overrides, state: (origin: string, adapter = 'github') => overrides.over(adapter, origin)()?.state ?? null }
}

test('one for an adapter covers every origin of it, and no other adapter', () => {
  const { overrides, state } = build()
  const asked = overrides.over('github', API.origin)
  assert.equal(asked(), null)
  overrides.set(ALL, override('open'))
  assert.equal(asked()?.state, 'open')
  assert.equal(state('https://uploads.github.com'), 'open')
  assert.equal(state(API.origin, 'crm'), null)
})

test('one for an origin stands above its adapter’s', () => {
  const { overrides, state } = build()
  overrides.set(API, override('closed'))
  overrides.set(ALL, override('open'))
  assert.deepEqual([state(API.origin), state('https://uploads.github.com')], ['closed', 'open'])
})

test('it ends at its instant, and the wider one then shows again', () => {
  const { overrides, state, time } = build()
  overrides.set(API, override('closed', 1500))
  overrides.set(ALL, override('open'))
  time.date = 1499
  assert.equal(state(API.origin), 'closed')
  time.date = 1500
  assert.equal(state(API.origin), 'open')
  assert.deepEqual(
    overrides.all().map(({ origin }) => origin),
    [null],
  )
})

test('lifting takes that scope alone', () => {
  const { overrides, state } = build()
  overrides.set(API, override('closed'))
  overrides.set(ALL, override('open'))
  overrides.set(ALL, null)
  assert.deepEqual([state(API.origin), state('https://uploads.github.com')], ['closed', null])
})

test('a later one takes the place of an earlier one, expiry included', () => {
  const { overrides, state, time } = build()
  overrides.set(ALL, override('closed', 1500))
  overrides.set(ALL, override('open'))
  time.date = 2000
  assert.equal(state(API.origin), 'open')
})
