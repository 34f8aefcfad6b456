// The request as it may be shown: every credential masked, whoever put it there. Pure; the credentials layer makes the view
// of what was sent, and whoever shows a request that was not sent makes it here too.
import { type Injection, NO_INJECTION } from './credential-scheme.ts'
import type { OutgoingView } from './envelope.ts'
import type { HeaderList, HeaderPair } from './header-list.ts'
import type { PreparedRequest, PreparedUrl } from './prepared-request.ts'

/** What is shown instead of a secret. */
export const MASK = '***'

/** A first word that is none of these may be the secret itself, and is masked with the rest. */
const SCHEME_WORDS: ReadonlySet<string> = new Set(
  'basic bearer digest dpop gnap hoba mutual negotiate ntlm oauth privatetoken token vapid aws4-hmac-sha256'.split(' '),
)

/** `request` carries what `injection` says; the view shows neither that nor credentials and cookies that the caller gave. */
export function maskedView(request: PreparedRequest, injection: Injection = NO_INJECTION): OutgoingView {
  const { query, rewritten } = injection
  const { method, body } = request
  const url = rewritten?.shown.url ?? request.url
  const view: OutgoingView = {
    method,
    url: query ? withQueryPair(url, query.name, MASK).href : url.href,
    headers: maskHeaders(request.headers, injection),
    body: rewritten ? rewritten.shown.body : body,
  }
  return view.body === body ? view : { ...view, bodyBytes: body?.byteLength ?? 0 }
}

function maskHeaders(headers: HeaderList, injection: Injection): HeaderList {
  let masked: HeaderPair[] | null = null
  for (let at = 0; at < headers.length; at++) {
    const pair = headers[at] as HeaderPair
    const shown = maskedValue(pair, injection)
    if (shown === null) continue
    masked ??= [...headers]
    masked[at] = [pair[0], shown]
  }
  return masked ?? headers
}

/** null: may be shown as it is. The lengths spare almost every header the comparison. */
function maskedValue([name, value]: HeaderPair, injection: Injection): string | null {
  for (const header of injection.headers)
    if (header.name.length === name.length && header.name.toLowerCase() === name.toLowerCase()) return header.masked
  switch (name.length) {
    case 6:
      return name.toLowerCase() === 'cookie' ? maskCookies(value) : null
    case 13:
      return name.toLowerCase() === 'authorization' ? maskAuthorization(value) : null
    case 19:
      return name.toLowerCase() === 'proxy-authorization' ? maskAuthorization(value) : null
    default:
      return null
  }
}

function maskAuthorization(value: string): string {
  const space = value.indexOf(' ')
  const word = space < 0 ? '' : value.slice(0, space)
  return SCHEME_WORDS.has(word.toLowerCase()) ? `${word} ${MASK}` : MASK
}

function maskCookies(value: string): string {
  return value
    .split(';')
    .map((cookie) => {
      const equals = cookie.indexOf('=')
      return equals < 0 ? MASK : `${cookie.slice(0, equals).trim()}=${MASK}`
    })
    .join('; ')
}

/** The URL with `name=value` as its last query parameter; `value` is encoded unless it is the mask. Parameters of that name go. */
export function withQueryPair(url: PreparedUrl, name: string, value: string): PreparedUrl {
  const [path, pairs] = splitTarget(url, name)
  return withTarget(url, `${path}?${[...pairs, `${encode(name)}=${value === MASK ? MASK : encode(value)}`].join('&')}`)
}

/** The URL without any query parameter of that name. */
export function withoutParameter(url: PreparedUrl, name: string): PreparedUrl {
  const [path, pairs] = splitTarget(url, name)
  return withTarget(url, pairs.length === 0 ? path : `${path}?${pairs.join('&')}`)
}

/** The path, and the parameters but those named `without`. */
function splitTarget({ target }: PreparedUrl, without: string): readonly [path: string, pairs: readonly string[]] {
  const question = target.indexOf('?')
  if (question < 0) return [target, []]
  const query = target.slice(question + 1)
  return [target.slice(0, question), query === '' ? [] : query.split('&').filter((pair) => !isNamed(pair, without))]
}

/** The same URL with another path and query, as they stand in the request line. */
export function withTarget(url: PreparedUrl, target: string): PreparedUrl {
  const question = target.indexOf('?')
  const path = question < 0 ? target : target.slice(0, question)
  const hash = url.href.indexOf('#')
  const head = hash < 0 ? url.href : url.href.slice(0, hash)
  const site = head.endsWith(url.target) ? head.slice(0, head.length - url.target.length) : url.origin
  return { ...url, target, path, href: site + target + (hash < 0 ? '' : url.href.slice(hash)) }
}

function isNamed(pair: string, name: string): boolean {
  const equals = pair.indexOf('=')
  const given = (equals < 0 ? pair : pair.slice(0, equals)).replaceAll('+', ' ')
  if (given === name) return true
  try {
    return decodeURIComponent(given) === name
  } catch {
    return false
  }
}

/** RFC 3986: everything but unreserved characters. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}
