// Access tokens (RFC 6749) in memory: used until shortly before they expire, renewed ahead of that and once after a 401, one
// renewal for all who wait. How another comes is the renewal's affair: renew-by-asking.ts, renew-by-refresh-token.ts.
import { GatewayError } from '../errors/gateway-error.ts'
import type { Errand, OpenCredential } from '../model/credential-scheme.ts'
import type { HopRequest } from '../model/hop.ts'
import type { SecretScheme } from '../model/ports.ts'
import type { AccessToken } from './access-token.ts'
import { PAUSE_MS, unavailable } from './token-fault.ts'

/** `shared`: another replica had renewed it already. */
export interface Renewed {
  readonly token: AccessToken
  readonly outcome: 'renewed' | 'shared'
}

/** What follows on `present` (null: nothing yet). Rejects with CredentialUnavailable. */
export type Renewal = (present: AccessToken | null, errand: Errand) => Promise<Renewed>

export function openTokenCredential(scheme: SecretScheme, next: Renewal): OpenCredential {
  let token: AccessToken | null = null
  let underWay: Promise<void> | null = null
  let failure: { readonly error: GatewayError; readonly until: number } | null = null
  /** Which token a request went out with: by the time of its 401 there may be another. */
  const carried = new WeakMap<HopRequest, AccessToken>()
  /** Of the errands; a 401 comes after one. */
  let now = (): number => 0

  async function renew(errand: Errand): Promise<void> {
    const { clock, meter, log } = errand.ports
    const from = clock.now()
    const tell = (outcome: Renewed['outcome'] | 'failed'): void =>
      meter.tokenRenewed({ scheme, outcome, seconds: (clock.now() - from) / 1000 })
    try {
      const renewed = await next(token, errand)
      token = renewed.token
      failure = null
      tell(renewed.outcome)
    } catch (thrown) {
      const error = thrown instanceof GatewayError ? thrown : unavailable(errand, 'its token request could not be made')
      if (failure === null) log.log('warn', 'token not renewed', { credential: errand.credential, because: error.message })
      failure = { error, until: clock.now() + PAUSE_MS }
      tell('failed')
      throw error
    } finally {
      underWay = null
    }
  }
  const paused = (at: number): GatewayError | null => (failure !== null && at < failure.until ? failure.error : null)

  return {
    obtain(errand) {
      now = errand.ports.clock.now
      const at = now()
      if (token === null || token.refused || at >= token.endsAt) {
        const known = underWay === null ? paused(at) : null
        if (known) return Promise.reject(known)
        underWay ??= renew(errand)
        return underWay
      }
      if (at >= token.renewAt && underWay === null && paused(at) === null) {
        underWay = renew(errand)
        underWay.catch(() => {}) // whoever needs it once the present one has ended hears of it
      }
      return null
    },
    inject(request) {
      if (token === null) throw new TypeError('a token was to be sent before there was one')
      carried.set(request, token)
      return { headers: [{ name: 'Authorization', value: `Bearer ${token.value}`, masked: 'Bearer ***' }], query: null }
    },
    dialogue: {
      heard(request, { status }, answered) {
        const sent = status === 401 && answered === 0 ? carried.get(request) : undefined
        if (sent === undefined) return null
        if (sent === token) {
          if (now() - sent.obtainedAt < PAUSE_MS) return null
          sent.refused = true
        }
        // Where this request may not be repeated, the next one has another token.
        return request.plan.repeatable ? 'renewed' : null
      },
    },
  }
}
