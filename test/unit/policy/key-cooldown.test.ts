import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KeyRefusal } from '../../../src/model/credential-scheme.ts'
import { restAfter } from '../../../src/policy/key-cooldown.ts'

const DATE = Date.UTC(2026, 0, 1)
const inSeconds = (seconds: number): string => String(DATE / 1000 + seconds)

const CASES: [name: string, given: Partial<KeyRefusal>, ms: number, because: string][] = [
  ['429 with Retry-After in seconds', { rawHeaders: ['retry-after', '7'] }, 7000, 'Retry-After'],
  [
    '429 with Retry-After as a date',
    { rawHeaders: ['Retry-After', new Date(DATE + 90_000).toUTCString()] },
    90_000,
    'Retry-After',
  ],
  ['429 with Retry-After 0', { rawHeaders: ['Retry-After', '0'] }, 0, 'Retry-After'],
  ['Retry-After before a reset', { rawHeaders: ['RateLimit-Reset', '9', 'Retry-After', '7'] }, 7000, 'Retry-After'],
  [
    'a Retry-After that is none, then a reset',
    { rawHeaders: ['Retry-After', 'soon', 'ratelimit-reset', '9'] },
    9000,
    'RateLimit-Reset',
  ],
  ['a reset as an instant', { rawHeaders: ['X-RateLimit-Reset', inSeconds(12)] }, 12_000, 'X-RateLimit-Reset'],
  ['an instant that has passed', { rawHeaders: ['X-RateLimit-Reset', inSeconds(-12)] }, 0, 'X-RateLimit-Reset'],
  ['a wait of a year', { rawHeaders: ['Retry-After', '31536000'] }, 3_600_000, 'Retry-After'],
  ['429 that does not say', {}, 30_000, 'its limit is spent'],
  ['the second in a row', { refusals: 2 }, 60_000, 'its limit is spent'],
  ['the hundredth in a row', { refusals: 100 }, 900_000, 'its limit is spent'],
  ['a reset that is no number', { rawHeaders: ['RateLimit-Reset', '1e3'] }, 30_000, 'its limit is spent'],
  ['401', { status: 401 }, 300_000, 'it was refused'],
  ['401, whatever it says', { status: 401, rawHeaders: ['Retry-After', '1'] }, 300_000, 'it was refused'],
  ['the second 401', { status: 401, refusals: 2 }, 600_000, 'it was refused'],
  ['the hundredth 401', { status: 401, refusals: 100 }, 3_600_000, 'it was refused'],
]

for (const [name, given, ms, because] of CASES)
  test(name, () =>
    assert.deepEqual(restAfter({ status: 429, rawHeaders: [], refusals: 1, date: DATE, ...given }), { ms, because }),
  )
