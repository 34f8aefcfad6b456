import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { isOwnFault, mapError, type Stage } from '../../../src/transport/map-error.ts'
import { interleaved } from '../../../src/transport/race-addresses.ts'

const at = (stage: Stage) => ({ stage, hostname: 'api.example.com', port: 443 })
const coded = (code: string): Error => Object.assign(new Error(`raw text of ${code}`), { code })
const parserError = (reason: string): Error =>
  Object.assign(new Error(`Response does not match (${reason})`), { name: 'HTTPParserError', code: undefined })

describe('a foreign error', () => {
  const cases: readonly [Error, Stage, string, RegExp][] = [
    [coded('ECONNREFUSED'), 'connect', 'ConnectionError', /^connection refused by api\.example\.com \(port 443\)/],
    [coded('EHOSTUNREACH'), 'connect', 'ConnectionError', /no route/],
    [coded('ENETUNREACH'), 'connect', 'ConnectionError', /no route/],
    [coded('ETIMEDOUT'), 'connect', 'ConnectTimeout', /did not take the connection/],
    [coded('ECONNRESET'), 'connect', 'ConnectionError', /while it was being made/],
    [coded('EMFILE'), 'connect', 'ConnectionError', /no file descriptors/],
    [coded('EPERM'), 'connect', 'ConnectionError', /does not permit/],
    [coded('CERT_HAS_EXPIRED'), 'connect', 'SSLError', /has expired/],
    [coded('CERT_NOT_YET_VALID'), 'connect', 'SSLError', /clock/],
    [coded('CERT_REVOKED'), 'connect', 'SSLError', /revoked/],
    [coded('CERT_SIGNATURE_FAILURE'), 'connect', 'SSLError', /is not valid$/],
    [coded('ERR_TLS_CERT_ALTNAME_INVALID'), 'connect', 'SSLError', /another host/],
    [coded('DEPTH_ZERO_SELF_SIGNED_CERT'), 'connect', 'SSLError', /self-signed/],
    [coded('SELF_SIGNED_CERT_IN_CHAIN'), 'connect', 'SSLError', /not trusted/],
    [coded('UNABLE_TO_GET_ISSUER_CERT_LOCALLY'), 'connect', 'SSLError', /not trusted/],
    [coded('ERR_SSL_WRONG_VERSION_NUMBER'), 'connect', 'SSLError', /does not speak TLS/],
    [coded('ERR_SSL_UNSUPPORTED_PROTOCOL'), 'connect', 'SSLError', /1\.2/],
    [coded('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'), 'head', 'SSLError', /client certificate/],
    [coded('ERR_SSL_SOMETHING_NEW'), 'connect', 'SSLError', /handshake .* failed/],
    [coded('ERR_OSSL_X509_KEY_VALUES_MISMATCH'), 'connect', 'SSLError', /cannot be used/],
    [coded('ECONNREFUSED'), 'proxy', 'ProxyError', /the proxy api\.example\.com \(port 443\)/],
    [coded('CERT_HAS_EXPIRED'), 'proxy', 'ProxyError', /the certificate of the proxy/],
    [coded('UND_ERR_SOCKET'), 'proxy', 'ProxyError', /the proxy/],
    [coded('ECONNRESET'), 'head', 'ConnectionError', /reset the connection before/],
    [coded('EPIPE'), 'head', 'ConnectionError', /reset the connection before/],
    [coded('UND_ERR_SOCKET'), 'head', 'ConnectionError', /closed the connection before/],
    [coded('UND_ERR_HEADERS_OVERFLOW'), 'head', 'ResponseTooLarge', /16384 bytes/],
    [coded('UND_ERR_HEADERS_OVERFLOW'), 'body', 'ResponseTooLarge', /16384 bytes/],
    [coded('UND_ERR_RES_CONTENT_LENGTH_MISMATCH'), 'head', 'InvalidHeader', /Content-Length, Transfer-Encoding/],
    [coded('UND_ERR_RES_CONTENT_LENGTH_MISMATCH'), 'body', 'ChunkedEncodingError', /before its end/],
    [
      parserError("Content-Length can't be present with Transfer-Encoding"),
      'head',
      'InvalidHeader',
      /Content-Length, Transfer-Encoding/,
    ],
    [parserError('Invalid header token'), 'head', 'InvalidHeader', /malformed response header/],
    [parserError('Expected HTTP/, RTSP/ or ICE/'), 'head', 'ConnectionError', /not HTTP/],
    [parserError('Invalid character in chunk size'), 'body', 'ChunkedEncodingError', /chunks/],
    [parserError('Invalid EOF state'), 'body', 'ChunkedEncodingError', /before its end/],
    [coded('ECONNRESET'), 'body', 'ChunkedEncodingError', /before its end/],
    [coded('ERR_HTTP2_STREAM_ERROR'), 'head', 'ConnectionError', /failed \(ERR_HTTP2_STREAM_ERROR\)/],
    [coded('ERR_HTTP2_STREAM_ERROR'), 'body', 'ChunkedEncodingError', /broke off/],
    [coded('UND_ERR_INVALID_ARG'), 'head', 'InternalError', /could not be written/],
    [new Error('no code'), 'head', 'ConnectionError', /^the connection to api\.example\.com \(port 443\) failed$/],
  ]
  for (const [error, stage, type, says] of cases) {
    test(`${'code' in error && error.code ? error.code : error.message} in stage ${stage} is ${type}`, () => {
      const mapped = mapError(error, at(stage), { sent: 'maybe', staleConnection: true })
      assert.equal(mapped.type, type)
      assert.match(mapped.message, says)
      assert.doesNotMatch(mapped.message, /raw text/)
      assert.equal(mapped.sent, 'maybe')
      assert.equal(mapped.staleConnection, true)
      assert.equal(mapped.cause, error)
      assert.equal(mapped.status, type === 'InvalidHeader' ? 502 : mapped.status)
      assert.notEqual(mapped.status, 400)
    })
  }

  test('that is one of ours already stays as it is', () => {
    const own = new GatewayError('EgressDenied', 'no')
    assert.equal(mapError(own, at('connect')), own)
  })

  test('that is no error at all has a name too', () => {
    assert.equal(mapError('thrown text', at('body')).type, 'ChunkedEncodingError')
    assert.equal(mapError(undefined, at('connect')).type, 'ConnectionError')
  })

  test('tells a request that undici would not take from a dead connection', () => {
    assert.equal(isOwnFault(coded('UND_ERR_INVALID_ARG')), true)
    assert.equal(isOwnFault(coded('ECONNRESET')), false)
  })
})

describe('the order of addresses', () => {
  const orders: readonly [readonly string[], readonly string[]][] = [
    [[], []],
    [['1.1.1.1'], ['1.1.1.1']],
    [
      ['::1', '::2', '::3', '1.1.1.1'],
      ['::1', '1.1.1.1', '::2', '::3'],
    ],
    [
      ['1.1.1.1', '2.2.2.2', '::1'],
      ['1.1.1.1', '::1', '2.2.2.2'],
    ],
  ]
  for (const [given, wanted] of orders) {
    test(`${given.join(' ') || 'none'} → ${wanted.join(' ') || 'none'}`, () => assert.deepEqual(interleaved(given), wanted))
  }
})
