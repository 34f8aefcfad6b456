// How many tries an adapter's calls come to while they fail: retries hide failures from callers and add load to who is in trouble.
// It only counts and says when somebody should be told.
import type { Clock } from '../model/ports.ts'

export interface Amplification {
  /** A first try was made. */
  countCall(): void
  /** A further one is made. Not null: too many were, as counted since the window began, and it is time to say so. */
  countRetry(): { readonly calls: number; readonly attempts: number } | null
}

const WINDOW_MS = 10_000
/** Tries a call, as in the alert SallyportRetryAmplification. */
const TOO_MANY = 1.5
/** Of fewer calls the ratio says little: two that fail are soon six tries. */
const FEWEST_CALLS = 20
/** How long until it is said again. */
const QUIET_MS = 60_000

/** One of an adapter, all its origins together. */
export function createAmplification(clock: Pick<Clock, 'now'>): Amplification {
  let from = clock.now()
  let calls = 0
  let retries = 0
  let saidAt = Number.NEGATIVE_INFINITY
  const turn = (): void => {
    const now = clock.now()
    if (now - from < WINDOW_MS) return
    from = now
    calls = 0
    retries = 0
  }
  return {
    countCall() {
      turn()
      calls++
    },
    countRetry() {
      turn()
      retries++
      if (calls < FEWEST_CALLS || calls + retries <= calls * TOO_MANY) return null
      if (clock.now() - saidAt < QUIET_MS) return null
      saidAt = clock.now()
      return { calls, attempts: calls + retries }
    },
  }
}
