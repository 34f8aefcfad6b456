import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { backoffMs } from '../../../src/policy/backoff.ts'

const RULES = { backoffFactorMs: 200, backoffMaxMs: 1000 }
const ALMOST_ONE = () => 0.999999

test('the ceiling doubles with each retry, the first included, up to backoffMax', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 50].map((k) => backoffMs(k, RULES, ALMOST_ONE)),
    [200, 400, 800, 1000, 1000],
  )
})

test('the jitter is full: the wait may be nothing', () => {
  assert.equal(
    backoffMs(3, RULES, () => 0),
    0,
  )
  assert.equal(
    backoffMs(3, RULES, () => 0.5),
    400,
  )
})

test('a factor of 0 never waits', () => assert.equal(backoffMs(9, { backoffFactorMs: 0, backoffMaxMs: 10 }, ALMOST_ONE), 0))

test('a wait is a whole number between 0 and backoffMax, however many retries', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5000 }), fc.double({ min: 0, max: 0.999999, noNaN: true }), (k, draw) => {
      const ms = backoffMs(k, RULES, () => draw)
      assert.ok(Number.isInteger(ms) && ms >= 0 && ms <= RULES.backoffMaxMs)
    }),
  )
})
