// RFC 7523: a JWT signed with a private key, as the grant itself (§2.1) or as the client's proof in a client-credentials
// request (§2.2, `private_key_jwt`). jose signs; a fresh assertion for each token.
import { createPrivateKey, type KeyObject, randomUUID } from 'node:crypto'
import type { TokenRequest } from '../../model/credential-scheme.ts'
import type { Clock } from '../../model/ports.ts'
import { renewByAsking } from '../renew-by-asking.ts'
import { anyText, defineScheme, oneOf, optional, PEM_EXAMPLE, plainText } from '../scheme.ts'
import { openTokenCredential } from '../token.ts'
import { audience, extraParams, formOf, scope, tokenUrl } from '../token-fields.ts'

/** An assertion is used at once; this allows for clocks that differ. */
const ASSERTION_LIFE_S = 300
const RSA_BITS = 2048

/** RFC 7518 §3.1, RFC 8037: the key that each algorithm needs. */
const KEYS: Readonly<Record<Algorithm, { readonly type: string; readonly curve?: string }>> = {
  RS256: { type: 'rsa' },
  RS384: { type: 'rsa' },
  RS512: { type: 'rsa' },
  PS256: { type: 'rsa' },
  ES256: { type: 'ec', curve: 'prime256v1' },
  ES384: { type: 'ec', curve: 'secp384r1' },
  EdDSA: { type: 'ed25519' },
}

type Algorithm = 'RS256' | 'RS384' | 'RS512' | 'PS256' | 'ES256' | 'ES384' | 'EdDSA'

interface Assertion {
  readonly key: KeyObject
  readonly algorithm: Algorithm
  readonly keyId: string
  /** Without the times and the id, which are those of each request. */
  readonly claims: Readonly<Record<string, string>>
}

export const jwtBearer = defineScheme({
  name: 'jwt-bearer',
  place: 'request',
  about: 'an access token for an assertion signed with a key (PEM, RFC 7523), as `Authorization: Bearer`',
  example: { tokenUrl: 'https://login.crm.example/oauth/token', issuer: 'billing', key: PEM_EXAMPLE.key, algorithm: 'ES256' },
  fields: {
    tokenUrl,
    issuer: plainText.min(1, 'must not be empty'),
    key: anyText.includes('PRIVATE KEY-----', { error: 'must be an unencrypted PEM private key' }),
    algorithm: oneOf('RS256', 'RS384', 'RS512', 'PS256', 'ES256', 'ES384', 'EdDSA'),
    keyId: optional(plainText),
    subject: optional(plainText),
    /** The assertion's; the token URL where it is left out. */
    audience,
    use: oneOf('grant', 'client'),
    scope,
    /** Such as the client's own name, where the endpoint wants it beside a grant. */
    params: extraParams('assertion', 'client_assertion', 'client_assertion_type', 'scope'),
  },
  refuse: ({ key, algorithm }) => doubtAbout(key, algorithm),
  open({ tokenUrl: url, issuer, subject, audience, key, algorithm, keyId, use, scope, params }) {
    const asGrant = use === 'grant'
    const assertion: Assertion = {
      ...{ key: createPrivateKey(key), algorithm, keyId },
      claims: {
        ...{ iss: issuer, sub: subject === '' ? issuer : subject, aud: audience === '' ? url : audience },
        // Some endpoints read the scope of a grant here alone (Google, DocuSign).
        ...(asGrant && scope !== '' ? { scope } : {}),
      },
    }
    const compose = async (clock: Clock): Promise<TokenRequest> => {
      const jwt = await signAssertion(assertion, clock)
      const proof: Record<string, string> = asGrant ? grantOf(jwt) : proofOf(jwt)
      return { url, form: formOf({ ...proof, scope }, params), basic: null }
    }
    return openTokenCredential('jwt-bearer', renewByAsking(compose))
  },
})

const grantOf = (assertion: string) => ({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion })

const proofOf = (assertion: string) => ({
  grant_type: 'client_credentials',
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  client_assertion: assertion,
})

async function signAssertion({ key, algorithm, keyId, claims }: Assertion, clock: Clock): Promise<string> {
  // Loaded by the first assertion: most gateways sign none.
  const { SignJWT } = await import('jose')
  const now = Math.floor(clock.date() / 1000)
  return new SignJWT({ ...claims, iat: now, exp: now + ASSERTION_LIFE_S, jti: randomUUID() })
    .setProtectedHeader({ alg: algorithm, typ: 'JWT', ...(keyId === '' ? {} : { kid: keyId }) })
    .sign(key)
}

function doubtAbout(pem: string, algorithm: Algorithm): string | null {
  try {
    const { asymmetricKeyType, asymmetricKeyDetails } = createPrivateKey(pem)
    const { type, curve } = KEYS[algorithm]
    const fits = asymmetricKeyType === type && (curve === undefined || asymmetricKeyDetails?.namedCurve === curve)
    if (!fits) return `key: ${algorithm} needs a key of the kind ${curve ?? type}`
    const short = type === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) < RSA_BITS
    return short ? `key: an RSA key needs ${RSA_BITS} bits at least` : null
  } catch {
    return 'key: cannot be read; it must not be encrypted'
  }
}
