// How long a key of a pool is set aside after an answer that it may be the cause of. credentials/key-pool.ts keeps the times.
import type { KeyRefusal, KeyRest } from '../model/credential-scheme.ts'
import { headerValues } from '../model/upstream-response.ts'
import { parseRetryAfter } from './retry-after.ts'

/** After a 429 that does not say, doubling from refusal to refusal. */
const LIMITED_MS = 30_000
const LIMITED_MAX_MS = 900_000
/** After a 401, likewise: a key that was taken back does not come back by itself. */
const REFUSED_MS = 300_000
/** However long an upstream asks for: a wrong header must not cost a key for a day. */
const LONGEST_MS = 3_600_000

/** Numbers beyond it are instants in seconds since 1970, as some upstreams give them. */
const INSTANT_FROM_S = 1_000_000_000

/** `refusals`: in a row with this one, from 1. `date`: wall clock, ms. */
export function restAfter({ status, rawHeaders, refusals, date }: KeyRefusal): KeyRest {
  if (status === 401) return { ms: doubled(REFUSED_MS, LONGEST_MS, refusals), because: 'it was refused' }
  const value = (name: string): string => headerValues(rawHeaders, name)[0] ?? ''
  const after = parseRetryAfter(value('retry-after'), date)
  if (after !== null) return { ms: Math.min(after, LONGEST_MS), because: 'Retry-After' }
  for (const name of ['RateLimit-Reset', 'X-RateLimit-Reset']) {
    const reset = parseReset(value(name), date)
    if (reset !== null) return { ms: Math.min(reset, LONGEST_MS), because: name }
  }
  return { ms: doubled(LIMITED_MS, LIMITED_MAX_MS, refusals), because: 'its limit is spent' }
}

const doubled = (first: number, longest: number, refusals: number): number =>
  Math.min(first * 2 ** Math.min(refusals - 1, 20), longest)

/** Seconds from now, or the instant in seconds since 1970; null: neither. */
function parseReset(text: string, date: number): number | null {
  if (!/^\d{1,15}$/.test(text.trim())) return null
  const seconds = Number(text)
  return seconds < INSTANT_FROM_S ? seconds * 1000 : Math.max(0, seconds * 1000 - date)
}
