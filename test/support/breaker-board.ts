// The board on which replicas tell each other of their breakers, in memory and on a turned clock, with the same lives as in Redis.
// test/unit/stores/redis-breakers.test.ts holds the two together.
import type { BreakerBoard, Clock } from '../../src/model/ports.ts'

const TTL_MS = 2000
const TOLD_MS = 10_000

export function createMemoryBoard(clock: Pick<Clock, 'now'>): BreakerBoard & { away: boolean } {
  const replicas = new Map<string, number>()
  const votes = new Map<string, number>()
  const leases = new Map<string, { readonly replica: string; readonly until: number }>()
  const recovered = new Map<string, number>()
  const board = {
    away: false,
    async exchange({ replica, tripped, wanted, recovered: told }: Parameters<BreakerBoard['exchange']>[0]) {
      if (board.away) throw new Error('away')
      const now = clock.now()
      replicas.set(replica, now + TTL_MS)
      for (const [name, until] of replicas) if (until <= now) replicas.delete(name)
      for (const [vote, until] of votes) if (until <= now || vote.endsWith(`\n${replica}`)) votes.delete(vote)
      for (const [key, { until }] of leases) if (until <= now) leases.delete(key)
      for (const [key, at] of recovered) if (at <= now - TOLD_MS) recovered.delete(key)
      for (const key of told) recovered.set(key, now)
      for (const key of tripped) votes.set(`${key}\n${replica}`, now + TTL_MS)
      const counted = new Map<string, number>()
      for (const vote of votes.keys()) {
        const key = vote.split('\n')[0] ?? ''
        const at = recovered.get(key)
        if (at === undefined || at + TTL_MS < now) counted.set(key, (counted.get(key) ?? 0) + 1)
      }
      for (const key of wanted)
        if ((leases.get(key)?.replica ?? replica) === replica) leases.set(key, { replica, until: now + TTL_MS })
      const granted = new Set([...leases].filter(([, holder]) => holder.replica === replica).map(([key]) => key))
      return { live: replicas.size, votes: counted, leases: granted, recovered: new Map(recovered) }
    },
  }
  return board
}
