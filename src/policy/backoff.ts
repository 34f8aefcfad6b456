// How long a retry waits when the upstream did not say: exponential with full jitter, the first wait included, so that
// callers who failed together do not come back together.
import type { Random } from '../model/ports.ts'

export interface BackoffRules {
  /** 0: no wait. */
  readonly backoffFactorMs: number
  readonly backoffMaxMs: number
}

/** Whole ms before retry `k` (from 1): random(0, min(backoffMax, backoffFactor·2^(k-1))). */
export function backoffMs(k: number, rules: BackoffRules, random: Random): number {
  return Math.round(random() * Math.min(rules.backoffMaxMs, rules.backoffFactorMs * 2 ** (k - 1)))
}
