// The secrets that this replica knows, opened and in memory: who may use one and where it may go, and how it follows the
// store. Each round asks the store whether anything changed; no call ever does.
import { GatewayError } from '../errors/gateway-error.ts'
import type { Clock, Logger, Secret, SecretStore, Secrets } from '../model/ports.ts'
import { createRounds } from '../model/rounds.ts'
import { SealError } from './key-ring.ts'
import type { Sealer } from './seal.ts'

/** Half of the second within which a change must be in use; the store's own answer takes the rest. */
const REFRESH_MS = 500

export interface SecretBookPorts {
  readonly store: SecretStore
  readonly sealer: Sealer
  readonly clock: Clock
  readonly log: Logger
  /** How long the last known values serve while the store is away, ms. 0: not at all. */
  readonly staleForMs: number
}

export interface SecretBook extends Secrets {
  /** Asks the store now. Resolves when that is done, whether or not the store answered. */
  refresh(): Promise<void>
  /** False: the store did not answer the last time it was asked. */
  readonly fresh: boolean
  /** Ends the rounds. */
  close(): void
}

interface Use {
  readonly origin: string
  readonly caller: string
}

/** What stands under a name: the secret, or why its record cannot be used. */
type Entry = { readonly secret: Secret } | { readonly fault: string }

export function createSecretBook({ store, sealer, clock, log, staleForMs }: SecretBookPorts): SecretBook {
  const follower = createFollower(store, sealer, log)
  let loadedAt: number | null = null
  let fresh = false

  const rounds = createRounds(clock, REFRESH_MS, async () => {
    try {
      await follower.follow()
      loadedAt = clock.now()
      if (!fresh) log.log('info', 'secrets loaded', { count: follower.entries.size })
      fresh = true
    } catch (error) {
      if (fresh || loadedAt === null) log.log('warn', 'secret store away', { because: reasonOf(error), afterMs: staleForMs })
      fresh = false
    }
  })
  const findNow = (name: string, use: Use): Secret => {
    if (loadedAt === null || (!fresh && clock.now() - loadedAt > staleForMs))
      throw unavailable(name, 'the secret store cannot be reached')
    return judge(name, follower.entries.get(name), use, fresh)
  }

  return {
    find(name, use) {
      // Only calls that come before the first answer wait, and no longer than the store's own time limit.
      const first = loadedAt === null ? rounds.first : null
      return first ? first.then(() => findNow(name, use)) : findNow(name, use)
    },
    refresh: rounds.refresh,
    get fresh() {
      return fresh
    },
    close: rounds.close,
  }
}

/** The store's records, opened; entries whose record did not change keep their identity. */
function createFollower(store: SecretStore, sealer: Sealer, log: Logger) {
  const entries = new Map<string, Entry>()
  const records = new Map<string, string>()
  const newest = new Map<string, number>()
  let digest: string | null = null

  const open = (name: string, record: string): Entry => {
    try {
      const secret = sealer.open(name, record)
      const seen = newest.get(name) ?? 0
      if (secret.version < seen) return { fault: `it was rolled back from version ${seen} to ${secret.version}` }
      newest.set(name, secret.version)
      return { secret }
    } catch (error) {
      if (!(error instanceof SealError)) throw error
      return { fault: error.message }
    }
  }

  return {
    entries: entries as ReadonlyMap<string, Entry>,
    async follow(): Promise<void> {
      const snapshot = await store.load(digest)
      if (!snapshot) return
      for (const name of entries.keys()) {
        if (snapshot.records.has(name)) continue
        entries.delete(name)
        records.delete(name)
      }
      for (const [name, record] of snapshot.records) {
        if (records.get(name) === record) continue
        const entry = open(name, record)
        if ('fault' in entry) log.log('error', 'secret refused', { credential: name, because: entry.fault })
        entries.set(name, entry)
        records.set(name, record)
      }
      digest = snapshot.digest
    },
  }
}

/** Callers first: who may not use a secret does not learn that it exists, nor where it goes. */
function judge(name: string, entry: Entry | undefined, { origin, caller }: Use, fresh: boolean): Secret {
  if (!entry)
    throw fresh
      ? unknown(name, caller, 'there is no secret of that name')
      : unavailable(name, 'it was not known when the secret store was last reached')
  if ('fault' in entry) throw unavailable(name, 'its stored record is refused', entry.fault)
  const { secret } = entry
  if (!secret.callers.includes(caller) && !secret.callers.includes('*'))
    throw unknown(name, caller, `it is bound to the callers ${secret.callers.join(', ') || '(none)'}`)
  if (!secret.origins.includes(origin))
    throw new GatewayError(
      'UnknownCredential',
      `secret "${name}" is not bound to ${origin}; add that origin to the secret, or name another`,
      {
        privateDetail: `it is bound to ${secret.origins.join(', ') || '(none)'}`,
      },
    )
  return secret
}

function unknown(name: string, caller: string, privateDetail: string): GatewayError {
  return new GatewayError('UnknownCredential', `secret "${name}" does not exist or is not for caller "${caller}"`, {
    privateDetail,
  })
}

function unavailable(name: string, because: string, privateDetail?: string): GatewayError {
  return new GatewayError(
    'CredentialUnavailable',
    `secret "${name}" is not available: ${because}; the call was not made without it`,
    {
      retryAfter: 1000,
      ...(privateDetail === undefined ? {} : { privateDetail }),
    },
  )
}

function reasonOf(error: unknown): string {
  return error instanceof GatewayError ? error.message : 'unexpected fault'
}
