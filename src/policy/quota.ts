// The quotas of callers, in this process alone: how many calls at once, and how many in a stretch of time. Refused at once,
// never waited for. A caller keeps what it has spent when its configuration is loaded anew.
import type { Rate } from '../model/adapter-policy.ts'
import type { Caller, Quota } from '../model/caller.ts'
import type { Clock, QuotaLevel, QuotaRefusal, Quotas } from '../model/ports.ts'
import { createTokenBucket, type TokenBucket } from './token-bucket.ts'

/** When a place comes free nobody knows. */
const PLACE_RETRY_MS = 1000

interface Spent {
  quota: Quota
  bucket: TokenBucket | null
  inFlight: number
}

export function createQuotas(clock: Pick<Clock, 'now'>): Quotas {
  const byCaller = new Map<string, Spent>()
  const spentOf = (name: string, quota: Quota): Spent => {
    const found = byCaller.get(name)
    if (found?.quota === quota) return found
    const bucket = quota.rate === null ? null : createTokenBucket(quota.rate, clock)
    if (!found) {
      const fresh = { quota, bucket, inFlight: 0 }
      byCaller.set(name, fresh)
      return fresh
    }
    if (!sameRate(found.quota.rate, quota.rate)) found.bucket = bucket
    found.quota = quota
    return found
  }
  const refusalFor = ({ name }: Caller, { quota, bucket, inFlight }: Spent, take: boolean): QuotaRefusal | null => {
    if (quota.concurrency !== null && inFlight >= quota.concurrency)
      return {
        because: `caller "${name}" has as many calls under way as its quota.concurrency allows: ${quota.concurrency}`,
        retryAfterMs: PLACE_RETRY_MS,
      }
    if (bucket === null || (take ? bucket.tryTake() : bucket.msUntil(1) === 0)) return null
    const retryAfterMs = bucket.msUntil(1)
    return { because: `caller "${name}" has spent its quota.rate; the next call may come in ${retryAfterMs} ms`, retryAfterMs }
  }
  return {
    enter(caller) {
      if (caller.quota === undefined) return null
      const spent = spentOf(caller.name, caller.quota)
      const refusal = refusalFor(caller, spent, true)
      if (refusal === null || caller.observe) spent.inFlight++
      return refusal
    },
    leave({ name }) {
      const spent = byCaller.get(name)
      if (spent) spent.inFlight--
    },
    peek: (caller) => (caller.quota === undefined ? null : refusalFor(caller, spentOf(caller.name, caller.quota), false)),
    levels: (caller) => (caller.quota === undefined ? [] : levelsOf(caller.name, spentOf(caller.name, caller.quota))),
  }
}

function levelsOf(caller: string, { quota: { concurrency }, bucket, inFlight }: Spent): readonly QuotaLevel[] {
  const levels: QuotaLevel[] = []
  if (bucket !== null) levels.push({ caller, quota: 'rate', left: bucket.left() })
  // Callers that are only observed may have more under way.
  if (concurrency !== null) levels.push({ caller, quota: 'concurrency', left: Math.max(0, 1 - inFlight / concurrency) })
  return levels
}

function sameRate(before: Rate | null, now: Rate | null): boolean {
  return before?.count === now?.count && before?.perMs === now?.perMs && before?.burst === now?.burst
}
