// When each key was last used, to the minute: noted in memory at every call, written in batches, never by a call. For people
// who want to know whether a key can go; nothing is decided by it.
import type { TextSealer } from '../credentials/seal-text.ts'
import type { Clock, KeyValueStore, Logger } from '../model/ports.ts'

export interface KeyUse {
  note(keyId: string): void
  /** Ms since 1970 by key id, of all replicas; what this one has not written yet included. Rejects with Overloaded where the store is away. */
  read(): Promise<ReadonlyMap<string, number>>
  /** Writes what is left, and ends. Never rejects. */
  close(): Promise<void>
}

export interface KeyUsePorts {
  readonly store: KeyValueStore
  readonly sealer: TextSealer
  readonly clock: Clock
  readonly log: Logger
}

/** Where the document stands, and what it is sealed for. */
export const CALLER_KEY_USE = { key: 'caller-key-use', purpose: 'caller key use' } as const
const { key: KEY, purpose: PURPOSE } = CALLER_KEY_USE
const MINUTE_MS = 60_000
/** Replicas write at about the same time; whoever loses its turns tries again in the next round. */
const MAX_TRIES = 5
const FORGOTTEN_AFTER_MINUTES = 400 * 24 * 60

/** Minutes since 1970 by key id. */
type Minutes = Record<string, number>

export function createKeyUse({ store, sealer, clock, log }: KeyUsePorts): KeyUse {
  const seen = new Map<string, number>()
  let unwritten = new Set<string>()
  let stopTimer: (() => void) | null = null
  let closed = false

  const stored = async (): Promise<{ readonly minutes: Minutes; readonly version: number | null }> => {
    const found = await store.get(KEY)
    if (found === null) return { minutes: {}, version: null }
    try {
      return { minutes: JSON.parse(sealer.open(PURPOSE, found.value)) as Minutes, version: found.version }
    } catch {
      // Edited, or under a key that is gone: begun anew.
      return { minutes: {}, version: found.version }
    }
  }
  const merged = (minutes: Minutes): Minutes => {
    const oldest = Math.floor(clock.date() / MINUTE_MS) - FORGOTTEN_AFTER_MINUTES
    const all: Minutes = Object.fromEntries(Object.entries(minutes).filter(([, minute]) => minute > oldest))
    for (const [id, minute] of seen) all[id] = Math.max(minute, all[id] ?? 0)
    return all
  }
  const write = async (): Promise<void> => {
    if (unwritten.size === 0) return
    const writing = unwritten
    unwritten = new Set()
    try {
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const { minutes, version } = await stored()
        const sealed = sealer.seal(PURPOSE, JSON.stringify(merged(minutes)))
        if (await store.put(KEY, sealed, { ttlMs: null, ifVersion: version })) return
      }
    } catch {
      log.log('debug', 'use of caller keys not written', { count: writing.size })
    }
    for (const id of writing) unwritten.add(id)
  }
  /** Armed by what is noted; what could not be written arms it again. */
  const arm = (): void => {
    if (closed || stopTimer !== null) return
    stopTimer = clock.after(MINUTE_MS, () => {
      stopTimer = null
      void write().then(() => (unwritten.size > 0 ? arm() : undefined))
    })
  }

  return {
    note(keyId) {
      const minute = Math.floor(clock.date() / MINUTE_MS)
      if (seen.get(keyId) === minute) return
      seen.set(keyId, minute)
      unwritten.add(keyId)
      arm()
    },
    async read() {
      const { minutes } = await stored()
      return new Map(Object.entries(merged(minutes)).map(([id, minute]) => [id, minute * MINUTE_MS]))
    },
    async close() {
      closed = true
      stopTimer?.()
      await write()
    },
  }
}
