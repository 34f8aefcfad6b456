// Foreign errors (node, OpenSSL, undici) become ours in this one table, most specific first. Errors of the answer's content
// are made where they are found: decode-body.ts, exchange.ts.
import type { ErrorType } from '../errors/catalogue.ts'
import { GatewayError, type GatewayErrorOptions } from '../errors/gateway-error.ts'

/** How far a try had got: making the connection, reaching the proxy, waiting for the head of an answer, in its body. */
export type Stage = 'connect' | 'proxy' | 'head' | 'body'

export interface Whereabouts {
  readonly stage: Stage
  /** Of the upstream; of the proxy in stage `proxy`. */
  readonly hostname: string
  readonly port: number
}

interface Row {
  readonly codes: readonly string[]
  /** Absent: any. */
  readonly stages?: readonly Stage[]
  readonly type: ErrorType
  /** `who` is "api.example.com (port 443)". */
  readonly say: (who: string) => string
}

const row = (codes: readonly string[], type: ErrorType, say: Row['say'], stages?: readonly Stage[]): Row =>
  stages === undefined ? { codes, type, say } : { codes, type, say, stages }

const OWN_FAULTS: readonly string[] = ['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH']

/** A code ending in `*` stands for all that begin so. */
const ROWS: readonly Row[] = [
  row(['CERT_HAS_EXPIRED'], 'SSLError', (who) => `the certificate of ${who} has expired; have it renewed`),
  row(
    ['CERT_NOT_YET_VALID'],
    'SSLError',
    (who) => `the certificate of ${who} is not valid yet; check its dates and this machine's clock`,
  ),
  row(
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'ERR_TLS_CERT_ALTNAME_FORMAT', 'HOSTNAME_MISMATCH'],
    'SSLError',
    (who) => `the certificate of ${who} is for another host; call it by a name that the certificate lists`,
  ),
  row(['CERT_REVOKED'], 'SSLError', (who) => `the certificate of ${who} was revoked`),
  row(
    ['DEPTH_ZERO_SELF_SIGNED_CERT'],
    'SSLError',
    (who) => `the certificate of ${who} is self-signed; configure it as a CA bundle and name that with verify`,
  ),
  row(
    [
      'SELF_SIGNED_CERT_IN_CHAIN',
      'UNABLE_TO_GET_ISSUER_CERT',
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      'CERT_UNTRUSTED',
    ],
    'SSLError',
    (who) => `the certificate of ${who} was issued by a CA that is not trusted; name the CA bundle with verify`,
  ),
  row(
    ['INVALID_CA', 'INVALID_PURPOSE', 'PATH_LENGTH_EXCEEDED', 'CERT_*', 'CRL_*'],
    'SSLError',
    (who) => `the certificate of ${who} is not valid`,
  ),
  row(
    [
      'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
      'ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE',
      'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE',
      'ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_UNKNOWN',
      'ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN',
      'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
      'ERR_SSL_TLSV1_ALERT_ACCESS_DENIED',
    ],
    'SSLError',
    (who) => `${who} wants a client certificate that it knows; name a stored one with cert`,
  ),
  row(
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_HTTP_REQUEST', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'ERR_SSL_RECORD_LAYER_FAILURE'],
    'SSLError',
    (who) => `${who} does not speak TLS; check the scheme and the port`,
  ),
  row(
    ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'ERR_SSL_UNSUPPORTED_PROTOCOL_VERSION'],
    'SSLError',
    (who) => `${who} speaks no TLS of version 1.2 or later`,
  ),
  row(
    ['ERR_OSSL_*', 'ERR_CRYPTO_*', 'ERR_SSL_CA_*', 'ERR_TLS_*'],
    'SSLError',
    (who) => `the certificates configured for ${who} cannot be used; check the CA bundle and the client certificate`,
    ['connect', 'proxy'],
  ),
  row(['ERR_SSL_*', 'EPROTO'], 'SSLError', (who) => `the TLS handshake with ${who} failed`),

  row(['ECONNREFUSED'], 'ConnectionError', (who) => `connection refused by ${who}; check that it is up`, ['connect', 'proxy']),
  row(
    ['EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN', 'EADDRNOTAVAIL'],
    'ConnectionError',
    (who) => `no route to ${who}; check the network`,
    ['connect', 'proxy'],
  ),
  row(['ETIMEDOUT'], 'ConnectTimeout', (who) => `${who} did not take the connection`, ['connect']),
  row(['ECONNRESET', 'EPIPE'], 'ConnectionError', (who) => `${who} broke the connection off while it was being made`, [
    'connect',
    'proxy',
  ]),
  row(
    ['EMFILE', 'ENFILE', 'ENOBUFS'],
    'ConnectionError',
    (who) => `no connection to ${who}: this machine has no file descriptors left`,
  ),
  row(['EACCES', 'EPERM'], 'ConnectionError', (who) => `this machine does not permit connections to ${who}`),

  row(['UND_ERR_HEADERS_OVERFLOW'], 'ResponseTooLarge', (who) => `the response headers of ${who} are larger than 16384 bytes`),
  row(
    ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'HPE_LENGTH'],
    'InvalidHeader',
    (who) => `${who} sent contradictory or malformed response headers (Content-Length, Transfer-Encoding)`,
    ['head'],
  ),
  row(['HPE_HEADER'], 'InvalidHeader', (who) => `${who} sent a malformed response header`, ['head']),
  row(['HPE_*'], 'ConnectionError', (who) => `${who} answered something that is not HTTP`, ['head', 'proxy']),
  row(
    ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'UND_ERR_SOCKET', 'UND_ERR_INFO', 'HPE_EOF', 'ECONNRESET', 'EPIPE'],
    'ChunkedEncodingError',
    (who) => `${who} broke the body off before its end`,
    ['body'],
  ),
  row(['HPE_*'], 'ChunkedEncodingError', (who) => `the chunks of the body from ${who} are malformed`, ['body']),
  row(['ECONNRESET', 'EPIPE'], 'ConnectionError', (who) => `${who} reset the connection before it answered`, ['head']),
  row(['UND_ERR_SOCKET', 'UND_ERR_INFO'], 'ConnectionError', (who) => `${who} closed the connection before it answered`, [
    'head',
    'proxy',
  ]),
  row(
    ['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH'],
    'InternalError',
    (who) => `the request to ${who} could not be written`,
  ),
]

/** undici would not take the request: nothing is wrong with the connection. */
export function isOwnFault(error: unknown): boolean {
  return OWN_FAULTS.includes(codeOf(error))
}

const ANY_CONNECTION_ERROR = row([], 'ConnectionError', (who) => `the connection to ${who} failed`)
const ANY_BODY_ERROR = row([], 'ChunkedEncodingError', (who) => `the body from ${who} broke off`)

/** One of ours is given back as it is. A proxy's failure is ProxyError whatever its kind, except a clock that ran out. */
export function mapError(error: unknown, at: Whereabouts, options: GatewayErrorOptions = {}): GatewayError {
  if (error instanceof GatewayError) return error
  const code = codeOf(error)
  const found =
    ROWS.find((candidate) => fits(candidate, code, at.stage)) ?? (at.stage === 'body' ? ANY_BODY_ERROR : ANY_CONNECTION_ERROR)
  const who = `${at.hostname} (port ${at.port})`
  const isProxy = at.stage === 'proxy'
  const message = found.say(isProxy ? `the proxy ${who}` : who)
  const named = found === ANY_CONNECTION_ERROR && code !== '' ? `${message} (${code})` : message
  const upstream = found.type === 'InvalidHeader' ? { upstream: true } : {}
  return new GatewayError(isProxy ? 'ProxyError' : found.type, named, { ...options, ...upstream, cause: error })
}

function fits(candidate: Row, code: string, stage: Stage): boolean {
  if (candidate.stages !== undefined && !candidate.stages.includes(stage)) return false
  return candidate.codes.some((wanted) => (wanted.endsWith('*') ? code.startsWith(wanted.slice(0, -1)) : code === wanted))
}

function codeOf(error: unknown): string {
  if (error instanceof Error && error.name === 'HTTPParserError') return parserCode(error.message)
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** undici leaves the code of a parser's error undefined; the reason stands in its message. */
function parserCode(message: string): string {
  if (/Content-Length|Transfer-Encoding/i.test(message)) return 'HPE_LENGTH'
  if (/header|after (name|value)/i.test(message)) return 'HPE_HEADER'
  return /EOF/.test(message) ? 'HPE_EOF' : 'HPE_OTHER'
}
