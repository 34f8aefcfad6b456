import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decideExpiryWarning } from '../../../src/credentials/expiry-warning.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

const CASES: [name: string, remaining: number, announced: number | null, verdict: number | null][] = [
  ['far ahead', 31 * DAY, null, null],
  ['a month ahead', 30 * DAY, null, 30 * DAY],
  ['a month ahead, said already', 29 * DAY, 30 * DAY, null],
  ['a week ahead', 7 * DAY, 30 * DAY, 7 * DAY],
  ['three days ahead, first seen', 3 * DAY, null, 7 * DAY],
  ['a day ahead', DAY, 7 * DAY, DAY],
  ['an hour ahead', HOUR, DAY, HOUR],
  ['half an hour ahead, said already', HOUR / 2, HOUR, null],
  ['at the end', 0, HOUR, 0],
  ['long past, said already', -DAY, 0, null],
  ['long past, first seen', -DAY, null, 0],
  ['put off: farther again than what was said', 20 * DAY, DAY, null],
]
for (const [name, remaining, announced, verdict] of CASES)
  test(name, () => assert.equal(decideExpiryWarning(remaining, announced), verdict))
