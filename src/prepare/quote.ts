// Percent-encoding as urllib3 (of URL components), Requests (of whole URLs) and urllib.parse.urlencode (of parameters) do it.
// Every text given here is well-formed UTF-16: `wellFormed` is what makes sure of it. No parsing.
import { isUtf8 } from 'node:buffer'
import { GatewayError } from '../errors/gateway-error.ts'
import type { Pairs } from '../model/descriptor.ts'

const PATH_CLEAN = /^[\w.~!$&'()*+,;=:@/-]*$/
const PATH_ILLEGAL = /[^\w.~!$&'()*+,;=:@/%-]+/gu
const QUERY_CLEAN = /^[\w.~!$&'()*+,;=:@/?-]*$/
const QUERY_ILLEGAL = /[^\w.~!$&'()*+,;=:@/?%-]+/gu
const URI_CLEAN = /^[\w.~!#$&'()*+,/:;=?@[\]-]*$/
const URI_ILLEGAL = /[^\w.~!#$&'()*+,/:;=?@[\]%-]+/gu
const FORM_CLEAN = /^[\w.~-]*$/

const ESCAPE = /%[0-9A-Fa-f]{2}/g
/** The two below match what is changed and no more: a long URL may hold a million escapes, and each match costs a call. */
const LOWER_CASE_ESCAPE = /%(?:[a-f][0-9A-Fa-f]|[0-9A-F][a-f])/g
/** Of a letter, a digit or one of `-._~`. */
const UNRESERVED_ESCAPE = /%(?:2[DEde]|3[0-9]|[46][1-9A-Fa-f]|5[0-9AFaf]|7[0-9AEae])/g
const STRAY_PERCENT = /%(?![0-9A-Fa-f]{2})/
/** Two letters or digits after a percent sign that are no hexadecimal number; Requests then trusts no escape at all. */
const FALSE_ESCAPE = /%(?![0-9A-Fa-f]{2})[\p{L}\p{N}]{2}/u

/** Quotes what may not stand in a path; '/' and escapes stay. With one stray '%' every '%' is taken for a plain character. */
export function quotePath(path: string): string {
  return PATH_CLEAN.test(path) ? path : quoteComponent(path, PATH_ILLEGAL)
}

/** The same for a query (without its '?') or a fragment (without its '#'). */
export function quoteQuery(query: string): string {
  return QUERY_CLEAN.test(query) ? query : quoteComponent(query, QUERY_ILLEGAL)
}

// encodeURIComponent alone decides nothing here: it is only given runs of characters that are all to be quoted.
function quoteComponent(text: string, illegal: RegExp): string {
  const escapes = text.replace(LOWER_CASE_ESCAPE, upperCase)
  return (hasStrayPercent(escapes) ? escapes.replaceAll('%', '%25') : escapes).replace(illegal, encodeURIComponent)
}

const upperCase = (triplet: string): string => triplet.toUpperCase()

/** Requests' requote_uri: needless escapes undone, illegal characters quoted, delimiters and other escapes left alone. */
export function requote(uri: string): string {
  if (URI_CLEAN.test(uri)) return uri
  const text = FALSE_ESCAPE.test(uri) ? uri.replaceAll('%', '%25') : unquoteUnreserved(uri)
  return text.replace(URI_ILLEGAL, encodeURIComponent)
}

/** Undoes escapes of letters, digits and `-._~`, which mean the same either way (RFC 3986 §2.3). */
export function unquoteUnreserved(text: string): string {
  return text.replace(UNRESERVED_ESCAPE, octet)
}

/** True where a '%' is followed by anything but two hexadecimal digits. */
export function hasStrayPercent(text: string): boolean {
  return STRAY_PERCENT.test(text)
}

/** Undoes every escape; where the bytes are no UTF-8 they are taken for latin-1, so that they go out as they came in. */
export function unquote(text: string): string {
  if (!text.includes('%')) return text
  const octets = Buffer.from(text, 'utf8').toString('latin1').replace(ESCAPE, octet)
  const bytes = Buffer.from(octets, 'latin1')
  return isUtf8(bytes) ? bytes.toString('utf8') : octets
}

const octet = (triplet: string): string => String.fromCharCode(Number.parseInt(triplet.slice(1), 16))

/** application/x-www-form-urlencoded as Python's urlencode writes it; a pair whose value is null is left out. */
export function urlencode(pairs: Pairs): string {
  let text = ''
  for (const [name, value] of pairs) {
    if (value !== null) text += `${text === '' ? '' : '&'}${quotePlus(name)}=${quotePlus(value)}`
  }
  return text
}

function quotePlus(text: string): string {
  if (FORM_CLEAN.test(text)) return text
  return encodeURIComponent(text).replace(/%20|[!'()*]/g, (found) =>
    found === '%20' ? '+' : `%${found.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** Refuses half a surrogate pair, which no UTF-8 can carry; Requests fails on it too. Returns the text. */
export function wellFormed(text: string, pointer: '/params' | '/data' | '/files'): string {
  if (text.isWellFormed()) return text
  const message = `${pointer.slice(1)} holds half of a surrogate pair (such as "\\ud800"), which cannot be sent as UTF-8; send whole characters.`
  throw new GatewayError('InvalidDescriptor', message, { detail: [{ pointer, message }] })
}

export function wellFormedPairs(pairs: Pairs, pointer: '/params' | '/data'): Pairs {
  for (const [name, value] of pairs) {
    wellFormed(name, pointer)
    if (value !== null) wellFormed(value, pointer)
  }
  return pairs
}
