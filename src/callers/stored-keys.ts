// API keys as they are stored: one sealed document with a revision that only grows, of which the hashes are all that could
// identify anybody. Reading it and changing it; who follows it is key-book.ts, who may ask for a change administration.ts.
import type { TextSealer } from '../credentials/seal-text.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import type { Clock, KeyValueStore } from '../model/ports.ts'

/** Instants are ms since 1970. */
export interface StoredKey {
  readonly id: string
  /** Name of a configured caller, which brings the policy. */
  readonly caller: string
  /** Of the key, lower-case hexadecimal. */
  readonly sha256: string
  readonly createdAt: number
  readonly createdBy: string
  /** null: never. */
  readonly expiresAt: number | null
  readonly revokedAt: number | null
  readonly revokedBy: string | null
}

export interface KeyDocument {
  /** 0: there is no document. Grows with every change; after a loss of the store it begins above all that went before. */
  readonly revision: number
  readonly keys: readonly StoredKey[]
}

export interface StoredKeys {
  /** Differs whenever the document does; null: there is none. Rejects with Overloaded where the store is away. */
  version(): Promise<number | null>
  /** Throws SealError where what is stored was edited, or sealed under a key that is not here. */
  read(): Promise<KeyDocument>
  /** Puts `document` back where the store still has the version given. False: it has another by now. */
  restore(document: KeyDocument, over: number | null): Promise<boolean>
  /** Writes what `edit` makes of the keys as they are; `edit` runs again where somebody else was first, and may throw. */
  change<T>(edit: (keys: readonly StoredKey[]) => { readonly keys: readonly StoredKey[]; readonly result: T }): Promise<T>
}

export interface StoredKeysPorts {
  readonly store: KeyValueStore
  readonly sealer: TextSealer
  readonly clock: Pick<Clock, 'date'>
}

const NO_DOCUMENT: KeyDocument = { revision: 0, keys: [] }
/** Where the document stands, and what it is sealed for. */
export const CALLER_KEYS = { key: 'caller-keys', purpose: 'caller keys' } as const
const { key: KEY, purpose: PURPOSE } = CALLER_KEYS
/** Two administrators at once are rare; more than this many turns in a row are a fault. */
const MAX_TRIES = 5
/** How long a revoked or expired key is still listed. */
const REMEMBERED_MS = 30 * 86_400_000

export function createStoredKeys({ store, sealer, clock }: StoredKeysPorts): StoredKeys {
  const open = (sealed: string): KeyDocument => JSON.parse(sealer.open(PURPOSE, sealed)) as KeyDocument
  const put = (document: KeyDocument, ifVersion: number | null): Promise<boolean> =>
    store.put(KEY, sealer.seal(PURPOSE, JSON.stringify(document)), { ttlMs: null, ifVersion })
  return {
    version: () => store.version(KEY),
    async read() {
      const found = await store.get(KEY)
      return found === null ? NO_DOCUMENT : open(found.value)
    },
    restore: put,
    async change(edit) {
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const found = await store.get(KEY)
        const before = found === null ? NO_DOCUMENT : open(found.value)
        const { keys, result } = edit(before.keys)
        const now = clock.date()
        const next: KeyDocument = {
          revision: Math.max(before.revision + 1, now),
          keys: keys.filter((key) => isWorthKeeping(key, now)),
        }
        if (await put(next, found?.version ?? null)) return result
      }
      throw new GatewayError('Overloaded', 'the keys of callers are being changed by somebody else at the same time; try again', {
        retryAfter: 1000,
      })
    },
  }
}

export type KeyState = 'active' | 'expired' | 'revoked'

export function stateOf(key: Pick<StoredKey, 'expiresAt' | 'revokedAt'>, now: number): KeyState {
  if (key.revokedAt !== null) return 'revoked'
  return key.expiresAt !== null && key.expiresAt <= now ? 'expired' : 'active'
}

function isWorthKeeping({ revokedAt, expiresAt }: StoredKey, now: number): boolean {
  const endedAt = revokedAt ?? expiresAt
  return endedAt === null || now - endedAt < REMEMBERED_MS
}
