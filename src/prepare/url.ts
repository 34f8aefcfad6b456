// A descriptor's URL and params → the URL as it will be sent, after Requests' prepare_url, urllib3's parse_url and
// Requests' requote_uri. Where the result differs from theirs it is on purpose: hosts are canonical (host.ts), dot
// segments that were percent-encoded are removed too, and userinfo leaves the URL. No redirects: resolve-location.ts.
import type { ErrorType } from '../errors/catalogue.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import type { Pairs } from '../model/descriptor.ts'
import { inOnePiece } from '../model/one-piece.ts'
import type { PreparedUrl } from '../model/prepared-request.ts'
import { judgeHost } from './host.ts'
import { hasStrayPercent, quotePath, quoteQuery, requote, unquote, urlencode, wellFormed, wellFormedPairs } from './quote.ts'

export interface Userinfo {
  readonly username: string
  readonly password: string
}

export interface PreparedUrlParts {
  readonly url: PreparedUrl
  /** Percent-decoded as UTF-8 (latin-1 where it is none); null where the URL had none that Requests would use. */
  readonly userinfo: Userinfo | null
  /** The URL had a user without a password, which Requests leaves out. */
  readonly loginIgnored: boolean
}

const URI = /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?:\/\/([^\\/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s
const STARTS_WITH_SCHEME = /^[A-Za-z][A-Za-z0-9+-]*:/
const HOST_PORT = /^(\[[^\]]*\]|(?:[^[\]%:]|%[0-9A-Fa-f]{2})*)(?::([0-9]*))?$/

/** What goes out as it stands: no login, fragment or escape, nothing to be quoted. The host is judged apart. */
const PLAIN_URL = /^https?:\/\/[a-z0-9._-]*[a-z0-9_-](?::[1-9][0-9]{0,4})?\/[\w.~!$&'()*+,;=:@/-]*(?:\?[\w.~!$&'()*+,;=:@/?-]+)?$/

/**
 * @param url absolute, http or https; leading white space is ignored.
 * @param params appended to the URL's own query: pairs in Requests' encoding (null values dropped), a string as it
 *   stands but requoted. Absent or empty: nothing is appended.
 * Throws InvalidURL, MissingSchema, InvalidSchema, and InvalidDescriptor for params that are no text.
 */
export function prepareUrl(url: string, params: Pairs | string | undefined): PreparedUrlParts {
  const plain = params === undefined ? preparePlain(url) : null
  if (plain !== null) return { url: plain, userinfo: null, loginIgnored: false }
  const { scheme, authority, path, query, fragment } = split(url)
  const at = authority.lastIndexOf('@')
  const [hostname, port] = hostAndPort(url, authority.slice(at + 1))
  const added = encodeParams(params)
  const wholeQuery = query && added ? `${query}&${added}` : query || added
  const rest = requote(`${path}${wholeQuery ? `?${wholeQuery}` : ''}${fragment ? `#${fragment}` : ''}`)
  const login = at <= 0 ? '' : authority.slice(0, at)
  return {
    url: assemble(scheme, hostname, port, rest),
    userinfo: login === '' ? null : decodeUserinfo(login),
    loginIgnored: login !== '' && !login.includes(':'),
  }
}

/** The same as below for most URLs at a fraction of the cost; null: not one of these. */
function preparePlain(url: string): PreparedUrl | null {
  if (!PLAIN_URL.test(url) || url.includes('/.')) return null
  const scheme = url.startsWith('https:') ? 'https' : 'http'
  const start = scheme.length + 3
  const slash = url.indexOf('/', start)
  const colon = url.indexOf(':', start)
  const end = colon < 0 || colon > slash ? slash : colon
  const hostname = url.slice(start, end)
  const verdict = judgeHost(hostname)
  const defaultPort = scheme === 'http' ? 80 : 443
  const port = end === slash ? defaultPort : Number(url.slice(end + 1, slash))
  if (!('host' in verdict) || verdict.host !== hostname || port > 65535) return null
  const site = url.slice(0, slash)
  const target = url.slice(slash)
  const question = target.indexOf('?')
  return {
    href: inOnePiece(site, target),
    scheme,
    hostname,
    port,
    origin: port === defaultPort ? url.slice(0, end) : site,
    target,
    path: question < 0 ? target : target.slice(0, question),
    fragment: '',
  }
}

function split(url: string) {
  const text = url.trimStart()
  if (!text.isWellFormed()) fail('InvalidURL', 'Invalid URL: it holds half of a surrogate pair, such as "\\ud800".')
  const match = URI.exec(text)
  const scheme = match?.[1]?.toLowerCase()
  if (scheme !== 'http' && scheme !== 'https') failScheme(text)
  const path = quotePath(removeDotSegments(match?.[3] ?? ''))
  return {
    scheme,
    authority: match?.[2] ?? '',
    path: path.startsWith('/') ? path : `/${path}`,
    query: quoteQuery(match?.[4] ?? ''),
    fragment: quoteQuery(match?.[5] ?? ''),
  } as const
}

/** Port null: none, or 0, which Requests leaves out as well. */
function hostAndPort(url: string, text: string): readonly [hostname: string, port: number | null] {
  // As host.ts has it, and a port: so long a host would cost the pattern more stack than there is.
  if (text.length > 3 * 254 + 6) fail('InvalidURL', `Invalid URL${shown(url)}: the host is longer than 253.`)
  const match = HOST_PORT.exec(text)
  if (match === null) fail('InvalidURL', `Invalid URL${shown(url)}: the part after "//" is no host with an optional port.`)
  const host = match[1] ?? ''
  if (host === '') fail('InvalidURL', `Invalid URL${shown(url)}: No host supplied.`)
  const port = Number(match[2] ?? '') // '' is 0
  if (port > 65535) fail('InvalidURL', `Invalid URL${shown(url)}: the port is greater than 65535.`)
  const verdict = judgeHost(host)
  if ('fault' in verdict) fail('InvalidURL', `Invalid URL${shown(url)}: ${verdict.fault}.`)
  return [verdict.host, port === 0 ? null : port]
}

function encodeParams(params: Pairs | string | undefined): string {
  if (params === undefined) return ''
  return typeof params === 'string' ? wellFormed(params, '/params') : urlencode(wellFormedPairs(params, '/params'))
}

function assemble(scheme: 'http' | 'https', hostname: string, port: number | null, rest: string): PreparedUrl {
  const hashAt = rest.indexOf('#')
  const beforeHash = hashAt < 0 ? rest : rest.slice(0, hashAt)
  const queryAt = beforeHash.indexOf('?')
  const path = removeDotSegments(queryAt < 0 ? beforeHash : beforeHash.slice(0, queryAt))
  // A string of params may hold what urllib3 quotes only when it writes the request line: "[", a stray "%".
  const query = queryAt < 0 ? '' : quoteQuery(beforeHash.slice(queryAt + 1))
  const defaultPort = scheme === 'http' ? 80 : 443
  const site = `${scheme}://${hostname}`
  // The root's dot is part of the text and of nothing else: it leads to the same host, and so under the same policy.
  const bare = hostname.endsWith('.') ? site.slice(0, -1) : site
  return {
    href: inOnePiece(port === null ? site : `${site}:${port}`, path, rest.slice(queryAt < 0 ? beforeHash.length : queryAt)),
    scheme,
    hostname,
    port: port ?? defaultPort,
    origin: port === null || port === defaultPort ? bare : `${bare}:${port}`,
    target: query === '' ? path : `${path}?${query}`,
    path,
    fragment: hashAt < 0 ? '' : rest.slice(hashAt + 1),
  }
}

/** RFC 3986 §5.2.4 in urllib3's reading: ".." above the root is ignored. */
function removeDotSegments(path: string): string {
  if (!path.includes('/.')) return path
  const output: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') output.pop()
    else if (segment !== '.') output.push(segment)
  }
  if (path.startsWith('/') && output[0] !== '') output.unshift('')
  if (path.endsWith('/.') || path.endsWith('/..')) output.push('')
  return output.join('/') || '/'
}

/** A user without a colon is no login to Requests, nor is an empty user with an empty password. */
function decodeUserinfo(text: string): Userinfo | null {
  const colon = text.indexOf(':')
  if (colon < 0 || text.length === 1) return null
  const [username, password] = [text.slice(0, colon), text.slice(colon + 1)]
  return hasStrayPercent(text) ? { username, password } : { username: unquote(username), password: unquote(password) }
}

/** To Requests a URL with a colon has a scheme, be it only a port's, unless it starts like `httpbin.org:80`. */
function failScheme(text: string): never {
  const site = siteOf(text)
  if (text.includes(':') && (!/^http/i.test(text) || STARTS_WITH_SCHEME.test(text))) {
    const scheme = site && /^[A-Za-z][A-Za-z0-9+.-]{0,31}:/.exec(text)?.[0]
    fail('InvalidSchema', `Invalid URL${scheme ? ` "${scheme}…"` : ''}: only http:// and https:// URLs can be called.`)
  }
  const remedy = site
    ? `Perhaps you meant https://${site.replace(/^\/+/, '')}?`
    : 'Write it in full, such as https://api.example.com/.'
  fail('MissingSchema', `Invalid URL${shown(text)}: No scheme supplied. ${remedy}`)
}

function shown(url: string): string {
  const site = siteOf(url)
  return site === '' ? '' : ` ${JSON.stringify(site)}`
}

/** Scheme and host for a message, never more: what looks like userinfo, or stands after the host, may be a secret. */
function siteOf(url: string): string {
  if (/@|%40|\uff20/.test(url)) return ''
  return /^(?:https?:)?\/{0,2}[^\\/?#]*/i.exec(url.trimStart())?.[0].slice(0, 100) ?? ''
}

function fail(type: ErrorType, message: string): never {
  throw new GatewayError(type, message, { detail: [{ pointer: '/url', message }] })
}
