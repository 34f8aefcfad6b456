// The board on which replicas tell each other of cool-downs, in memory and on a turned clock, with the same lives as in Redis.
// test/unit/stores/redis-cooldowns.test.ts holds the two together.
import type { Clock, CooldownBoard } from '../../src/model/ports.ts'

export interface MemoryCooldowns extends CooldownBoard {
  away: boolean
  readonly entries: readonly string[]
}

export function createMemoryCooldowns(clock: Pick<Clock, 'now'>): MemoryCooldowns {
  const standing = new Map<string, { readonly key: string; readonly replica: string; readonly endsAt: number }>()
  const prune = (): void => {
    for (const [id, { endsAt }] of standing) if (endsAt <= clock.now()) standing.delete(id)
  }
  return {
    away: false,
    get entries() {
      prune()
      return [...standing.keys()]
    },
    async exchange(replica, told) {
      if (this.away) throw new Error('away')
      prune()
      for (const { key, leftMs } of told) {
        const id = `${key}\n${replica}`
        const endsAt = Math.max(clock.now() + Math.ceil(leftMs), standing.get(id)?.endsAt ?? 0)
        standing.set(id, { key, replica, endsAt })
      }
      const others = [...standing].filter(([, entry]) => entry.replica !== replica)
      return others.map(([id, { key, endsAt }]) => ({ id, key, endsAt, leftMs: endsAt - clock.now() }))
    },
  }
}
