// Until when an answer asks to be left alone: one instant for whoever wants to know, since a wall clock read twice, or read a moment
// before the monotonic one, gives two.
import type { Clock } from '../model/ports.ts'
import { type AskedRest, askedRest } from './spent-limit.ts'

export interface AskedInstant extends AskedRest {
  /** On the monotonic clock, ms. `ms` is how long that was when it was asked first. */
  readonly until: number
}

export interface AskedInstants {
  /** Of the 429 that has these headers; null: it does not say. */
  of(rawHeaders: readonly string[]): AskedInstant | null
}

/** One of an adapter and origin. An answer is known by its headers, for as long as it is there. */
export function createAskedInstants(clock: Pick<Clock, 'now' | 'date'>): AskedInstants {
  const known = new WeakMap<readonly string[], AskedInstant | null>()
  return {
    of(rawHeaders) {
      const before = known.get(rawHeaders)
      if (before !== undefined) return before
      const date = clock.date()
      const from = clock.now() // after the other: what passes between them makes it late, and never early
      const asked = askedRest(rawHeaders, date)
      const instant = asked && { ...asked, until: from + asked.ms }
      known.set(rawHeaders, instant)
      return instant
    },
  }
}
