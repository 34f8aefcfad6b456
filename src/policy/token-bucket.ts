// A supplier's quota as a bucket: `burst` tokens, refilled evenly at count / perMs. It only counts; who waits, and in which
// order, is layers/rate-limit.ts.
import type { Rate } from '../model/adapter-policy.ts'
import type { Clock } from '../model/ports.ts'

export interface TokenBucket {
  /** True: one token is spent. */
  tryTake(): boolean
  /** Whole ms until the `n`-th token from now can be spent, if everyone ahead spends theirs as it comes. 0: at once. */
  msUntil(n: number): number
  /** What can be spent at once, of the burst: 0 to 1. */
  left(): number
}

/** Forgives the rounding of many small refills. */
const EPSILON = 1e-9

/** Starts full. */
export function createTokenBucket(rate: Rate, clock: Pick<Clock, 'now'>): TokenBucket {
  const perMs = rate.count / rate.perMs
  let tokens = rate.burst
  let filledAt = clock.now()

  const refill = (): void => {
    const now = clock.now()
    tokens = Math.min(rate.burst, tokens + (now - filledAt) * perMs)
    filledAt = now
  }

  return {
    tryTake() {
      refill()
      if (tokens < 1 - EPSILON) return false
      tokens -= 1
      return true
    },
    msUntil(n) {
      refill()
      return Math.max(0, Math.ceil((n - tokens) / perMs - EPSILON))
    },
    left() {
      refill()
      return tokens / rate.burst
    },
  }
}
