import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ErrorType } from '../../../src/errors/catalogue.ts'
import { GatewayError, type GatewayErrorOptions } from '../../../src/errors/gateway-error.ts'
import {
  faultOf,
  type Health,
  healthOfError,
  healthOfStatus,
  type RetryReason,
  retryReason,
} from '../../../src/policy/classify.ts'

const STATUSES = [500, 502, 503, 504]
const partial = (status: number): GatewayErrorOptions => ({ response: { status, reason: '', rawHeaders: [] }, sent: 'yes' })

const STATUS_CASES: readonly [status: number, health: Health][] = [
  [200, 'success'],
  [302, 'success'],
  [404, 'success'],
  [429, 'success'],
  [501, 'success'],
  [500, 'failure'],
  [503, 'failure'],
]
for (const [status, health] of STATUS_CASES) {
  test(`a ${status} is a ${health} to the breaker`, () => assert.equal(healthOfStatus(status, STATUSES), health))
}

const ERROR_CASES: readonly [ErrorType, GatewayErrorOptions, Health, Exclude<RetryReason, 'status'> | null][] = [
  ['ConnectTimeout', { sent: 'no' }, 'failure', 'connect'],
  ['ConnectionError', { sent: 'no' }, 'failure', 'connect'],
  ['ProxyError', { sent: 'no' }, 'failure', 'connect'],
  ['ConnectionError', { sent: 'maybe' }, 'failure', 'read'],
  ['ConnectionError', { sent: 'maybe', staleConnection: true }, 'neutral', 'read'],
  ['ReadTimeout', { sent: 'maybe' }, 'failure', 'read'],
  ['ChunkedEncodingError', partial(200), 'failure', 'read'],
  ['SSLError', { sent: 'no' }, 'failure', 'other'],
  ['Timeout', { sent: 'maybe' }, 'failure', null],
  ['ResponseTooLarge', partial(200), 'success', null],
  ['ContentDecodingError', partial(503), 'failure', null],
  ['InvalidHeader', { upstream: true, sent: 'yes' }, 'neutral', null],
  ['Cancelled', { sent: 'maybe' }, 'neutral', null],
  ['Cancelled', partial(200), 'neutral', null],
  ['Cancelled', partial(503), 'neutral', null],
  ['Draining', partial(200), 'neutral', null],
  ['Draining', { sent: 'maybe' }, 'neutral', null],
  ['EgressDenied', {}, 'neutral', null],
  ['UnknownCredential', {}, 'neutral', null],
  ['CredentialUnavailable', {}, 'neutral', null],
  ['BulkheadFull', {}, 'neutral', null],
  ['BreakerOpen', {}, 'neutral', null],
  ['InternalError', {}, 'neutral', null],
]
for (const [type, options, health, reason] of ERROR_CASES) {
  const facts = JSON.stringify(options)
  test(`${type} ${facts} is ${health} to the breaker and ${reason ?? 'never retried'}`, () => {
    const error = new GatewayError(type, 'x', options)
    assert.equal(healthOfError(error, STATUSES), health)
    assert.equal(retryReason(error), reason)
  })
}

for (const [status, error, source, fault] of [
  [200, null, 'upstream', 'none'],
  [302, null, 'upstream', 'none'],
  [404, null, 'upstream', 'caller'],
  [500, null, 'upstream', 'upstream'],
  [null, null, 'upstream', 'none'],
  [200, 'ChunkedEncodingError', 'upstream', 'upstream'],
  [null, 'InvalidHeader', 'upstream', 'upstream'],
  [null, 'InvalidHeader', 'gateway', 'caller'],
  [null, 'ConnectTimeout', 'upstream', 'upstream'],
  [null, 'Timeout', 'upstream', 'upstream'],
  [null, 'Timeout', 'gateway', 'gateway'],
  [null, 'BreakerOpen', 'gateway', 'upstream'],
  [null, 'BulkheadFull', 'gateway', 'gateway'],
  [null, 'RateLimited', 'gateway', 'caller'],
  [null, 'Cancelled', 'gateway', 'caller'],
  [null, 'InternalError', 'gateway', 'gateway'],
] as const)
  test(`status ${status} and error ${error} of the ${source} is laid to: ${fault}`, () => {
    assert.equal(faultOf({ status, error, source }), fault)
  })
