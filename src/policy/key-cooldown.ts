// How long a key of a pool is set aside after an answer that it may be the cause of. credentials/key-pool.ts keeps the times.
import type { KeyRefusal, KeyRest } from '../model/credential-scheme.ts'
import { askedRest } from './spent-limit.ts'

/** After a 429 that does not say, doubling from refusal to refusal. */
const LIMITED_MS = 30_000
const LIMITED_MAX_MS = 900_000
/** After a 401, likewise: a key that was taken back does not come back by itself. */
const REFUSED_MS = 300_000
/** However long an upstream asks for: a wrong header must not cost a key for a day. */
const LONGEST_MS = 3_600_000

/** `refusals`: in a row with this one, from 1. `date`: wall clock, ms. */
export function restAfter({ status, rawHeaders, refusals, date }: KeyRefusal): KeyRest {
  if (status === 401) return { ms: doubled(REFUSED_MS, LONGEST_MS, refusals), because: 'it was refused' }
  const asked = askedRest(rawHeaders, date)
  if (asked !== null) return { ms: Math.min(asked.ms, LONGEST_MS), because: asked.because }
  return { ms: doubled(LIMITED_MS, LIMITED_MAX_MS, refusals), because: 'its limit is spent' }
}

const doubled = (first: number, longest: number, refusals: number): number =>
  Math.min(first * 2 ** Math.min(refusals - 1, 20), longest)
