// Outcomes by idempotency key in this process alone: for `idempotency: local`. Bounded in number and in bytes; what is over
// the bound goes oldest first, claims of calls under way excepted.
import type { Clock, IdempotencyClaim, IdempotencyStore } from '../model/ports.ts'
import { RETAIN_LOST_MS } from './retain-lost.ts'

export interface MemoryIdempotencyOptions {
  readonly clock: Clock
  /** Keys remembered. Default 10,000. */
  readonly maxKeys?: number
  /** Characters of all outcomes together. Default 64 Mi. */
  readonly maxCharacters?: number
}

interface Entry {
  readonly fingerprint: string
  readonly outcome: string | null
  /** On the monotonic clock, ms. */
  readonly leaseEnds: number
  readonly expires: number
}

export function createMemoryIdempotency({
  clock,
  maxKeys = 10_000,
  maxCharacters = 64 * 1024 * 1024,
}: MemoryIdempotencyOptions): IdempotencyStore {
  const entries = new Map<string, Entry>()
  let characters = 0

  const drop = (key: string): void => {
    characters -= entries.get(key)?.outcome?.length ?? 0
    entries.delete(key)
  }
  const put = (key: string, entry: Entry): void => {
    drop(key)
    entries.set(key, entry)
    characters += entry.outcome?.length ?? 0
    const now = clock.now()
    for (const [old, { outcome, leaseEnds, expires }] of entries) {
      if (entries.size <= maxKeys && characters <= maxCharacters) break
      const underWay = outcome === null && now < leaseEnds && now < expires
      if (!underWay && old !== key) drop(old)
    }
  }
  const mine = (key: string, claimed: Entry): IdempotencyClaim => ({
    state: 'mine',
    async complete(outcome, ttlMs) {
      const current = entries.get(key)
      if (current && current !== claimed) return
      put(key, { ...claimed, outcome, expires: clock.now() + ttlMs })
    },
    async release() {
      if (entries.get(key) === claimed) drop(key)
    },
  })

  return {
    async claim(key, fingerprint, leaseMs) {
      const now = clock.now()
      const found = entries.get(key)
      if (found && now < found.expires) {
        if (found.fingerprint !== fingerprint) return { state: 'conflict' }
        if (found.outcome !== null) return { state: 'done', outcome: found.outcome }
        return { state: now < found.leaseEnds ? 'running' : 'lost' }
      }
      const entry: Entry = { fingerprint, outcome: null, leaseEnds: now + leaseMs, expires: now + leaseMs + RETAIN_LOST_MS }
      put(key, entry)
      return mine(key, entry)
    },
  }
}
