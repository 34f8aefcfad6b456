// The arithmetic of Digest (RFC 7616 §3.4), pure: which challenge to answer, and the Authorization value for one request.
// Where Requests and the RFC differ: algorithm, qop and nc go unquoted, as the RFC wants; text of ours is hashed as UTF-8, as both do.
import { createHash } from 'node:crypto'
import { isLatin1 } from './basic-encoding.ts'
import type { Challenge } from './challenge.ts'

export interface DigestChallenge {
  readonly realm: string
  readonly nonce: string
  readonly opaque: string | null
  /** As the upstream wrote it; null: it wrote none, and MD5 is meant. */
  readonly algorithm: string | null
  readonly hash: string
  readonly session: boolean
  /** null: the upstream knows no qop (RFC 2069). */
  readonly qop: 'auth' | 'auth-int' | null
  readonly userhash: boolean
  readonly utf8: boolean
  readonly stale: boolean
}

/** Algorithm names to Node's, strongest first. SHA is Requests' own; SHA-512 is not the RFC's SHA-512-256, but in use. */
const HASHES: Readonly<Record<string, string>> = {
  'SHA-512': 'sha512',
  'SHA-512-256': 'sha512-256',
  'SHA-256': 'sha256',
  SHA: 'sha1',
  MD5: 'md5',
}
const STRENGTH = Object.values(HASHES)

/** The strongest Digest challenge that can be answered; null: none can. */
export function chooseChallenge(challenges: readonly Challenge[]): DigestChallenge | null {
  return challenges
    .map(readChallenge)
    .filter((challenge) => challenge !== null)
    .reduce<DigestChallenge | null>(
      (best, next) => (best && STRENGTH.indexOf(best.hash) <= STRENGTH.indexOf(next.hash) ? best : next),
      null,
    )
}

function readChallenge({ scheme, params }: Challenge): DigestChallenge | null {
  const realm = params.get('realm')
  const nonce = params.get('nonce')
  if (scheme !== 'digest' || realm === undefined || !nonce) return null
  const algorithm = params.get('algorithm') || null
  const name = (algorithm ?? 'MD5').toUpperCase()
  const session = name.endsWith('-SESS')
  const hash = HASHES[session ? name.slice(0, -5) : name]
  const qop = chooseQop(params.get('qop'))
  if (hash === undefined || qop === undefined) return null
  return {
    realm,
    nonce,
    opaque: params.get('opaque') ?? null,
    algorithm,
    hash,
    session,
    qop,
    userhash: params.get('userhash')?.toLowerCase() === 'true',
    utf8: params.get('charset')?.toLowerCase() === 'utf-8',
    stale: params.get('stale')?.toLowerCase() === 'true',
  }
}

/** undefined: only kinds that nobody here speaks. */
function chooseQop(offered: string | undefined): DigestChallenge['qop'] | undefined {
  if (!offered) return null
  const kinds = offered.split(',').map((kind) => kind.trim().toLowerCase())
  return kinds.includes('auth') ? 'auth' : kinds.includes('auth-int') ? 'auth-int' : undefined
}

export interface DigestUse {
  readonly challenge: DigestChallenge
  readonly username: string
  readonly password: string
  readonly method: string
  /** As it stands in the request line. */
  readonly target: string
  readonly body: Uint8Array | null
  /** Starts at 1 for each nonce. */
  readonly nonceCount: number
  readonly cnonce: string
}

export function digestAuthorization(use: DigestUse): string {
  const { challenge, username, cnonce } = use
  const { realm, nonce, opaque, algorithm, qop } = challenge
  const nc = use.nonceCount.toString(16).padStart(8, '0')
  const parts = [
    challenge.userhash
      ? `username="${hex(challenge.hash, Buffer.concat([utf8(`${username}:`), wire(realm)]))}"`
      : usernameParam(username, challenge.utf8),
    `realm=${quote(realm)}`,
    `nonce=${quote(nonce)}`,
    `uri=${quote(use.target)}`,
    `response="${responseOf(use, nc)}"`,
  ]
  if (opaque !== null) parts.push(`opaque=${quote(opaque)}`)
  if (algorithm !== null) parts.push(`algorithm=${algorithm}`)
  if (qop !== null) parts.push(`qop=${qop}`, `nc=${nc}`)
  if (qop !== null || challenge.session) parts.push(`cnonce="${cnonce}"`)
  if (challenge.userhash) parts.push('userhash=true')
  return `Digest ${parts.join(', ')}`
}

/** RFC 7616 §3.4.1 to §3.4.3. */
function responseOf({ challenge, username, password, method, target, body, cnonce }: DigestUse, nc: string): string {
  const { hash, realm, nonce, qop, session } = challenge
  const plain = hex(hash, Buffer.concat([utf8(`${username}:`), wire(realm), utf8(`:${password}`)]))
  const a1 = session ? hex(hash, `${plain}:${nonce}:${cnonce}`) : plain
  const a2 = hex(hash, qop === 'auth-int' ? `${method}:${target}:${hex(hash, body ?? '')}` : `${method}:${target}`)
  return hex(hash, qop === null ? `${a1}:${nonce}:${a2}` : `${a1}:${nonce}:${nc}:${cnonce}:${qop}:${a2}`)
}

const hex = (hash: string, text: string | Uint8Array): string => createHash(hash).update(text).digest('hex')

const utf8 = (text: string): Buffer => Buffer.from(text, 'utf8')

/** The very bytes that the upstream sent, whatever it meant by them: header text is read as latin-1. */
const wire = (text: string): Buffer => Buffer.from(text, 'latin1')

const quote = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`

/** Latin-1 goes as it is, as Requests sends it, unless the upstream asked for UTF-8; the rest as RFC 7616 §3.4.4 has it. */
function usernameParam(username: string, utf8: boolean): string {
  const asItIs = utf8 ? /^[\x20-\x7e]*$/.test(username) : isLatin1(username)
  if (asItIs) return `username=${quote(username)}`
  const encoded = encodeURIComponent(username).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16)}`)
  return `username*=UTF-8''${encoded}`
}
