// The buckets that replicas share, in memory and on a given clock, line for line as the script in Redis keeps them.
// test/unit/stores/redis-rates.test.ts holds the two together.
import type { RateAnswer, RateRequest, RateStore } from '../../src/model/ports.ts'

interface Lease {
  amount: number
  turn: number
  ends: number
  since: number | null
}

interface Bucket {
  level: number
  at: number
  leases: Map<string, Lease>
  ends: number
}

/** `now` in ms. `forget` empties it, as a Redis without persistence is after a restart. */
export function createMemoryRates(now: () => number): RateStore & { forget(): void } {
  const buckets = new Map<string, Bucket>()
  return {
    forget: () => buckets.clear(),
    async exchange(request) {
      const found = buckets.get(request.bucket)
      const at = now()
      const bucket = found && found.ends > at ? structuredClone(found) : { level: request.start, at, leases: new Map(), ends: 0 }
      const answer = exchange(bucket, request, at)
      if (answer === null) return { granted: 0, level: found?.level ?? 0, waiting: 0, before: 0 }
      buckets.set(request.bucket, bucket)
      return answer
    },
  }
}

/** null: a later request came first, and nothing is changed. */
function exchange(bucket: Bucket, request: RateRequest, now: number): RateAnswer | null {
  const { rate, holder, turn, kept, need, inLine, ahead, leaseMs } = request
  const { leases } = bucket
  const perMs = rate.count / rate.perMs
  const out = (): number => [...leases.values()].reduce((sum, { amount }) => sum + amount, 0)
  const refill = (to: number): void => {
    if (to <= bucket.at) return
    const free = Math.max(0, rate.burst - bucket.level - out())
    const due = (to - bucket.at) * perMs
    bucket.level += Math.min(free, due)
    bucket.at = due < free ? to : Math.min(to, bucket.at + free / perMs)
  }
  const settle = (to: number): void => {
    refill(to)
    bucket.at = Math.max(bucket.at, to)
  }
  const ended = [...leases].filter(([, { ends }]) => ends <= now)
  settle(Math.max(bucket.at, ...ended.map(([, { ends }]) => ends)))
  for (const [id] of ended) leases.delete(id)

  const mine = leases.get(holder)
  if (mine && turn <= mine.turn) return null
  if (mine) {
    const returned = Math.min(request.returned, Math.max(0, mine.amount - kept))
    if (mine.amount > kept + returned) settle(Math.max(now - request.idleMs, mine.ends - leaseMs))
    bucket.level += returned
  }
  leases.set(holder, { amount: kept, turn, ends: now + leaseMs, since: null })
  refill(now)
  if (out() === 0) bucket.at = Math.max(bucket.at, now)
  bucket.level = Math.min(bucket.level, Math.max(0, rate.burst - out()))

  const since = inLine ? (mine?.since ?? null) : null
  const line = [...leases].flatMap(([id, lease]) => (id === holder || lease.since === null ? [] : [lease.since]))
  const before = line.filter((other) => since === null || other < since).length
  const spare = line.length === 0 ? Math.min(ahead, Math.floor(rate.burst / (2 * leases.size))) - kept : 0
  const free = Math.floor(bucket.level + 1e-9) - before
  const granted = Math.max(0, Math.min(free, need + Math.max(0, spare)))
  bucket.level -= granted
  const waitsSince = !inLine || granted >= need ? null : granted > 0 || since === null ? now : since
  leases.delete(holder)
  if (kept + granted > 0 || waitsSince !== null)
    leases.set(holder, { amount: kept + granted, turn, ends: now + leaseMs, since: waitsSince })
  bucket.ends = now + Math.ceil(rate.burst / perMs) + leaseMs
  return { granted, level: bucket.level, waiting: line.length, before }
}
