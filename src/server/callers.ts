// Who is calling: a key in one of three headers, compared by its SHA-256. Knows nothing of what a caller may do.
import { hash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { GatewayError } from '../errors/gateway-error.ts'
import type { Caller } from '../model/caller.ts'
import type { CallerKeys } from '../model/ports.ts'

export interface CallerConfig extends Caller {
  /** Any of them identifies the caller; two during a rotation. */
  readonly keys: readonly { readonly sha256: Buffer }[]
}

export interface Callers extends CallerKeys {
  /** Returns, not throws, Unauthenticated. Without configured callers everybody is `local`. */
  identify(headers: IncomingHttpHeaders): Caller | GatewayError
  /** False: no caller is configured, and the gateway serves loopback only. */
  readonly configured: boolean
}

const LOCAL: Caller = { name: 'local', admin: true, may: null }
/** Values seen before that are no key, so that the headers of every call need not be hashed anew. */
const NOT_KEYS_KEPT = 1000

/**
 * Cost does not grow with the number of callers. What is looked up is the digest: how long that takes tells nothing about a
 * key, since nobody can choose a digest, and the comparison never sees the key itself.
 */
export function createCallers(configs: readonly CallerConfig[]): Callers {
  const byDigest = new Map<string, Caller>()
  for (const { keys, name, admin, may } of configs)
    for (const key of keys) byDigest.set(key.sha256.toString('hex'), { name, admin, may })
  const configured = configs.length > 0
  const notKeys = new Set<string>()
  const callerOf = (key: string): Caller | undefined => byDigest.get(hash('sha256', key, 'hex'))

  return {
    configured,
    identify(headers) {
      if (!configured) return LOCAL
      const given = givenKey(headers)
      if (given === null) return unauthenticated('No key was sent.')
      return callerOf(given.key) ?? unauthenticated(`The key in ${given.header} is not known.`)
    },
    isKey(value) {
      if (byDigest.size === 0 || notKeys.has(value)) return false
      if (candidates(value).some((candidate) => callerOf(candidate) !== undefined)) return true
      if (notKeys.size >= NOT_KEYS_KEPT) notKeys.clear()
      if (value.length <= 256) notKeys.add(value)
      return false
    },
  }
}

function unauthenticated(because: string): GatewayError {
  return new GatewayError(
    'Unauthenticated',
    `${because} Send a key of a configured caller in X-Sallyport-Key, or as Authorization: Bearer KEY.`,
  )
}

/** The first header that stands decides; a wrong key in it is not made good by another one. */
function givenKey(headers: IncomingHttpHeaders): { readonly key: string; readonly header: string } | null {
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
