import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createForcedState } from '../../../src/policy/forced-state.ts'

test('a forced state stands until lifted', () => {
  const forced = createForcedState({ date: () => 1e15 })
  forced.set('open', null)
  assert.deepEqual([forced.state(), forced.remainingMs(7)], ['open', 7])
  forced.set(null, null)
  assert.deepEqual([forced.state(), forced.remainingMs(7)], [null, null])
})

test('a forced state ends at its instant', () => {
  let date = 1000
  const forced = createForcedState({ date: () => date })
  forced.set('closed', 1500)
  assert.deepEqual([forced.state(), forced.remainingMs(7)], ['closed', 500])
  date = 1500
  assert.equal(forced.state(), null)
})

test('a later one takes the place of an earlier one, expiry included', () => {
  let date = 1000
  const forced = createForcedState({ date: () => date })
  forced.set('closed', 1500)
  forced.set('open', null)
  date = 2000
  assert.equal(forced.state(), 'open')
})
