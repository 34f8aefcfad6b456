// The public keys of one issuer: fetched ahead of need, again every ten minutes, and at once for a key id that is not known,
// though not often. The last good ones serve while the issuer is away.
import type { JWSHeaderParameters, JWTVerifyGetKey, LocalJWKSet } from 'jose'
import { GatewayError } from '../errors/gateway-error.ts'
import type { Clock, Logger } from '../model/ports.ts'
import { jose } from './jose.ts'

/** The JWKS document as it came, or why it did not; `because` is safe to log. */
export type KeyFetch = (uri: string) => Promise<{ readonly body: Buffer } | { readonly because: string }>

export interface IssuerKeys {
  /** For jose. Throws GatewayError where no key can be had, and jose's own errors where none fits. */
  readonly find: JWTVerifyGetKey
  /** Ends the fetching. */
  close(): void
}

export interface IssuerKeysOptions {
  readonly uri: string
  /** Runs when the keys are others than before: what they signed must be looked at again. */
  readonly onChange: () => void
}

export interface IssuerKeysPorts {
  readonly fetch: KeyFetch
  readonly clock: Clock
  readonly log: Logger
}

const REFRESH_MS = 600_000
/** After a failure, and between two fetches for ids that are not known: an issuer is not to be flooded by made-up ones. */
const PAUSE_MS = 10_000
/** Without any key nobody of that issuer can call: asked for sooner. */
const FIRST_PAUSE_MS = 1000
/** An issuer that was away for so long may have withdrawn its keys. */
const STALE_MS = 24 * 3_600_000

export function createIssuerKeys({ uri, onChange }: IssuerKeysOptions, { fetch, clock, log }: IssuerKeysPorts): IssuerKeys {
  let known: { readonly text: string; readonly find: LocalJWKSet; at: number } | null = null
  let triedAt: number | null = null
  let underWay: Promise<void> | null = null
  let stopTimer = (): void => {}
  let closed = false

  const load = async (): Promise<void> => {
    triedAt = clock.now()
    const because = take(await fetch(uri))
    if (because !== null) log.log('warn', 'keys of an issuer not fetched', { url: uri, because })
    underWay = null
    stopTimer()
    if (!closed) stopTimer = clock.after(because === null ? REFRESH_MS : pauseMs(), () => void refresh())
  }
  const take = (fetched: Awaited<ReturnType<KeyFetch>>): string | null => {
    if ('because' in fetched) return fetched.because
    const text = fetched.body.toString()
    if (text === known?.text) {
      known.at = clock.now()
      return null
    }
    const before = known
    try {
      known = { text, find: jose().createLocalJWKSet(JSON.parse(text)), at: clock.now() }
    } catch {
      return 'what came is no JWKS document'
    }
    if (before !== null) onChange()
    return null
  }
  const refresh = (): Promise<void> => {
    underWay ??= load()
    return underWay
  }
  const pauseMs = (): number => (known === null ? FIRST_PAUSE_MS : PAUSE_MS)
  const mayAsk = (): boolean => underWay !== null || triedAt === null || clock.now() - triedAt >= pauseMs()
  const current = async () => {
    if ((known === null || clock.now() - known.at > STALE_MS) && mayAsk()) await refresh()
    if (known === null || clock.now() - known.at > STALE_MS) throw away(uri)
    return known.find
  }
  stopTimer = clock.after(0, () => void refresh())

  return {
    async find(header: JWSHeaderParameters, token) {
      const keys = await current()
      try {
        return await keys(header, token)
      } catch (error) {
        if (!(error instanceof jose().errors.JWKSNoMatchingKey) || !mayAsk()) throw error
        await refresh()
        return (await current())(header, token)
      }
    },
    close() {
      closed = true
      stopTimer()
    },
  }
}

function away(uri: string): GatewayError {
  return new GatewayError(
    'Overloaded',
    `Tokens cannot be checked: the keys of their issuer could not be fetched from ${new URL(uri).origin}. Try again.`,
    { retryAfter: FIRST_PAUSE_MS, rule: 'issuer' },
  )
}
