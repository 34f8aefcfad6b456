// The quotas of callers: how many calls at once, in this process alone, and how many in a stretch of time. Refused at once, never
// waited for. A caller keeps what it has spent when its configuration is loaded anew.
import type { Rate } from '../model/adapter-policy.ts'
import type { Caller, Quota } from '../model/caller.ts'
import type { QuotaLevel, QuotaRefusal, Quotas } from '../model/ports.ts'
import type { OpenBucket, TokenBucket } from './token-bucket.ts'

/** When a place comes free nobody knows. */
const PLACE_RETRY_MS = 1000

interface Spent {
  quota: Quota
  bucket: TokenBucket | null
  inFlight: number
}

export function createQuotas(openBucket: OpenBucket): Quotas {
  const byCaller = new Map<string, Spent>()
  const spentOf = (name: string, quota: Quota): Spent => {
    const found = byCaller.get(name)
    if (found?.quota === quota) return found
    const open = (): TokenBucket | null => quota.rate && openBucket(`caller ${name}`, quota.rate)
    if (!found) {
      const fresh = { quota, bucket: open(), inFlight: 0 }
      byCaller.set(name, fresh)
      return fresh
    }
    if (!sameRate(found.quota.rate, quota.rate)) {
      found.bucket?.close()
      found.bucket = open()
    }
    found.quota = quota
    return found
  }
  const noPlace = ({ name }: Caller, { quota, inFlight }: Spent): QuotaRefusal | null =>
    quota.concurrency === null || inFlight < quota.concurrency
      ? null
      : {
          because: `caller "${name}" has as many calls under way as its quota.concurrency allows: ${quota.concurrency}`,
          retryAfterMs: PLACE_RETRY_MS,
        }
  const rateSpent = ({ name }: Caller, bucket: TokenBucket): QuotaRefusal => {
    const retryAfterMs = bucket.msUntil(1)
    return { because: `caller "${name}" has spent its quota.rate; the next call may come in ${retryAfterMs} ms`, retryAfterMs }
  }
  const enter: Quotas['enter'] = (caller) => {
    if (caller.quota === undefined) return null
    const spent = spentOf(caller.name, caller.quota)
    const { bucket } = spent
    let refusal = noPlace(caller, spent)
    if (refusal === null && bucket !== null && !bucket.tryTake()) {
      const asked = bucket.ask(1, false)
      if (asked !== null) return asked.then(() => enter(caller))
      refusal = rateSpent(caller, bucket)
    }
    if (refusal === null || caller.observe) spent.inFlight++
    return refusal
  }
  return {
    enter,
    leave({ name }) {
      const spent = byCaller.get(name)
      if (spent) spent.inFlight--
    },
    peek(caller) {
      if (caller.quota === undefined) return null
      const spent = spentOf(caller.name, caller.quota)
      const { bucket } = spent
      return noPlace(caller, spent) ?? (bucket === null || bucket.msUntil(1) === 0 ? null : rateSpent(caller, bucket))
    },
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
