// How many requests may be under way while the event loop keeps up: cut when it falls behind, raised step by step while it does
// not (additive increase, multiplicative decrease). Knows no timer: somebody tells it how late the loop is, at even intervals.

export interface LoadLimit {
  /** `underWay`: requests being served, this one included. */
  admits(underWay: number): boolean
  /** How late the loop was since the last time it was told, ms, and the most requests under way in that time. */
  observe(lateMs: number, mostUnderWay: number): void
  readonly limit: number
}

/** One late turn may be a garbage collection; only a loop that stays late has too much to do. */
const LATE_TURNS = 2
const CUT = 0.7
const RAISE = 0.1
/** Never cut below it: a gateway that serves nobody cannot find out that it could. */
const FLOOR = 16

/** `targetMs`: the lateness at which the limit is cut. `most`: what it never exceeds. */
export function createLoadLimit({ targetMs, most }: { readonly targetMs: number; readonly most: number }): LoadLimit {
  let limit = most
  let late = 0
  return {
    admits: (underWay) => underWay <= limit,
    observe(lateMs, mostUnderWay) {
      late = lateMs > targetMs ? late + 1 : 0
      if (late === 0) limit = Math.min(most, limit + Math.max(FLOOR, Math.round(limit * RAISE)))
      else if (late >= LATE_TURNS) limit = Math.max(Math.min(FLOOR, most), Math.round(Math.min(limit, mostUnderWay) * CUT))
    },
    get limit() {
      return limit
    },
  }
}
