// The secrets that this replica knows, opened and in memory: who may use one, where it may go and which version serves. Rounds
// (follow-secrets.ts) ask the store whether anything changed; no call ever does.
import { GatewayError } from '../errors/gateway-error.ts'
import type { Clock, CredentialSample, Logger, Secret, SecretStore, SecretUse, SecretVersions } from '../model/ports.ts'
import { createRounds } from '../model/rounds.ts'
import { chooseVersion } from './choose-version.ts'
import { createExpiryWatch } from './expiry-watch.ts'
import { createFollower, type Entry, type Held } from './follow-secrets.ts'
import type { HighWater } from './high-water.ts'
import type { LastingTexts } from './lasting-texts.ts'
import type { Sealer } from './seal.ts'
import type { KeyFollower } from './sources/key-file.ts'

/** Half of the second within which a change must be in use; the store's own answer takes the rest. */
const REFRESH_MS = 500

export interface SecretBookPorts {
  readonly store: SecretStore
  readonly sealer: Sealer
  readonly keys: KeyFollower
  readonly marks: HighWater
  readonly texts: Pick<LastingTexts, 'of' | 'keysInUse'>
  readonly clock: Clock
  readonly log: Logger
  /** How long the last known values serve while the store is away, ms. 0: not at all. */
  readonly staleForMs: number
}

export interface SecretBook extends SecretVersions {
  /** Asks the store now. Resolves when an answer that was asked for after this call is there, or the store did not answer. */
  refresh(): Promise<void>
  /** False: the store did not answer the last time it was asked. */
  readonly fresh: boolean
  /** One for each secret whose record can be used. */
  samples(): Iterable<CredentialSample>
  /** Ends the rounds. */
  close(): void
}

export function createSecretBook(ports: SecretBookPorts): SecretBook {
  const { clock, log, staleForMs } = ports
  const follower = createFollower(ports)
  const expiries = createExpiryWatch(log)
  let loadedAt: number | null = null
  let fresh = false
  /** The first question comes before the connection does, and its failure says nothing; the next one is told, once. */
  let failures = 0

  const rounds = createRounds(clock, REFRESH_MS, async () => {
    try {
      await follower.follow()
      loadedAt = clock.now()
      if (!fresh) log.log('info', 'secrets loaded', { count: follower.entries.size })
      fresh = true
    } catch (error) {
      if (fresh || (loadedAt === null && failures === 1))
        log.log('warn', 'secret store away', { because: reasonOf(error), afterMs: staleForMs })
      failures++
      fresh = false
    }
    expiries.look(follower.entries, clock.date())
  })
  const heldOf = (entry: Entry | undefined): Held | null => {
    if (entry === undefined || 'fault' in entry) return null
    // Most have no turn ahead: then no call asks for the time.
    if (entry.choice.until !== Number.POSITIVE_INFINITY && clock.date() >= entry.choice.until) {
      entry.choice = chooseVersion(entry.versions, clock.date())
      entry.preferred = null
    }
    return entry
  }
  const findNow = (name: string, use: SecretUse): Secret => {
    if (loadedAt === null || (!fresh && clock.now() - loadedAt > staleForMs))
      throw unavailable(name, 'the secret store cannot be reached')
    const entry = follower.entries.get(name)
    const held = heldOf(entry)
    if (held) return judge(name, held, use)
    if (entry && 'fault' in entry) throw unavailable(name, 'its stored record is refused', entry.fault)
    throw fresh
      ? unknown(name, use.caller, 'there is no secret of that name')
      : unavailable(name, 'it was not known when the secret store was last reached')
  }

  return {
    find(name, use) {
      // Only calls that come before the first answer wait, and no longer than the store's own time limit.
      const first = loadedAt === null ? rounds.first : null
      return first ? first.then(() => findNow(name, use)) : findNow(name, use)
    },
    other(secret, use) {
      const held = heldOf(follower.entries.get(secret.name))
      if (!held) return null
      for (const { secret: each } of good(held)) if (each !== null && each !== secret && isBound(each, use)) return each
      return null
    },
    prefer(secret, use) {
      const held = heldOf(follower.entries.get(secret.name))
      if (!held) return
      if (held.choice.current?.secret === secret) held.preferred?.delete(use.origin)
      else if (held.choice.others.some((each) => each.secret === secret)) {
        held.preferred ??= new Map()
        held.preferred.set(use.origin, secret)
      }
    },
    async refresh() {
      // What is under way may have been asked before the change that this is about.
      await rounds.refresh()
      await rounds.refresh()
    },
    get fresh() {
      return fresh
    },
    *samples() {
      for (const [name, entry] of follower.entries) {
        const held = heldOf(entry)
        const version = held?.choice.current ?? held?.versions.at(-1)
        if (version) yield { name, createdAt: version.createdAt, expiresAt: version.expiresAt }
      }
    },
    close: rounds.close,
  }
}

function* good({ choice }: Held) {
  if (choice.current) yield choice.current
  yield* choice.others
}

const isBound = ({ callers, origins }: Pick<Secret, 'callers' | 'origins'>, { caller, origin }: SecretUse): boolean =>
  (callers.includes(caller) || callers.includes('*')) && origins.includes(origin)

/** Callers first: who may not use a secret does not learn that it exists, nor where it goes. Where none serves, the newest says. */
function judge(name: string, { choice, versions, preferred }: Held, use: SecretUse): Secret {
  const bindings = choice.current ?? versions.at(-1)
  const { origin, caller } = use
  if (!bindings?.callers.includes(caller) && !bindings?.callers.includes('*'))
    throw unknown(name, caller, `it is bound to the callers ${bindings?.callers.join(', ') || '(none)'}`)
  if (!bindings.origins.includes(origin))
    throw new GatewayError(
      'UnknownCredential',
      `secret "${name}" is not bound to ${origin}; add that origin to the secret, or name another`,
      {
        privateDetail: `it is bound to ${bindings.origins.join(', ') || '(none)'}`,
      },
    )
  const secret = choice.current?.secret
  if (!secret) throw unavailable(name, choice.because)
  const chosen = preferred?.get(origin)
  return chosen && isBound(chosen, use) ? chosen : secret
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
