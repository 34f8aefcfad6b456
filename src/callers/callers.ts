// Who is calling: a key or a token in one of three headers, looked up by its SHA-256, else a client certificate. Knows nothing
// of what a caller may do.
import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { GatewayError } from '../errors/gateway-error.ts'
import type { Caller } from '../model/caller.ts'
import type { CallerKeys } from '../model/ports.ts'
import type { CertificateName } from '../policy/certificate-names.ts'
import { fileKeyId } from './administration.ts'
import { holdsApiKey, isApiKey, sha256Of } from './api-key.ts'
import { type CertificateRule, type Certificates, createCertificates } from './certificates.ts'
import type { KeyBook } from './key-book.ts'
import { stateOf } from './stored-keys.ts'
import { looksLikeToken, type TokenRule, type Tokens } from './tokens.ts'

export type JwtRule = Omit<TokenRule, 'caller'>

export interface CallerConfig extends Caller {
  /** Any of them identifies the caller; two during a rotation. */
  readonly keys: readonly { readonly sha256: Buffer }[]
  /** Tokens that it may show instead. Default: none. */
  readonly jwt?: JwtRule | null
  /** Names by which its client certificates are known. Default: none. */
  readonly certificates?: readonly CertificateName[]
}

/** A request, as far as it says whose it is. */
export interface Presented {
  readonly headers: IncomingHttpHeaders
  readonly socket: Socket | null
}

export type Identity = Caller | GatewayError

export interface Callers extends CallerKeys {
  /** Answers, not throws, Unauthenticated or Overloaded. Without configured callers everybody is `local`. A promise is rare. */
  identify(presented: Presented): Identity | Promise<Identity>
  /** False: no caller is configured, and the gateway serves loopback only. */
  readonly configured: boolean
}

export interface CallersPorts {
  /** Keys that are stored rather than configured; null: none can be. */
  readonly book: Pick<KeyBook, 'find' | 'doubt' | 'first'> | null
  readonly noteUse: (keyId: string) => void
  /** Of those callers that have a `jwt`; null: tokens are nobody's. */
  readonly tokens: ((rules: readonly TokenRule[]) => Tokens) | null
  /** Ms since 1970. */
  readonly now: () => number
}

const LOCAL: Caller = { name: 'local', admin: true, may: null }
const NO_PORTS: CallersPorts = { book: null, noteUse: () => {}, tokens: null, now: () => 0 }
/** Values seen before that are no key, so that the headers of every call need not be hashed anew. */
const NOT_KEYS_KEPT = 1000

interface FileKey {
  readonly id: string
  readonly caller: Caller
}

/**
 * Cost does not grow with the number of callers. What is looked up is the digest: how long that takes tells nothing about a
 * key, since nobody can choose a digest, and the comparison never sees the key itself.
 */
export function createCallers(configs: readonly CallerConfig[], ports: CallersPorts = NO_PORTS): Callers {
  const { book } = ports
  const byName = new Map<string, Caller>()
  const byDigest = new Map<string, FileKey>()
  const rules: TokenRule[] = []
  const certified: CertificateRule[] = []
  for (const { keys, jwt, certificates = [], ...caller } of configs) {
    byName.set(caller.name, caller)
    if (certificates.length > 0) certified.push({ caller, certificates })
    if (jwt) rules.push({ ...jwt, caller })
    for (const key of keys) {
      const sha256 = key.sha256.toString('hex')
      byDigest.set(sha256, { id: fileKeyId(sha256), caller })
    }
  }
  const tokens = rules.length === 0 ? null : (ports.tokens?.(rules) ?? null)
  const certificates = certified.length === 0 ? null : createCertificates(certified, { date: ports.now })
  const configured = configs.length > 0
  const notKeys = new Set<string>()
  /** What a connection showed last, so that it need not be hashed anew for every call. Whether it is good is asked every time. */
  const shownLast = new WeakMap<Socket, { readonly key: string; readonly digest: string }>()
  const digestOf = (key: string, socket: Socket | null): string => {
    const last = socket === null ? undefined : shownLast.get(socket)
    if (last !== undefined && isSameKey(last.key, key)) return last.digest
    const digest = sha256Of(key)
    if (socket !== null) shownLast.set(socket, { key, digest })
    return digest
  }

  const identifyStored = (digest: string, header: string): Identity => {
    const doubt = book?.doubt() ?? null
    if (doubt) return doubt
    const key = book?.find(digest) ?? null
    if (key === null) return unknownKey(header)
    const state = stateOf(key, ports.now())
    if (state !== 'active') return unauthenticated(`The key ${key.id} in ${header} is ${state}.`)
    const caller = byName.get(key.caller)
    if (!caller) return unauthenticated(`The key ${key.id} in ${header} is of caller "${key.caller}", who is not configured.`)
    ports.noteUse(key.id)
    return caller
  }

  const identifies = (text: string): boolean =>
    holdsApiKey(text) || byDigest.has(sha256Of(text)) || (tokens?.isOwn(text) ?? false)

  return {
    configured,
    identify({ headers, socket }) {
      if (!configured) return LOCAL
      const given = givenKey(headers)
      if (given === null) return identifyCertificate(certificates, socket)
      const digest = digestOf(given.key, socket)
      const filed = byDigest.get(digest)
      if (filed) {
        ports.noteUse(filed.id)
        return filed.caller
      }
      if (tokens !== null && looksLikeToken(given.key)) return identifyToken(tokens, given, digest)
      if (book === null || !isApiKey(given.key)) return unknownKey(given.header)
      // Only calls that come before the store's first answer wait, and no longer than its own time limit.
      const { first } = book
      return first === null ? identifyStored(digest, given.header) : first.then(() => identifyStored(digest, given.header))
    },
    isKey(value) {
      if (!configured || notKeys.has(value)) return false
      if (candidates(value).some(identifies)) return true
      if (notKeys.size >= NOT_KEYS_KEPT) notKeys.clear()
      if (value.length <= 256) notKeys.add(value)
      return false
    },
  }
}

function identifyCertificate(certificates: Certificates | null, socket: Socket | null): Identity {
  const found = socket === null ? null : (certificates?.identify(socket) ?? null)
  if (found === null) return unauthenticated('No key was sent.')
  return typeof found === 'string'
    ? unauthenticated(`No key was sent, and the client certificate is not taken: ${found}.`)
    : found
}

function identifyToken(tokens: Tokens, { key, header }: Given, digest: string): Identity | Promise<Identity> {
  const found = tokens.identify(key, digest)
  if (!(found instanceof Promise)) return found
  return found.then((verdict) =>
    typeof verdict === 'string' ? unauthenticated(`The token in ${header} is not taken: ${verdict}.`) : verdict,
  )
}

function unknownKey(header: string): GatewayError {
  return unauthenticated(`The key in ${header} is not known.`)
}

function unauthenticated(because: string): GatewayError {
  return new GatewayError(
    'Unauthenticated',
    `${because} Send a key of a configured caller in X-Sallyport-Key, or as Authorization: Bearer KEY.`,
  )
}
interface Given {
  readonly key: string
  readonly header: string
}

/** The first header that stands decides; a wrong key in it is not made good by another one. */
function givenKey(headers: IncomingHttpHeaders): Given | null {
  const own = headers['x-sallyport-key']
  if (typeof own === 'string') return { key: own, header: 'X-Sallyport-Key' }
  const proxy = headers['proxy-authorization']
  if (proxy !== undefined) return { key: bearer(proxy) ?? basic(proxy)?.password ?? '', header: 'Proxy-Authorization' }
  const authorization = headers.authorization
  const token = authorization === undefined ? null : bearer(authorization)
  return token === null ? null : { key: token, header: 'Authorization' }
}

/** What a key stands between where a value holds more than it: `Token KEY`, `a=1; key="KEY"`. */
const BETWEEN = /[\t ,;"']+/
/** Of one value; what is looked for is a slip, and each word costs a digest. */
const MOST_WORDS = 64

/** Everything in a header's value that could be a key: itself, its words, what they name, either half of Basic credentials. */
function candidates(value: string): string[] {
  const found = [value]
  const words = BETWEEN.test(value) ? value.split(BETWEEN, MOST_WORDS) : [value]
  for (const word of words) {
    const equals = word.indexOf('=')
    if (word !== value) found.push(word)
    if (equals >= 0) found.push(word.slice(equals + 1))
  }
  const login = basic(value)
  if (login !== null) found.push(login.username, login.password)
  return found
}

/** RFC 6750 §2.1; the scheme's name in any case. */
function bearer(value: string): string | null {
  return value.slice(0, 7).toLowerCase() === 'bearer ' ? value.slice(7).trim() : null
}

/** RFC 7617; null: not Basic. */
function basic(value: string): { readonly username: string; readonly password: string } | null {
  if (value.slice(0, 6).toLowerCase() !== 'basic ') return null
  const pair = Buffer.from(value.slice(6), 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  return colon < 0 ? { username: pair, password: '' } : { username: pair.slice(0, colon), password: pair.slice(colon + 1) }
}

/** As long for every two keys of one length: on a connection that several callers share, how soon it ends would tell of another's key. */
function isSameKey(one: string, other: string): boolean {
  if (one.length !== other.length) return false
  let difference = 0
  for (let i = 0; i < one.length; i++) difference |= one.charCodeAt(i) ^ other.charCodeAt(i)
  return difference === 0
}
