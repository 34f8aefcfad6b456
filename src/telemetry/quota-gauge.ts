// What callers have left of their quotas as a gauge, read off at the scrape. Callers are named in the configuration, and bounded
// all the same.
import type { QuotaLevel } from '../model/ports.ts'
import type { Exposition } from './exposition.ts'
import { SERIES } from './series.ts'

/** `maxNames`: callers kept apart; of those past it the least left counts, as `other`. */
export function createQuotaGauge({ gauge }: Exposition, maxNames: number): (levels: Iterable<QuotaLevel>) => void {
  const left = gauge(SERIES.callerQuotaLeft)
  return (levels) => {
    // A caller whose quota was lifted must not keep its last value.
    left.reset()
    const named = new Set<string>()
    const others = new Map<QuotaLevel['quota'], number>()
    for (const level of levels) {
      if (named.size < maxNames) named.add(level.caller)
      if (named.has(level.caller)) left.set({ caller: level.caller, quota: level.quota }, level.left)
      else others.set(level.quota, Math.min(others.get(level.quota) ?? 1, level.left))
    }
    for (const [quota, least] of others) left.set({ caller: 'other', quota }, least)
  }
}
