// How many retries an adapter may add to its traffic. Counted over recent requests, not over those in flight: when a
// host blacks out, those in flight grow few just as retries are wanted, or many just as they hurt.
import type { Clock } from '../model/ports.ts'

export interface RetryBudget {
  /** A first try was made. */
  countRequest(): void
  /** Spends one retry; false: there is none left. */
  tryRetry(): boolean
}

const BUCKET_MS = 1000
const BUCKETS = 10
/** Always allowed in one window, so that a quiet adapter may retry at all. */
const FLOOR = 10

/** `ratio`: retries allowed per recent request, 0-1. The window is 10 s, in steps of one. */
export function createRetryBudget(ratio: number, clock: Pick<Clock, 'now'>): RetryBudget {
  const requests = new Array<number>(BUCKETS).fill(0)
  const retries = new Array<number>(BUCKETS).fill(0)
  let current = Math.floor(clock.now() / BUCKET_MS)

  /** Empties the buckets that fell out of the window; returns the one of this moment. */
  const turn = (): number => {
    const now = Math.floor(clock.now() / BUCKET_MS)
    for (let step = Math.max(current, now - BUCKETS) + 1; step <= now; step++) {
      requests[step % BUCKETS] = 0
      retries[step % BUCKETS] = 0
    }
    current = now
    return now % BUCKETS
  }

  return {
    countRequest() {
      const at = turn()
      requests[at] = (requests[at] ?? 0) + 1
    },
    tryRetry() {
      const at = turn()
      if (sum(retries) + 1 > Math.max(FLOOR, sum(requests) * ratio)) return false
      retries[at] = (retries[at] ?? 0) + 1
      return true
    },
  }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0)
}
