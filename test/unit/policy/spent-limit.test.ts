import assert from 'node:assert/strict'
import { test } from 'node:test'
import { askedRest } from '../../../src/policy/spent-limit.ts'

const DATE = Date.UTC(2026, 0, 1)
const seconds = (from: number): string => String(DATE / 1000 + from)

const CASES: [name: string, headers: readonly string[], ms: number | null, because?: string][] = [
  ['nothing said', ['content-type', 'text/plain'], null],
  ['Retry-After', ['Retry-After', '7'], 7000, 'Retry-After'],
  ['Retry-After before all others', ['RateLimit', '"a";r=0;t=3', 'Retry-After', '7'], 7000, 'Retry-After'],
  ['structured field', ['RateLimit', '"day";r=0;t=50'], 50_000, 'RateLimit'],
  [
    'structured field, several: the longest spent one',
    ['RateLimit', '"s";r=0;t=1, "h";r=0;t=40,"d";r=9;t=9000'],
    40_000,
    'RateLimit',
  ],
  ['structured field on two lines', ['RateLimit', '"s";r=0;t=1', 'ratelimit', '"h";t=40;r=0'], 40_000, 'RateLimit'],
  ['structured field with something left', ['RateLimit', '"day";r=5;t=50'], null],
  ['structured field that does not say when', ['RateLimit', '"day";r=0'], null],
  ['draft 07', ['RateLimit', 'limit=100, remaining=0, reset=50'], 50_000, 'RateLimit'],
  ['draft 07 with something left', ['RateLimit', 'limit=100, remaining=2, reset=50'], null],
  ['draft 03', ['RateLimit-Remaining', '0', 'RateLimit-Reset', '9'], 9000, 'RateLimit-Reset'],
  ['no remaining', ['RateLimit-Reset', '9'], 9000, 'RateLimit-Reset'],
  ['vendor, delta', ['X-RateLimit-Remaining', '0', 'X-RateLimit-Reset', '12'], 12_000, 'X-RateLimit-Reset'],
  ['vendor, epoch seconds', ['x-ratelimit-remaining', '0', 'x-ratelimit-reset', seconds(12)], 12_000, 'X-RateLimit-Reset'],
  ['vendor, epoch ms', ['X-RateLimit-Reset', String(DATE + 1500)], 1500, 'X-RateLimit-Reset'],
  ['vendor, past', ['X-RateLimit-Reset', seconds(-5)], 0, 'X-RateLimit-Reset'],
  ['vendor, something left', ['X-RateLimit-Remaining', '3', 'X-RateLimit-Reset', '12'], null],
  ['vendor, with hyphens', ['X-Rate-Limit-Remaining', '0', 'X-Rate-Limit-Reset', '12'], 12_000, 'X-Rate-Limit-Reset'],
  ['no number', ['RateLimit-Reset', '1e3'], null],
  ['a field of a megabyte', ['RateLimit', `"a";r=0;t=1,${' '.repeat(1_000_000)}`], null],
]

for (const [name, headers, ms, because] of CASES)
  test(name, () => assert.deepEqual(askedRest(headers, DATE), ms === null ? null : { ms, because }))
