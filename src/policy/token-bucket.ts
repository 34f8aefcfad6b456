// A supplier's quota as a bucket: `burst` tokens, refilled evenly at count / perMs. It only counts; who waits, and in which
// order, is layers/rate-limit.ts. The one that replicas share is adapters/shared-rates.ts.
import type { Rate } from '../model/adapter-policy.ts'
import type { Clock } from '../model/ports.ts'

export interface TokenBucket {
  /** True: one token is spent. */
  tryTake(): boolean
  /** Whole ms until the `n`-th token from now can be spent, if everyone ahead spends theirs as it comes. 0: at once. */
  msUntil(n: number): number
  /** What can be spent at once, of the burst: 0 to 1. */
  left(): number
  /**
   * After `tryTake` found none: asks for `n` tokens where others share the bucket and may have left some; null: there is nobody
   * to ask, or they said no just now. Resolves within a tenth of a second, and `tryTake` knows more. `inLine`: whoever asks goes on
   * waiting for its turn.
   */
  ask(n: number, inLine: boolean): Promise<void> | null
  /** Gives back to others what it has in hand. */
  close(): void
}

/** Opens the bucket of that name. */
export type OpenBucket = (name: string, rate: Rate) => TokenBucket

/** Forgives the rounding of many small refills. */
const EPSILON = 1e-9

/** Starts full. `emptyAt`: it was empty then, by the clock's `now`. */
export function createTokenBucket(rate: Rate, clock: Pick<Clock, 'now'>, emptyAt: number | null = null): TokenBucket {
  const perMs = rate.count / rate.perMs
  let tokens = emptyAt === null ? rate.burst : 0
  let filledAt = emptyAt ?? clock.now()

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
    ask: () => null,
    close() {},
  }
}
