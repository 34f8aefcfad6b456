import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { revoke, supersede } from '../../../src/credentials/change-versions.ts'
import type { VersionTimes } from '../../../src/credentials/choose-version.ts'

const NOW = 1000
const HOUR = 3600

function v(version: number, over: Partial<VersionTimes> = {}): VersionTimes {
  return { version, notBefore: null, expiresAt: null, overlapUntil: null, revokedAt: null, ...over }
}
const at = (startsAt: number, overlapMs: number) => ({ now: NOW, startsAt, overlapMs })

const SUPERSEDED: [name: string, versions: VersionTimes[], terms: ReturnType<typeof at>, kept: VersionTimes[]][] = [
  ['at once, without an overlap: nothing stays', [v(1)], at(NOW, 0), []],
  ['at once, with one', [v(1)], at(NOW, HOUR), [v(1, { overlapUntil: NOW + HOUR })]],
  [
    'later: the present one serves on, and its overlap is counted from then',
    [v(1)],
    at(NOW + 50, HOUR),
    [v(1, { overlapUntil: NOW + 50 + HOUR })],
  ],
  ['later, without an overlap', [v(1)], at(NOW + 50, 0), [v(1, { overlapUntil: NOW + 50 })]],
  [
    'twice in one overlap: the first keeps the end that it had',
    [v(1, { overlapUntil: NOW + 9 }), v(2)],
    at(NOW, HOUR),
    [v(1, { overlapUntil: NOW + 9 }), v(2, { overlapUntil: NOW + HOUR })],
  ],
  [
    'a shorter overlap shortens the one before too',
    [v(1, { overlapUntil: NOW + 9 }), v(2)],
    at(NOW, 5),
    [v(1, { overlapUntil: NOW + 5 }), v(2, { overlapUntil: NOW + 5 })],
  ],
  ['what has ended goes', [v(1, { overlapUntil: NOW }), v(2, { expiresAt: NOW - 1 })], at(NOW, HOUR), []],
  [
    'what had yet to begin goes, and no longer ends the present one',
    [v(1, { overlapUntil: NOW + 5 }), v(2, { notBefore: NOW + 4 })],
    at(NOW + 90, HOUR),
    [v(1, { overlapUntil: NOW + 90 + HOUR })],
  ],
  [
    'what is revoked is remembered, the last three',
    [1, 2, 3, 4].map((n) => v(n, { revokedAt: 1 })),
    at(NOW, HOUR),
    [2, 3, 4].map((n) => v(n, { revokedAt: 1 })),
  ],
  [
    'at most two stay good',
    [v(1, { overlapUntil: NOW + 9 }), v(2, { overlapUntil: NOW + 9 }), v(3)],
    at(NOW, HOUR),
    [v(2, { overlapUntil: NOW + 9 }), v(3, { overlapUntil: NOW + HOUR })],
  ],
]

describe('beside a version that comes', () => {
  for (const [name, versions, terms, kept] of SUPERSEDED) test(name, () => assert.deepEqual(supersede(versions, terms), kept))
})

const REVOKED: [name: string, versions: VersionTimes[], version: number | null, after: VersionTimes[]][] = [
  ['one of two', [v(1, { overlapUntil: NOW + 9 }), v(2)], 2, [v(1, { overlapUntil: NOW + 9 }), v(2, { revokedAt: NOW })]],
  [
    'all',
    [v(1, { overlapUntil: NOW + 9 }), v(2)],
    null,
    [v(1, { overlapUntil: NOW + 9, revokedAt: NOW }), v(2, { revokedAt: NOW })],
  ],
  [
    'one that had yet to begin: the present one stays without end',
    [v(1, { overlapUntil: NOW + 9 }), v(2, { notBefore: NOW + 5 })],
    2,
    [v(1), v(2, { notBefore: NOW + 5, revokedAt: NOW })],
  ],
  [
    'the present one: what is to come stays to come',
    [v(1, { overlapUntil: NOW + 9 }), v(2, { notBefore: NOW + 5 })],
    1,
    [v(1, { overlapUntil: NOW + 9, revokedAt: NOW }), v(2, { notBefore: NOW + 5 })],
  ],
  ['one that is revoked already: as it was', [v(1, { revokedAt: 5 })], 1, [v(1, { revokedAt: 5 })]],
]

describe('a revocation of', () => {
  for (const [name, versions, version, after] of REVOKED)
    test(name, () => assert.deepEqual(revoke(versions, version, NOW), after))

  test('what is revoked already changes no object', () => {
    const versions = [v(1, { revokedAt: 5 })]
    assert.equal(revoke(versions, null, NOW)[0], versions[0])
  })
})
