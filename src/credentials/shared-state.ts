// What replicas share of a credential, in the key-value store: sealed for that one secret and version, and a lease so that one
// of them renews while the others wait. What is kept there is its owner's affair.
import { randomUUID } from 'node:crypto'
import type { SharedState } from '../model/credential-scheme.ts'
import type { Clock, KeyValueStore } from '../model/ports.ts'
import { SealError } from './key-ring.ts'
import { sharedTokenText } from './lasting-texts.ts'
import type { TextSealer } from './seal-text.ts'

export interface SharedStatePorts {
  readonly values: KeyValueStore
  readonly sealer: TextSealer
  readonly clock: Clock
}

export interface SharedStates {
  /** `credential`: name, version and key of a pool; what is sealed for one does not open for another. */
  readonly of: (credential: string) => SharedState
  /** Waits for the work that is held, for a while. */
  close(): Promise<void>
}

/** A holder that died is succeeded after this. */
const LEASE_MS = 5000
const PROLONG_MS = 1500
const CLOSE_MS = 2000

export function createSharedStates({ values, sealer, clock }: SharedStatePorts): SharedStates {
  const held = new Set<Promise<unknown>>()
  return {
    of: (credential) => ({
      async read() {
        const { key, purpose } = sharedTokenText(credential)
        const found = await values.get(key)
        return found && { text: openOrNull(sealer, purpose, found.value), version: found.version }
      },
      write(text, options) {
        const { key, purpose } = sharedTokenText(credential)
        return values.put(key, sealer.seal(purpose, text), options)
      },
      lease: () => takeLease(`token-lease:${credential}`, values, clock),
      async hold(work) {
        held.add(work)
        try {
          return await work
        } finally {
          held.delete(work)
        }
      },
    }),
    async close() {
      let stopTimer = (): void => {}
      const patience = new Promise<void>((resolve) => {
        stopTimer = clock.after(CLOSE_MS, resolve)
      })
      await Promise.race([Promise.allSettled(held), patience])
      stopTimer()
    },
  }
}

/** For calls that are explained and not sent: nothing is kept, and nothing that is kept is touched. */
export const noSharedState: SharedState = {
  read: async () => null,
  write: async () => true,
  lease: async () => ({ release: async () => {} }),
  hold: (work) => work,
}

function openOrNull(sealer: TextSealer, purpose: string, sealed: string): string | null {
  try {
    return sealer.open(purpose, sealed)
  } catch (error) {
    if (error instanceof SealError) return null
    throw error
  }
}

/** Counted by the store's own clock, so that no replica's turned clock ends it early. */
async function takeLease(key: string, values: KeyValueStore, clock: Clock): ReturnType<SharedState['lease']> {
  const holder = randomUUID()
  if (!(await values.put(key, holder, { ttlMs: LEASE_MS, ifVersion: null }))) return null
  let released = false
  const ifMine = async (deed: (version: number) => Promise<unknown>): Promise<void> => {
    try {
      const found = await values.get(key)
      if (found?.value === holder) await deed(found.version)
    } catch {
      // The store is away: the lease ends by itself.
    }
  }
  const prolong = (): (() => void) =>
    clock.after(PROLONG_MS, async () => {
      await ifMine((version) => values.put(key, holder, { ttlMs: LEASE_MS, ifVersion: version }))
      if (!released) stopTimer = prolong()
    })
  let stopTimer = prolong()
  return {
    async release() {
      released = true
      stopTimer()
      await ifMine(() => values.delete(key))
    },
  }
}
