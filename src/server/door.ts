// What is judged on a request's head alone, before anything of it is acted on. Pure: head in, refusal or null out.
import type { IncomingHttpHeaders } from 'node:http'
import { GatewayError } from '../errors/gateway-error.ts'

const LOCAL_HOST = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i
const LOOPBACK = /^(?:127\.|::1$|::ffff:127\.)/

/** Framing that Node's parser leaves to us, and web attackers: Origin, Sec-Fetch-Site. `secure`: TLS ends here. Default false. */
export function judgeHead(headers: IncomingHttpHeaders, httpVersion: string, secure = false): GatewayError | null {
  const { host, origin } = headers
  if (host === undefined && httpVersion === '1.1') return malformed('The request has no Host header, which HTTP/1.1 requires.')
  if (host?.includes(',')) return malformed('The request has more than one Host header; send one (RFC 9112 §3.2).')
  const coding = headers['transfer-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    return malformed('Of Transfer-Encoding only chunked is understood.')
  if (headers['sec-fetch-site'] === 'cross-site' || (origin !== undefined && !isOwnOrigin(origin, host, secure)))
    return new GatewayError('Forbidden', 'Pages of another origin may not call the gateway; there is no CORS.', {
      rule: 'foreign-origin',
    })
  return null
}

/** What is no HTTP request that can be understood; `detail` as on every 400, pointing at the whole. */
export function malformed(message: string): GatewayError {
  return new GatewayError('InvalidDescriptor', message, { detail: [{ pointer: '', message }] })
}

/** For a gateway without configured callers: this machine, by a name that no web page can make its own. */
export function judgeLocal(host: string | undefined, remoteAddress: string | undefined): GatewayError | null {
  if (LOCAL_HOST.test(host ?? '') && LOOPBACK.test(remoteAddress ?? '')) return null
  return new GatewayError(
    'Forbidden',
    'With no caller configured only this machine is served, as localhost, 127.0.0.1 or [::1]; configure callers to serve others.',
    { rule: 'loopback-only' },
  )
}

/** Where TLS may end in front of the gateway, either scheme is its own; where it ends here, a page from plain http is another's. */
function isOwnOrigin(origin: string, host: string | undefined, secure: boolean): boolean {
  if (host === undefined) return false
  const own = host.toLowerCase()
  return origin === `https://${own}` || (!secure && origin === `http://${own}`)
}

/** No two runs of blanks meet: a long one would be tried in all ways between them. */
const JSON_TYPE = /^application\/json[\t ]*(?:;[\t ]*(?:charset=(?:"utf-?8"|utf-?8)[\t ]*)?)?$/i

/** The JSON entrances take application/json in UTF-8, uncompressed, of at most `limit` bytes. */
export function judgeJsonHead(headers: IncomingHttpHeaders, limit: number): GatewayError | null {
  const type = headers['content-type']
  if (type !== 'application/json' && !JSON_TYPE.test(type ?? ''))
    return new GatewayError('UnsupportedMediaType', 'The body must be JSON in UTF-8: set Content-Type: application/json.')
  const coding = headers['content-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'identity')
    return new GatewayError('UnsupportedMediaType', 'A compressed body is not taken: send it without Content-Encoding.')
  const length = headers['content-length']
  return length !== undefined && Number(length) > limit ? tooLarge(limit) : null
}

export function tooLarge(limit: number): GatewayError {
  return new GatewayError(
    'RequestTooLarge',
    `The body is larger than listen.descriptorSize, ${limit} bytes; send less, or have it raised.`,
  )
}
