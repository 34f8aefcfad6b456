import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { tlsFailureOf } from '../../../src/transport/tls-failure.ts'

for (const [code, reason] of [
  ['CERT_HAS_EXPIRED', 'expired'],
  ['CERT_NOT_YET_VALID', 'expired'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'hostname'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'untrusted'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'untrusted'],
  ['CERT_UNTRUSTED', 'untrusted'],
  ['CERT_REVOKED', 'certificate'],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'client-certificate'],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'client-certificate'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'protocol'],
  ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'protocol'],
  ['ECONNRESET', 'closed'],
] as const)
  test(`a handshake that ends in ${code} failed for: ${reason}`, () => {
    assert.equal(tlsFailureOf(Object.assign(new Error('x'), { code })), reason)
  })

test('the connect clock is a time-out; a caller that hung up is no failure of the handshake', () => {
  assert.equal(tlsFailureOf(new GatewayError('ConnectTimeout', '')), 'timeout')
  assert.equal(tlsFailureOf(new GatewayError('Cancelled', '')), null)
})
