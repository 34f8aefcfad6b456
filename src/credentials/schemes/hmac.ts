// A keyed hash over what a vendor's own template names, put into headers or parameters of the vendor's choosing: `t=…,v1=…`, `sha256=…`
// and their like. Signed anew for each try, with the time and a nonce of its own.
import { createHash, createHmac, randomBytes } from 'node:crypto'
import type { InjectedHeader, Injection } from '../../model/credential-scheme.ts'
import { getHeader } from '../../model/header-list.ts'
import type { HopRequest } from '../../model/hop.ts'
import { MASK, withoutParameter, withQueryPair } from '../../model/outgoing-view.ts'
import type { PreparedUrl } from '../../model/prepared-request.ts'
import { anyText, defineScheme, headerName, headerValue, oneOf, optional, type Scheme } from '../scheme.ts'
import { type Piece, parseTemplate } from '../template.ts'

const IN_HEADERS = ['signature', 'timestamp', 'nonce', 'keyId', 'bodyHash'] as const
const IN_TEXT = [
  ...(['method', 'host', 'path', 'query', 'target', 'url', 'body', 'form'] as const),
  ...(['timestamp', 'nonce', 'keyId', 'bodyHash'] as const),
]

type InHeaders = (typeof IN_HEADERS)[number]
type InText = (typeof IN_TEXT)[number]

/** A header or a parameter of the query. */
interface NamedTemplate {
  readonly name: string
  readonly pieces: readonly Piece<InHeaders>[]
}

interface Rules {
  readonly key: Buffer
  readonly algorithm: 'sha256' | 'sha512' | 'sha1'
  readonly encoding: 'hex' | 'base64' | 'base64url'
  readonly timestamp: keyof typeof TIMESTAMPS
  readonly keyId: string
  readonly text: readonly Piece<InText>[]
  readonly headers: readonly NamedTemplate[]
  readonly query: readonly NamedTemplate[]
}

export interface HmacChances {
  /** ms since 1970. */
  now(): number
  /** Fresh and unguessable at each call. */
  nonce(): string
}

const TIMESTAMPS = {
  unix: (ms: number) => String(Math.floor(ms / 1000)),
  'unix-ms': (ms: number) => String(Math.floor(ms)),
  iso: (ms: number) => new Date(ms).toISOString(),
  'http-date': (ms: number) => new Date(ms).toUTCString(),
}

const HEX = /^(?:[0-9A-Fa-f]{2})+$/
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/

export const hmac = createHmacScheme({ now: Date.now, nonce: () => randomBytes(16).toString('hex') })

export function createHmacScheme(chances: HmacChances): Scheme {
  return defineScheme({
    name: 'hmac',
    place: 'request',
    about: 'a keyed hash over a template, in headers or parameters made from templates',
    example: {
      key: '…',
      text: '{timestamp}.{body}',
      headers: 'X-Signature: t={timestamp},v1={signature}',
    },
    fields: {
      key: anyText.min(1, 'must not be empty'),
      keyEncoding: oneOf('utf8', 'hex', 'base64'),
      algorithm: oneOf('sha256', 'sha512', 'sha1'),
      encoding: oneOf('hex', 'base64', 'base64url'),
      timestamp: oneOf('unix', 'unix-ms', 'iso', 'http-date'),
      keyId: optional(headerValue),
      text: anyText.min(1, 'must not be empty'),
      headers: optional(anyText),
      query: optional(anyText),
    },
    refuse: (values) => {
      const key = keyBytes(values.key, values.keyEncoding)
      if (key === null) return `key: must be ${values.keyEncoding}, as keyEncoding says`
      const text = parseTemplate(values.text, IN_TEXT)
      if (typeof text === 'string') return `text: ${text}`
      const headers = parseHeaders(values.headers)
      if (typeof headers === 'string') return `headers: ${headers}`
      const query = parseQuery(values.query)
      if (typeof query === 'string') return `query: ${query}`
      return [...headers, ...query].some(carriesSignature) ? null : 'headers or query: one of them has to carry {signature}'
    },
    open({ key, keyEncoding, text, headers, query, ...rest }) {
      const rules: Rules = {
        ...rest,
        key: certain(keyBytes(key, keyEncoding)),
        text: certain(parseTemplate(text, IN_TEXT)),
        headers: certain(parseHeaders(headers)),
        query: certain(parseQuery(query)),
      }
      return { inject: (request) => sign(request, rules, chances), dialogue: null }
    },
  })
}

/** `refuse` has seen it. */
function certain<T extends object>(read: T | string | null): T {
  if (read === null || typeof read === 'string') throw new TypeError('an hmac secret was opened that was not checked')
  return read
}

function keyBytes(key: string, encoding: 'utf8' | 'hex' | 'base64'): Buffer | null {
  const bad = (encoding === 'hex' && !HEX.test(key)) || (encoding === 'base64' && !BASE64.test(key))
  return bad ? null : Buffer.from(key, encoding)
}

/** One `Name: template` a line. A string is a fault. */
function parseHeaders(lines: string): readonly NamedTemplate[] | string {
  const headers: NamedTemplate[] = []
  for (const line of lines.split(/\r?\n|\\n/)) {
    if (line.trim() === '') continue
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(colon, 0)).trim()
    const template = line.slice(colon + 1).trim()
    const pieces = parseTemplate(template, IN_HEADERS)
    if (!headerName.safeParse(name).success) return 'one "Name: template" a line, of headers that Sallyport does not set itself'
    if (typeof pieces === 'string') return pieces
    if (!headerValue.safeParse(template).success) return 'a value holds what no header may'
    headers.push({ name, pieces })
  }
  return headers
}

/** `name=template&name=template`, as they are and not percent-encoded. A string is a fault. */
function parseQuery(written: string): readonly NamedTemplate[] | string {
  const parameters: NamedTemplate[] = []
  for (const pair of written.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    if (equals < 1) return 'write name={signature}, joined by "&"'
    const pieces = parseTemplate(pair.slice(equals + 1), IN_HEADERS)
    if (typeof pieces === 'string') return pieces
    parameters.push({ name: pair.slice(0, equals), pieces })
  }
  return parameters
}

function carriesSignature({ pieces }: NamedTemplate): boolean {
  return pieces.some((piece) => 'placeholder' in piece && piece.placeholder === 'signature')
}

function sign(given: HopRequest, rules: Rules, { now, nonce }: HmacChances): Injection {
  const { algorithm, encoding, key, text, query } = rules
  const common = commonValues(given, rules, TIMESTAMPS[rules.timestamp](now()), nonce())
  let signature = ''
  const fill = (pieces: NamedTemplate['pieces']): string =>
    pieces
      .map((piece) => ('text' in piece ? piece.text : piece.placeholder === 'signature' ? signature : common(piece.placeholder)))
      .join('')
  const inQuery = (to: PreparedUrl, { name, pieces }: NamedTemplate): PreparedUrl => withQueryPair(to, name, fill(pieces))
  // The query may be what is signed: all of it is there by then but the signature, which comes behind it.
  const late = query.filter(carriesSignature)
  const bare = late.reduce((to, { name }) => withoutParameter(to, name), given.url)
  const request = { ...given, url: query.filter((parameter) => !late.includes(parameter)).reduce(inQuery, bare) }
  const hash = createHmac(algorithm, key)
  for (const piece of text) hash.update('text' in piece ? piece.text : partOf(request, piece.placeholder, common))
  signature = hash.digest(encoding)
  const headers = rules.headers.map(({ name, pieces }): InjectedHeader => ({ name, value: fill(pieces), masked: MASK }))
  if (query.length === 0) return { headers, query: null }
  const url = late.reduce(inQuery, request.url)
  const shown = query.reduce((to, { name }) => withQueryPair(to, name, MASK), given.url)
  const { body } = given
  return { headers, query: null, rewritten: { url, body, shown: { url: shown, body } } }
}

type Common = 'timestamp' | 'nonce' | 'keyId' | 'bodyHash'

/** The same throughout one request. */
function commonValues({ body }: HopRequest, { algorithm, encoding, keyId }: Rules, timestamp: string, nonce: string) {
  let bodyHash: string | null = null
  return (name: Common): string => {
    if (name === 'timestamp') return timestamp
    if (name === 'nonce') return nonce
    if (name === 'keyId') return keyId
    bodyHash ??= createHash(algorithm)
      .update(body ?? '')
      .digest(encoding)
    return bodyHash
  }
}

function partOf(request: HopRequest, name: InText, common: (name: Common) => string): string | Uint8Array {
  const { method, url, body } = request
  const question = url.target.indexOf('?')
  switch (name) {
    case 'method':
      return method
    case 'host':
      return getHeader(request.headers, 'host') ?? url.origin.slice(url.origin.indexOf('://') + 3)
    case 'path':
      return question < 0 ? url.target : url.target.slice(0, question)
    case 'query':
      return question < 0 ? '' : url.target.slice(question + 1)
    case 'target':
      return url.target
    case 'url':
      return url.origin + url.target
    case 'body':
      return body ?? ''
    case 'form':
      return sortedForm(request)
    default:
      return common(name)
  }
}

/** Names and values of a form body, sorted by name and joined by nothing, as Twilio signs them; else empty. */
function sortedForm({ headers, body }: HopRequest): string {
  const type = getHeader(headers, 'content-type') ?? ''
  if (body === null || !/^application\/x-www-form-urlencoded\s*(?:;|$)/i.test(type)) return ''
  const pairs = new URLSearchParams(Buffer.from(body).toString())
  return [...pairs]
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map((pair) => pair.join(''))
    .join('')
}
