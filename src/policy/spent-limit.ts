// How long an upstream asks to be left alone by a 429: Retry-After, the RateLimit header in its drafts' three forms, and the
// X-RateLimit headers that stood for it before. Who waits is not decided here.
import { headerValue, headerValues } from '../model/upstream-response.ts'
import { parseRetryAfter } from './retry-after.ts'

export interface AskedRest {
  readonly ms: number
  /** Name of the header that says so. */
  readonly because: string
}

/** Numbers beyond it are instants since 1970, as some upstreams give them: in seconds, or beyond the second one in ms. */
const INSTANT_FROM_S = 1_000_000_000
const INSTANT_FROM_MS = 1_000_000_000_000

/** Long enough for every policy that anybody has announced, and no work for whoever sends a megabyte. */
const LONGEST_FIELD = 1024

/** `date`: wall clock, ms since 1970. null: the answer does not say. */
export function askedRest(rawHeaders: readonly string[], date: number): AskedRest | null {
  const after = parseRetryAfter(headerValues(rawHeaders, 'retry-after')[0] ?? '', date)
  if (after !== null) return { ms: after, because: 'Retry-After' }
  const combined = headerValue(rawHeaders, 'ratelimit') ?? ''
  const ms = combined.length > LONGEST_FIELD ? null : resetOf(combined)
  if (ms !== null) return { ms, because: 'RateLimit' }
  for (const prefix of ['RateLimit', 'X-RateLimit', 'X-Rate-Limit']) {
    const remaining = headerValues(rawHeaders, `${prefix}-remaining`)[0]?.trim()
    const reset = parseReset(headerValues(rawHeaders, `${prefix}-reset`)[0] ?? '', date)
    // With something remaining it tells of another limit than the one that is spent.
    if (reset !== null && (remaining === undefined || remaining === '0')) return { ms: reset, because: `${prefix}-Reset` }
  }
  return null
}

/**
 * The longest of the spent policies. `"day";r=0;t=50` (draft-ietf-httpapi-ratelimit-headers-08 and later, several by comma), or
 * `limit=100, remaining=0, reset=50` (draft 07 and earlier).
 */
function resetOf(field: string): number | null {
  let longest: number | null = null
  for (const policy of policiesOf(field)) {
    const found = new Map(policy.map((pair) => pair.trim().split('=', 2)).map(([key = '', value = '']) => [key, value.trim()]))
    const [remaining, reset] = [found.get('r') ?? found.get('remaining'), found.get('t') ?? found.get('reset')]
    if (remaining !== '0' || reset === undefined || !/^\d{1,9}$/.test(reset)) continue
    longest = Math.max(longest ?? 0, Number(reset) * 1000)
  }
  return longest
}

function policiesOf(field: string): readonly (readonly string[])[] {
  const items = field.split(',')
  return field.includes(';') ? items.map((item) => item.split(';').slice(1)) : [items]
}

/** Seconds from now, or an instant since 1970 in seconds or ms; null: neither. */
function parseReset(text: string, date: number): number | null {
  const digits = text.trim()
  if (!/^\d{1,15}$/.test(digits)) return null
  const value = Number(digits)
  if (value < INSTANT_FROM_S) return value * 1000
  return Math.max(0, (value < INSTANT_FROM_MS ? value * 1000 : value) - date)
}
