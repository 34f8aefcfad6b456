import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTrail } from '../../../src/model/trail.ts'

test('of several waits before one try the longest gives the reason, and the next try begins anew', () => {
  const trail = createTrail()
  trail.waited(1000, 'Retry-After')
  trail.waited(2, 'rate limit')
  trail.waited(0, 'queue')
  assert.deepEqual(trail.takeWait(), { waited: 1002, because: 'Retry-After' })
  trail.waited(0, 'Retry-After')
  assert.deepEqual(trail.takeWait(), { waited: 0, because: 'Retry-After' })
  assert.deepEqual(trail.takeWait(), { waited: 0, because: null })
})
