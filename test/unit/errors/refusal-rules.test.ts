import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CATALOGUE, type ErrorType, isA } from '../../../src/errors/catalogue.ts'
import { GatewayError, withResponse } from '../../../src/errors/gateway-error.ts'

test('every refusal has a rule of its own but Forbidden, whose rules are many', () => {
  const types = Object.keys(CATALOGUE) as ErrorType[]
  const unnamed = types.filter((type) => isA(type, 'GatewayRefusal') && new GatewayError(type, '').rule === 'other')
  assert.deepEqual(unnamed, ['Forbidden'])
})

test('what is no refusal has no rule, whatever it was given; a caller that hung up was not refused', () => {
  for (const type of ['ConnectTimeout', 'InvalidURL', 'InternalError', 'Cancelled'] as const)
    assert.equal(new GatewayError(type, '', { rule: 'quota' }).rule, null)
})

test('the rule that was named stands before that of the type, and stays with the error', () => {
  const error = new GatewayError('EgressDenied', '', { rule: 'egress-port' })
  assert.equal(error.rule, 'egress-port')
  assert.equal(withResponse(error, { status: 302, reason: '', rawHeaders: [] }).rule, 'egress-port')
})
