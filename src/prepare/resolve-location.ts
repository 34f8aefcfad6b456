// The Location of a redirect, seen from the URL that answered with it, as Requests' resolve_redirects and urllib.parse's
// urljoin resolve it; then prepared like any other URL. Whether to follow is policy/'s question.
import { isUtf8 } from 'node:buffer'
import type { ErrorType } from '../errors/catalogue.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import type { PreparedUrl } from '../model/prepared-request.ts'
import { requote } from './quote.ts'
import { prepareUrl } from './url.ts'

const REFERENCE = /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?:\/\/([^/?#]*))?(.*)$/s

/**
 * @param location as received, one character a byte (latin-1); read as UTF-8. Userinfo in it is dropped.
 * The fragment of `base` stays where the new URL has none (RFC 9110 §10.2.2).
 * Throws InvalidURL, or InvalidSchema for anything but http and https; both blame the upstream (502).
 */
export function resolveLocation(base: PreparedUrl, location: string): PreparedUrl {
  const match = REFERENCE.exec(
    decode(base, location)
      .replace(/[\t\r\n]/g, '')
      .trimStart(),
  )
  const scheme = match?.[1]?.toLowerCase() ?? base.scheme
  const authority = match?.[2] ?? ''
  if (scheme !== 'http' && scheme !== 'https') fail(base, 'InvalidSchema', 'that is neither an http nor an https URL')
  // One parser ends the host at a backslash, another does not: such a URL has no meaning that all agree on.
  if (authority.includes('\\')) fail(base, 'InvalidURL', 'with a backslash in its host')
  if (authority === '' && scheme !== base.scheme) fail(base, 'InvalidURL', 'that names a scheme but no host')
  // `http:x` is `http:///x` to urllib.parse, and so relative to the root.
  const text = match?.[1] !== undefined && authority === '' ? (match[3] ?? '').replace(/^(?=[^/?#])/, '/') : (match?.[3] ?? '')
  const rest = requote(withFragment(text, base.fragment))
  try {
    return prepareUrl(authority === '' ? join(base, rest) : `${scheme}://${authority}${rest}`, undefined).url
  } catch (error) {
    if (error instanceof GatewayError) fail(base, error.type, 'that is no URL', error)
    throw error
  }
}

function decode(base: PreparedUrl, location: string): string {
  const bytes = Buffer.from(location, 'latin1')
  if (!isUtf8(bytes)) fail(base, 'InvalidURL', 'that is not UTF-8')
  return bytes.toString('utf8')
}

function withFragment(rest: string, inherited: string): string {
  const at = rest.indexOf('#')
  if (inherited === '' || (at >= 0 && at < rest.length - 1)) return rest
  return `${at < 0 ? rest : rest.slice(0, at)}#${inherited}`
}

/** urljoin for a reference without a host. Dot segments are left to prepareUrl. */
function join(base: PreparedUrl, rest: string): string {
  const end = rest.search(/[?#]/)
  const path = end < 0 ? rest : rest.slice(0, end)
  const tail = end < 0 ? '' : rest.slice(end)
  const site = base.href.slice(0, base.href.indexOf('/', 'https://'.length))
  if (path !== '') return `${site}${path.startsWith('/') ? path : merge(base.path, path)}${tail}`
  const ownQuery = /^\?[^#]/.test(tail)
  return ownQuery ? `${site}${base.path}${tail}` : `${site}${base.target}${tail.replace(/^\?/, '')}`
}

/** Empty segments in the middle are lost when a relative path is merged: Python's urljoin does so. */
function merge(basePath: string, path: string): string {
  const segments = [...basePath.split('/').slice(0, -1), ...path.split('/')]
  const last = segments.pop() ?? ''
  return ['', ...segments.filter((segment) => segment !== ''), last].join('/')
}

function fail(base: PreparedUrl, type: ErrorType, why: string, cause?: GatewayError): never {
  const message = `${base.hostname} redirected to a Location ${why}; it cannot be followed. Set allowRedirects to false to see the answer itself.`
  throw new GatewayError(type, message, { upstream: true, sent: 'yes', ...(cause && { cause }) })
}
