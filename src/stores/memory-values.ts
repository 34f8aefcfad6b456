// Small texts in memory, for what must not outlive the process: where there is no sealing key.
import type { Clock, KeyValueStore } from '../model/ports.ts'

export interface MemoryValuesOptions {
  /** Characters of all values together; past it the longest unwritten go. Default: no bound. */
  readonly maxCharacters?: number
}

export function createMemoryValues(
  clock: Pick<Clock, 'now'>,
  { maxCharacters = Number.POSITIVE_INFINITY }: MemoryValuesOptions = {},
): KeyValueStore {
  const entries = new Map<string, { readonly value: string; readonly version: number; readonly endsAt: number }>()
  let characters = 0
  // Counted over all keys, so that one that expired and came again has no old version.
  let versions = 0
  const drop = (key: string): void => {
    characters -= entries.get(key)?.value.length ?? 0
    entries.delete(key)
  }
  const find = (key: string) => {
    const entry = entries.get(key)
    if (entry && entry.endsAt > clock.now()) return entry
    drop(key)
    return null
  }
  return {
    async get(key) {
      const entry = find(key)
      return entry && { value: entry.value, version: entry.version }
    },
    version: async (key) => find(key)?.version ?? null,
    async put(key, value, { ttlMs, ifVersion, keepExpiry }) {
      const before = find(key)
      if ((before?.version ?? null) !== ifVersion) return false
      const anew = ttlMs === null ? Number.POSITIVE_INFINITY : clock.now() + ttlMs
      drop(key)
      entries.set(key, { value, version: ++versions, endsAt: keepExpiry && before ? before.endsAt : anew })
      characters += value.length
      for (const old of entries.keys()) {
        if (characters <= maxCharacters || old === key) break
        drop(old)
      }
      return true
    },
    async delete(key) {
      drop(key)
    },
  }
}
