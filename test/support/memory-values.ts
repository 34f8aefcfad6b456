// A store of small texts in memory, which a test can take away, or look into and change as somebody with the store in hand would.
import { GatewayError } from '../../src/errors/gateway-error.ts'
import type { KeyValueStore } from '../../src/model/ports.ts'

export interface MemoryValues extends KeyValueStore {
  /** True: every question is answered with Overloaded. */
  away: boolean
  readonly entries: Map<string, { value: string; version: number }>
  /** Whole values asked for. */
  reads: number
  /** Runs before each write. */
  beforePut: () => Promise<void>
}

export function createMemoryValues(): MemoryValues {
  const entries = new Map<string, { value: string; version: number }>()
  let next = 1
  const reach = (): void => {
    if (store.away) throw new GatewayError('Overloaded', 'the store (redis at x) is not connected', { retryAfter: 1000 })
  }
  const store: MemoryValues = {
    ...{ away: false, entries, reads: 0, beforePut: async () => {} },
    async get(key) {
      reach()
      store.reads++
      return entries.get(key) ?? null
    },
    async version(key) {
      reach()
      return entries.get(key)?.version ?? null
    },
    async put(key, value, { ifVersion }) {
      reach()
      await store.beforePut()
      if ((entries.get(key)?.version ?? null) !== ifVersion) return false
      entries.set(key, { value, version: next++ })
      return true
    },
    async delete(key) {
      reach()
      entries.delete(key)
    },
  }
  return store
}
