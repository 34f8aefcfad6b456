// Small texts in memory, for what must not outlive the process: where there is no sealing key.
import type { Clock, KeyValueStore } from '../model/ports.ts'

export function createMemoryValues(clock: Pick<Clock, 'now'>): KeyValueStore {
  const entries = new Map<string, { readonly value: string; readonly version: number; readonly endsAt: number }>()
  // Counted over all keys, so that one that expired and came again has no old version.
  let versions = 0
  const find = (key: string) => {
    const entry = entries.get(key)
    if (entry && entry.endsAt > clock.now()) return entry
    entries.delete(key)
    return null
  }
  return {
    async get(key) {
      const entry = find(key)
      return entry && { value: entry.value, version: entry.version }
    },
    version: async (key) => find(key)?.version ?? null,
    async put(key, value, { ttlMs, ifVersion }) {
      if ((find(key)?.version ?? null) !== ifVersion) return false
      entries.set(key, { value, version: ++versions, endsAt: ttlMs === null ? Number.POSITIVE_INFINITY : clock.now() + ttlMs })
      return true
    },
    async delete(key) {
      entries.delete(key)
    },
  }
}
