import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { chooseVersion, stateOf, type VersionTimes } from '../../../src/credentials/choose-version.ts'

const AT = Date.UTC(2026, 0, 1)
const EVER = Number.POSITIVE_INFINITY

/** Times are ms from now. */
function v(version: number, over: Partial<Omit<VersionTimes, 'version'>> = {}): VersionTimes {
  const { notBefore = null, expiresAt = null, overlapUntil = null, revokedAt = null } = over
  const at = (ms: number | null): number | null => (ms === null ? null : AT + ms)
  return { version, notBefore: at(notBefore), expiresAt: at(expiresAt), overlapUntil: at(overlapUntil), revokedAt: at(revokedAt) }
}

const CASES: [
  name: string,
  versions: VersionTimes[],
  current: number | string,
  others: number[],
  until: number,
  states: string[],
][] = [
  ['one without times', [v(1)], 1, [], EVER, ['current']],
  ['one that began a moment ago', [v(1, { notBefore: 0 })], 1, [], EVER, ['current']],
  [
    'one that begins in a moment',
    [v(1, { notBefore: 1 })],
    'version 1 is not valid before 2026-01-01T00:00:00.001Z',
    [],
    1,
    ['next'],
  ],
  ['one that ends in a moment', [v(1, { expiresAt: 1 })], 1, [], 1, ['current']],
  ['one that has just ended', [v(1, { expiresAt: 0 })], 'version 1 expired at 2026-01-01T00:00:00.000Z', [], EVER, ['expired']],
  ['one that is revoked', [v(1, { revokedAt: -5 })], 'version 1 was revoked at 2025-12-31T23:59:59.995Z', [], EVER, ['revoked']],
  ['a newer one in its overlap', [v(1, { overlapUntil: 9 }), v(2)], 2, [1], 9, ['previous', 'current']],
  ['a newer one past its overlap', [v(1, { overlapUntil: 0 }), v(2)], 2, [], EVER, ['retired', 'current']],
  ['a newer one yet to begin', [v(1, { overlapUntil: 9 }), v(2, { notBefore: 5 })], 1, [], 5, ['current', 'next']],
  ['at the instant it begins', [v(1, { overlapUntil: 9 }), v(2, { notBefore: 0 })], 2, [1], 9, ['previous', 'current']],
  [
    'three at once',
    [v(1, { overlapUntil: 3 }), v(2, { overlapUntil: 8 }), v(3)],
    3,
    [2, 1],
    3,
    ['previous', 'previous', 'current'],
  ],
  [
    'a newer one that is revoked in the overlap',
    [v(1, { overlapUntil: 9 }), v(2, { revokedAt: 0 })],
    1,
    [],
    9,
    ['current', 'revoked'],
  ],
  [
    'a newer one that is revoked after the overlap',
    [v(1, { overlapUntil: -1 }), v(2, { revokedAt: 0 })],
    'version 2 was revoked at 2026-01-01T00:00:00.000Z',
    [],
    EVER,
    ['retired', 'revoked'],
  ],
  [
    'a newer one that expired in the overlap',
    [v(1, { overlapUntil: 9 }), v(2, { expiresAt: 0 })],
    1,
    [],
    9,
    ['current', 'expired'],
  ],
  [
    'an older one that expires before its overlap ends',
    [v(1, { overlapUntil: 9, expiresAt: 4 }), v(2)],
    2,
    [1],
    4,
    ['previous', 'current'],
  ],
  [
    'a gap between the two',
    [v(1, { expiresAt: -2 }), v(2, { notBefore: 7 })],
    'version 1 expired at 2025-12-31T23:59:59.998Z, and version 2 is not valid before 2026-01-01T00:00:00.007Z',
    [],
    7,
    ['expired', 'next'],
  ],
  ['a revoked one that had yet to begin', [v(1), v(2, { notBefore: 5, revokedAt: 0 })], 1, [], EVER, ['current', 'revoked']],
]

describe('which version serves', () => {
  for (const [name, versions, current, others, until, states] of CASES)
    test(name, () => {
      const choice = chooseVersion(versions, AT)
      assert.equal(choice.current?.version ?? choice.because, current)
      assert.deepEqual(
        choice.others.map(({ version }) => version),
        others,
      )
      assert.equal(choice.until - AT, until)
      assert.deepEqual(
        versions.map((version) => stateOf(version, choice.current, AT)),
        states,
      )
    })
})

test('a choice stands until its own end, and not a millisecond longer where it is another then', () => {
  const time = fc.option(fc.integer({ min: -20, max: 20 }))
  const versions = fc
    .array(fc.record({ notBefore: time, expiresAt: time, overlapUntil: time, revokedAt: fc.option(fc.constant(-1)) }), {
      minLength: 1,
      maxLength: 4,
    })
    .map((each) => each.map((times, index) => v(index + 1, times)))
  fc.assert(
    fc.property(versions, fc.integer({ min: -20, max: 20 }), (given, from) => {
      const choice = chooseVersion(given, AT + from)
      for (let at = from; at < 21 && AT + at < choice.until; at++) {
        const later = chooseVersion(given, AT + at)
        assert.equal(later.current, choice.current)
        assert.deepEqual(later.others, choice.others)
      }
    }),
  )
})
