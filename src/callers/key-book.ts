// The stored API keys that this replica knows, by their hashes, and how it follows the store: each round asks whether anything
// changed; no call ever does. It never goes backwards: an older document is replaced by the newest that was seen, and what was
// once seen revoked stays so.
import { GatewayError } from '../errors/gateway-error.ts'
import type { Clock, Logger } from '../model/ports.ts'
import { createRounds } from '../model/rounds.ts'
import type { KeyDocument, StoredKey, StoredKeys } from './stored-keys.ts'

/** Half of the second within which a revocation must be in force; the store's own answer takes the rest. */
const REFRESH_MS = 500

export interface KeyBookPorts {
  readonly keys: Pick<StoredKeys, 'version' | 'read' | 'restore'>
  readonly clock: Clock
  readonly log: Logger
  /** How long the last known keys serve while the store is away, ms. 0: not at all. */
  readonly staleForMs: number
}

export interface KeyBook {
  /** `sha256` of a whole key, lower-case hexadecimal. Expired and revoked keys are found too. null: there is none. */
  find(sha256: string): StoredKey | null
  /** Overloaded where what is known is too old to be gone by; null: it is not. */
  doubt(): GatewayError | null
  /** The first question to the store; null once it is answered, well or badly. */
  readonly first: Promise<void> | null
  /** Asks the store now. Resolves when that is done, whether or not the store answered. */
  refresh(): Promise<void>
  /** False: the store did not answer the last time it was asked, or with something that cannot be opened. */
  readonly fresh: boolean
  /** Ends the rounds. */
  close(): void
}

export function createKeyBook({ keys, clock, log, staleForMs }: KeyBookPorts): KeyBook {
  let byDigest = new Map<string, StoredKey>()
  let known: KeyDocument = { revision: 0, keys: [] }
  let version: number | null = null
  let loadedAt: number | null = null
  let fresh = false
  /** The first question comes before the connection does, and its failure says nothing; the next one is told, once. */
  let failures = 0

  const load = async (): Promise<void> => {
    const now = await keys.version()
    if (loadedAt !== null && now === version) return
    const found = await keys.read()
    if (found.revision < known.revision) {
      // Lost in a failover, or put back by somebody with the store in hand.
      log.log('error', 'caller keys restored', {
        because: found.revision === 0 ? 'they were gone from the store' : 'an older state of them stood there',
      })
      await keys.restore(known, now)
      return
    }
    known = found
    byDigest = new Map(found.keys.map((key) => [key.sha256, stillRevoked(byDigest.get(key.sha256), key)]))
    version = now
  }
  const rounds = createRounds(clock, REFRESH_MS, async () => {
    try {
      await load()
      loadedAt = clock.now()
      fresh = true
    } catch (error) {
      if (fresh || (loadedAt === null && failures === 1))
        log.log('error', 'caller keys not followed', { because: reasonOf(error), afterMs: staleForMs })
      failures++
      fresh = false
    }
  })

  return {
    find: (sha256) => byDigest.get(sha256) ?? null,
    doubt: () => (loadedAt === null || (!fresh && clock.now() - loadedAt > staleForMs) ? tooOld() : null),
    get first() {
      return loadedAt === null ? rounds.first : null
    },
    refresh: rounds.refresh,
    get fresh() {
      return fresh
    },
    close: rounds.close,
  }
}

/** A change that was made upon an older state may have brought a key back. */
function stillRevoked(before: StoredKey | undefined, now: StoredKey): StoredKey {
  return before !== undefined && before.revokedAt !== null && now.revokedAt === null ? before : now
}

/** Its own words are safe to log: errors of the store and of the seal name no value, and no other can be thrown. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unexpected fault'
}

function tooOld(): GatewayError {
  return new GatewayError(
    'Overloaded',
    'Stored keys of callers cannot be checked: the store is away, or what it holds is refused. Try again; keys in the configuration file go on.',
    { retryAfter: 1000, rule: 'store' },
  )
}
