import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sourceOf } from '../../../src/envelope/source.ts'
import { CATALOGUE, type ErrorType } from '../../../src/errors/catalogue.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'

test('an answer is the upstream’s doing, whatever its status', () => assert.equal(sourceOf(null, 1), 'upstream'))

const OF_UPSTREAM: readonly ErrorType[] = [
  'ConnectionError',
  'SSLError',
  'ProxyError',
  'TooManyRedirects',
  'ChunkedEncodingError',
  'ContentDecodingError',
  'ResponseTooLarge',
  'RetryError',
  'ConnectTimeout',
  'ReadTimeout',
  'Timeout',
]

for (const type of Object.keys(CATALOGUE) as ErrorType[]) {
  const source = OF_UPSTREAM.includes(type) ? 'upstream' : 'gateway'
  test(`${type} after a try is told as produced by the ${source}`, () => {
    assert.equal(sourceOf(new GatewayError(type, 'x'), 1), source)
  })
}

test('a total clock that ran out before the first try is the gateway’s doing: the time went into its queue', () => {
  assert.equal(sourceOf(new GatewayError('Timeout', 'x'), 0), 'gateway')
})

for (const type of ['InvalidURL', 'InvalidSchema', 'InvalidHeader', 'InvalidJSONError'] as const) {
  test(`${type} that the upstream caused is told as its doing`, () => {
    assert.equal(sourceOf(new GatewayError(type, 'x', { upstream: true }), 1), 'upstream')
  })
}
