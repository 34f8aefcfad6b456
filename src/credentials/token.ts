// Access tokens (RFC 6749): obtained once for all who wait, used until shortly before they expire, renewed ahead of that and
// once after a 401. How one is asked for is a scheme's affair, how the request travels that of the TokenExchange.
import { GatewayError } from '../errors/gateway-error.ts'
import type { Errand, OpenCredential, TokenAnswer, TokenRequest } from '../model/credential-scheme.ts'
import type { HopRequest } from '../model/hop.ts'
import type { Clock } from '../model/ports.ts'
import { headerValue } from './scheme.ts'

/** Where the answer does not say: short enough that a wrong guess ends soon, and a 401 renews in between. */
const UNSAID_LIFE_MS = 300_000
/** Renewed this long before its end, or in the last fifth of a short life; nobody waits for that. */
const AHEAD_MS = 60_000
/** Not sent this shortly before its end, or in the last tenth: it has to live until it arrives. */
const LEEWAY_MS = 5_000
/** After a failure, and after a token was refused that is younger than this, the endpoint is left alone. */
const PAUSE_MS = 1_000

interface Token {
  readonly value: string
  /** On the monotonic clock, ms. */
  readonly obtainedAt: number
  readonly renewAt: number
  readonly endsAt: number
  /** The upstream answered it with a 401. */
  refused: boolean
}

/** `compose` is asked for each request; what it throws is told as a credential that cannot be used. */
export function openTokenCredential(compose: (clock: Clock) => TokenRequest | Promise<TokenRequest>): OpenCredential {
  let token: Token | null = null
  let underWay: Promise<void> | null = null
  let failure: { readonly error: GatewayError; readonly until: number } | null = null
  /** Which token a request went out with: by the time of its 401 there may be another. */
  const carried = new WeakMap<HopRequest, Token>()
  /** Of the errands; a 401 comes after one. */
  let now = (): number => 0

  async function renew(errand: Errand): Promise<void> {
    try {
      token = await askForToken(compose, errand)
      failure = null
    } catch (thrown) {
      const error = thrown instanceof GatewayError ? thrown : unavailable(errand, 'its token request could not be made', '')
      failure = { error, until: errand.clock.now() + PAUSE_MS }
      throw error
    } finally {
      underWay = null
    }
  }
  const paused = (at: number): GatewayError | null => (failure !== null && at < failure.until ? failure.error : null)

  return {
    obtain(errand) {
      now = errand.clock.now
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
        if (status !== 401 || answered > 0 || !request.plan.repeatable) return null
        const sent = carried.get(request)
        if (sent === undefined) return null
        if (sent !== token) return 'renewed' // somebody has renewed it meanwhile
        if (now() - sent.obtainedAt < PAUSE_MS) return null
        sent.refused = true
        return 'renewed'
      },
    },
  }
}

async function askForToken(compose: (clock: Clock) => TokenRequest | Promise<TokenRequest>, errand: Errand): Promise<Token> {
  const request = await compose(errand.clock)
  const askedAt = errand.clock.now()
  const read = readToken(await errand.exchange(request, errand))
  if ('because' in read) throw unavailable(errand, read.because, read.privateDetail ?? '')
  const life = read.lifeMs
  return {
    value: read.value,
    obtainedAt: errand.clock.now(),
    renewAt: askedAt + life - Math.min(AHEAD_MS, life / 5),
    endsAt: askedAt + life - Math.min(LEEWAY_MS, life / 10),
    refused: false,
  }
}

type Reading = { readonly value: string; readonly lifeMs: number } | { readonly because: string; readonly privateDetail?: string }

/** RFC 6749 §5.2, RFC 8707 §2, RFC 7521 §4: what may be repeated of an endpoint's own words. */
const ERROR_CODES: ReadonlySet<unknown> = new Set(
  'invalid_request invalid_client invalid_grant unauthorized_client unsupported_grant_type invalid_scope invalid_target'.split(
    ' ',
  ),
)

/** RFC 6749 §5.1. Nothing of an unexpected answer is repeated: it may hold what it was sent. */
export function readToken(answer: TokenAnswer): Reading {
  if (answer.kind === 'none') return answer
  const { status, body } = answer
  const fields = parseObject(body)
  if (status !== 200) {
    const code = ERROR_CODES.has(fields?.error) ? ` (${fields?.error})` : ''
    return { because: `its token endpoint answered ${status}${code}` }
  }
  const { access_token: value, token_type: type = 'bearer', expires_in: seconds } = fields ?? {}
  if (typeof value !== 'string' || value === '') return { because: 'its token endpoint answered without an access token' }
  if (!headerValue.safeParse(value).success) return { because: 'its token endpoint gave a token that no header can carry' }
  if (String(type).toLowerCase() !== 'bearer') return { because: 'its token endpoint gave a token of another type than bearer' }
  const life = typeof seconds === 'string' ? Number(seconds) : seconds
  const known = typeof life === 'number' && Number.isFinite(life)
  return { value, lifeMs: known ? Math.max(0, life) * 1000 : UNSAID_LIFE_MS }
}

function parseObject(body: Buffer): Readonly<Record<string, unknown>> | null {
  try {
    const parsed: unknown = JSON.parse(body.toString())
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : null
  } catch {
    return null
  }
}

function unavailable({ credential }: Errand, because: string, privateDetail: string): GatewayError {
  return new GatewayError(
    'CredentialUnavailable',
    `secret "${credential}" is not available: ${because}; the call was not made without it`,
    { retryAfter: PAUSE_MS, ...(privateDetail === '' ? {} : { privateDetail }) },
  )
}
