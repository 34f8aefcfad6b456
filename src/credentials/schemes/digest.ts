// Digest (RFC 7616): what is remembered between requests. A nonce serves until the upstream renews it, so that only the first
// call to an origin meets a 401, as with Requests' session auth. The arithmetic is in ../digest-answer.ts.
import { randomBytes } from 'node:crypto'
import { type Injection, NO_INJECTION, type OpenCredential } from '../../model/credential-scheme.ts'
import type { HopRequest } from '../../model/hop.ts'
import { headerValue, type UpstreamResponse } from '../../model/upstream-response.ts'
import { parseChallenges, parseParams } from '../challenge.ts'
import { chooseChallenge, type DigestChallenge, digestAuthorization } from '../digest-answer.ts'
import { anyText, defineScheme, plainText, type Scheme } from '../scheme.ts'

/** A challenge is answered once; once more where the upstream says that merely its nonce was too old. */
const MAX_ANSWERS = 2

interface Session {
  readonly challenge: DigestChallenge
  /** Kept for a nonce's whole life: with -sess the session key hangs on it. */
  readonly cnonce: string
  used: number
}

export const digest = createDigest()

/** `newCnonce`: fresh and unguessable at each call. */
export function createDigest(newCnonce: () => string = () => randomBytes(8).toString('hex')): Scheme {
  return defineScheme({
    name: 'digest',
    place: 'request',
    about:
      'answers a 401: MD5, SHA-256, SHA-512-256, SHA-512, `-sess`, auth and auth-int (RFC 7616); keeps its nonce between calls',
    example: { username: 'billing', password: '…' },
    fields: { username: plainText, password: anyText },
    open: ({ username, password }) => openDigest(username, password, newCnonce),
  })
}

function openDigest(username: string, password: string, newCnonce: () => string): OpenCredential {
  // As many as there are origins that the credential is bound to, or that one call visits.
  const sessions = new Map<string, Session>()
  const begin = (origin: string, challenge: DigestChallenge): void => {
    sessions.set(origin, { challenge, cnonce: newCnonce(), used: 0 })
  }

  const challenged = ({ url }: HopRequest, response: UpstreamResponse, answered: number): boolean => {
    const challenge = chooseChallenge(parseChallenges(headerValue(response.rawHeaders, 'www-authenticate') ?? ''))
    const worthwhile = challenge !== null && answered < MAX_ANSWERS && (answered === 0 || challenge.stale)
    if (worthwhile) begin(url.origin, challenge)
    else sessions.delete(url.origin)
    return worthwhile
  }
  const accepted = ({ url }: HopRequest, response: UpstreamResponse): void => {
    const session = sessions.get(url.origin)
    const info = session ? headerValue(response.rawHeaders, 'authentication-info') : undefined
    const nonce = info ? parseParams(info).get('nextnonce') : undefined
    if (session && nonce && nonce !== session.challenge.nonce) begin(url.origin, { ...session.challenge, nonce, stale: false })
  }

  return {
    inject({ method, url, body }: HopRequest): Injection {
      const session = sessions.get(url.origin)
      if (!session) return NO_INJECTION
      const { challenge, cnonce } = session
      const nonceCount = ++session.used
      const value = digestAuthorization({ challenge, username, password, method, target: url.target, body, nonceCount, cnonce })
      return { headers: [{ name: 'Authorization', value, masked: 'Digest ***' }], query: null }
    },
    dialogue: {
      heard(request, response, answered) {
        if (response.status === 401) return challenged(request, response, answered) ? 'challenge' : null
        accepted(request, response)
        return null
      },
    },
  }
}
