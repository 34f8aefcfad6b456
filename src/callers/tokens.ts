// Callers that show a JWT of an OpenID Connect issuer (RFC 7519, RFC 8725). jose verifies; which caller a token is, its issuer,
// audience and claims say. A token is verified once: after that it is known by its digest until it ends.
import type { JWTPayload } from 'jose'
import { GatewayError } from '../errors/gateway-error.ts'
import type { Caller } from '../model/caller.ts'
import type { Clock } from '../model/ports.ts'
import { matchesGlob } from '../policy/path-glob.ts'
import type { IssuerKeys } from './issuer-keys.ts'
import { jose } from './jose.ts'

export interface TokenRule {
  readonly caller: Caller
  readonly issuer: string
  readonly audience: string
  readonly jwksUri: string
  /** Each claim in full or as a glob, whose `*` ends at a slash; of a list, one element. */
  readonly claims: readonly (readonly [name: string, glob: string])[]
}

export interface Tokens {
  /** `digest`: SHA-256 of the token. At once where it is known. A text says why nobody is known by it. */
  identify(token: string, digest: string): Caller | Promise<Verdict>
  /** True where `text` is, or claims to be, a token that a caller could be known by here. */
  isOwn(text: string): boolean
  /** The keys of that issuer are others: every token is verified anew. */
  forget(jwksUri: string): void
}

/** The caller; why it is none; or why that cannot be said now. */
export type Verdict = Caller | string | GatewayError

export interface TokensPorts {
  readonly keysOf: (jwksUri: string) => Pick<IssuerKeys, 'find'>
  readonly clock: Pick<Clock, 'date'>
}

/** Asymmetric ones alone: a shared secret would make whoever can verify a token able to make one. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
/** For clocks that differ. */
const LEEWAY_S = 30
const MOST_KNOWN = 10_000

interface Known {
  readonly caller: Caller
  readonly jwksUri: string
  /** Ms since 1970. */
  readonly until: number
}

/** Every compact JWS begins so: `{"` in base64url. */
export function looksLikeToken(text: string): boolean {
  return text.startsWith('eyJ') && text.split('.', 4).length === 3
}

export function createTokens(rules: readonly TokenRule[], { keysOf, clock }: TokensPorts): Tokens {
  const byIssuer = Map.groupBy(rules, ({ issuer }) => issuer)
  const known = new Map<string, Known>()
  let changes = 0
  const underWay = new Map<string, Promise<Verdict>>()

  const remember = (digest: string, entry: Known): void => {
    if (known.size >= MOST_KNOWN) for (const [oldest] of known.entries().take(1)) known.delete(oldest)
    known.set(digest, entry)
  }
  const verify = async (token: string, digest: string): Promise<Verdict> => {
    const from = changes
    try {
      const candidates = rulesFor(token, byIssuer)
      const [first] = candidates
      if (first === undefined) return 'its issuer is none of those that callers have'
      const { payload } = await jose().jwtVerify(token, keysOf(first.jwksUri).find, {
        ...{ algorithms: ALGORITHMS, issuer: first.issuer, requiredClaims: ['exp'] },
        ...{ clockTolerance: LEEWAY_S, currentDate: new Date(clock.date()) },
      })
      const caller = chooseCaller(candidates, payload)
      if (typeof caller === 'string') return caller
      // Not what was signed by keys that have gone meanwhile.
      if (from === changes) remember(digest, { caller, jwksUri: first.jwksUri, until: ((payload.exp ?? 0) + LEEWAY_S) * 1000 })
      return caller
    } catch (error) {
      return error instanceof GatewayError ? error : reasonOf(error)
    }
  }

  return {
    identify(token, digest) {
      const found = known.get(digest)
      if (found && found.until > clock.date()) return found.caller
      known.delete(digest)
      const same = underWay.get(digest)
      if (same) return same
      const answer = verify(token, digest).finally(() => underWay.delete(digest))
      underWay.set(digest, answer)
      return answer
    },
    isOwn(text) {
      if (!looksLikeToken(text)) return false
      try {
        const payload = jose().decodeJwt(text)
        return (byIssuer.get(payload.iss ?? '') ?? []).some(({ audience }) => isFor(payload, audience))
      } catch {
        return false
      }
    },
    forget(jwksUri) {
      changes++
      for (const [digest, entry] of known) if (entry.jwksUri === jwksUri) known.delete(digest)
    },
  }
}

/** By what the token says of itself, before it is believed; throws where it is none. */
function rulesFor(token: string, byIssuer: ReadonlyMap<string, readonly TokenRule[]>): readonly TokenRule[] {
  const { decodeJwt, decodeProtectedHeader, errors } = jose()
  const { alg = '' } = decodeProtectedHeader(token)
  if (!ALGORITHMS.includes(alg)) throw new errors.JOSEAlgNotAllowed()
  return byIssuer.get(decodeJwt(token).iss ?? '') ?? []
}

/** The one caller whose audience and claims a verified token carries, or why there is none. */
function chooseCaller(rules: readonly TokenRule[], payload: JWTPayload): Caller | string {
  const forUs = rules.filter(({ audience }) => isFor(payload, audience))
  if (forUs.length === 0) return 'its audience is none of those that callers have with its issuer'
  const matching = forUs.filter(({ claims }) => claims.every(([name, glob]) => holds(payload[name], glob)))
  const [only, ...more] = matching.map(({ caller }) => caller)
  if (only === undefined) return 'its claims are those of no caller'
  return more.length === 0
    ? only
    : `its claims are those of ${[only, ...more].map(({ name }) => name).join(' and ')}, where one caller must be meant`
}

function isFor({ aud }: JWTPayload, audience: string): boolean {
  return Array.isArray(aud) ? aud.includes(audience) : aud === audience
}

function holds(value: unknown, glob: string): boolean {
  if (Array.isArray(value)) return value.some((element) => !Array.isArray(element) && holds(element, glob))
  if (typeof value === 'string') return matchesGlob(glob, value)
  return (typeof value === 'number' || typeof value === 'boolean') && String(value) === glob
}

/** In words of ours: what a token holds is not repeated. */
function reasonOf(error: unknown): string {
  const { errors } = jose()
  if (error instanceof errors.JWTExpired) return 'it has expired'
  if (error instanceof errors.JWTClaimValidationFailed)
    return error.reason === 'missing' ? `it has no ${error.claim} claim` : `its ${error.claim} claim does not hold`
  if (error instanceof errors.JOSEAlgNotAllowed) return `its algorithm is none of ${ALGORITHMS.join(', ')}`
  if (error instanceof errors.JWKSNoMatchingKey) return 'its issuer has no such key'
  if (error instanceof errors.JWKSMultipleMatchingKeys) return 'its issuer has several keys that fit; it must name one by kid'
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'its signature is not that of its issuer'
  return 'it is no token that can be verified'
}
