import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseRetryAfter } from '../../../src/policy/retry-after.ts'

const NOW = Date.UTC(2026, 10, 22, 12, 0, 0)

const CASES: readonly [value: string, ms: number | null][] = [
  ['0', 0],
  ['120', 120_000],
  [' 5 ', 5000],
  ['007', 7000],
  ['99999999999999999999999', Number.MAX_SAFE_INTEGER],
  ['', null],
  ['1e3', null],
  ['1.5', null],
  ['-1', null],
  ['+1', null],
  ['0x10', null],
  ['１２', null],
  ['120, 120', null],
  ['soon', null],
  ['Sun, 22 Nov 2026 12:00:30 GMT', 30_000],
  ['Sun, 22 Nov 2026 11:59:59 GMT', 0],
  ['Sunday, 22-Nov-26 12:01:00 GMT', 60_000],
  ['Sun Nov 22 12:00:05 2026', 5000],
  ['Tue Dec  1 12:00:00 2026', 9 * 86_400_000],
  ['Sunday, 06-Nov-94 08:49:37 GMT', 0],
  ['Sun, 22 Nov 2026 12:00:60 GMT', 60_000],
  ['Sun, 22 Nov 2026 24:00:00 GMT', null],
  ['Sun, 31 Feb 2026 12:00:00 GMT', null],
  ['Sun, 00 Nov 2026 12:00:00 GMT', null],
  ['Sun, 22 nov 2026 12:00:00 GMT', null],
  ['Sun, 22 Nov 2026 12:00:00 UTC', null],
  ['Sun, 22 Nov 2026 12:00:00 +0100', null],
  ['2026-11-22T12:00:30Z', null],
  ['22 Nov 2026 12:00:30 GMT', null],
]

for (const [value, ms] of CASES) {
  test(`Retry-After "${value}" is ${ms ?? 'not understood'}`, () => assert.equal(parseRetryAfter(value, NOW), ms))
}

test('a year of two digits is the nearest that is not more than 50 years ahead', () => {
  const inYears = (value: string) => (parseRetryAfter(value, NOW) ?? Number.NaN) / 31_557_600_000
  assert.ok(Math.abs(inYears('Sunday, 22-Nov-76 12:00:00 GMT') - 50) < 0.01)
  assert.equal(inYears('Sunday, 22-Nov-77 12:00:00 GMT'), 0)
})

test('any date written in the fixed form is read back to the second', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 200 * 31_557_600 }), (seconds) => {
      const at = Math.floor(NOW / 1000) * 1000 + seconds * 1000
      assert.equal(parseRetryAfter(new Date(at).toUTCString(), NOW), at - NOW)
    }),
  )
})

test('no text throws, and none gives a negative or fractional wait', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const ms = parseRetryAfter(text, NOW)
      assert.ok(ms === null || (Number.isSafeInteger(ms) && ms >= 0))
    }),
  )
})
