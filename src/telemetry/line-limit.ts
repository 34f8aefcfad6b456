// How often one kind of log line may appear: a flapping breaker or store must not fill the disk. Call lines are not limited.

export interface LineLimit {
  /** null: leave this line out. Else how many of its kind were left out since the last one written. `now` in ms. */
  admit(event: string, now: number): { readonly suppressed: number } | null
}

/** A bucket per event: `burst` lines at once (default 50), refilled at `perSecond` (default 5). */
export function createLineLimit(burst = 50, perSecond = 5): LineLimit {
  // Events are names in our own code, so the map is as small as their number.
  const buckets = new Map<string, { tokens: number; at: number; suppressed: number }>()
  return {
    admit(event, now) {
      let bucket = buckets.get(event)
      if (!bucket) {
        bucket = { tokens: burst, at: now, suppressed: 0 }
        buckets.set(event, bucket)
      }
      bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond)
      bucket.at = now
      if (bucket.tokens < 1) {
        bucket.suppressed++
        return null
      }
      bucket.tokens--
      const { suppressed } = bucket
      bucket.suppressed = 0
      return { suppressed }
    },
  }
}
