import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { createTrail } from '../../../src/model/trail.ts'
import {
  type CallOutcome,
  readOutcome,
  rememberOutcome,
  replayOutcome,
  writeOutcome,
} from '../../../src/policy/remembered-outcome.ts'
import { aResponse } from '../../support/builders.ts'

function aTrail() {
  const trail = createTrail()
  trail.url = 'https://api.example.com/b'
  trail.history.push({
    method: 'GET',
    status: 302,
    reason: 'Found',
    url: 'https://api.example.com/a',
    rawHeaders: ['x', 'y'],
    elapsed: 3,
  })
  trail.setCookie('sid', '1')
  trail.outgoing = {
    method: 'POST',
    url: 'https://api.example.com/b',
    headers: [['Authorization', 'Basic ***']],
    body: Buffer.from([0, 255]),
  }
  trail.notRetried = 'a rule'
  trail.warn('a warning')
  return trail
}

function throughTheStore(outcome: CallOutcome, trail = aTrail()) {
  const remembered = readOutcome(writeOutcome(rememberOutcome(outcome, trail)))
  assert.ok(remembered)
  return remembered
}

test('a response comes back byte for byte, with everything the envelope tells of it', () => {
  const body = Buffer.from([0, 1, 254, 255])
  const response = aResponse({
    status: 201,
    reason: 'Créé',
    rawHeaders: ['Set-Cookie', 'a=1', 'set-cookie', 'b=2'],
    body,
    elapsed: 12.5,
  })
  const trail = createTrail()
  assert.deepEqual(replayOutcome(throughTheStore({ kind: 'response', response }), trail), response)
  const { url, history, cookies, outgoing, notRetried, warnings } = aTrail()
  assert.deepEqual(
    {
      url: trail.url,
      history: trail.history,
      cookies: trail.cookies,
      outgoing: trail.outgoing,
      notRetried: trail.notRetried,
      warnings: trail.warnings,
    },
    { url, history, cookies, outgoing, notRetried, warnings },
  )
  assert.deepEqual([trail.replayed, trail.attempts], [true, []])
})

test('an error comes back with its type, its status and its broken answer, without what only admins may read', () => {
  const error = new GatewayError('ChunkedEncodingError', 'broke off', {
    sent: 'yes',
    retryAfter: 5,
    detail: { a: 1 },
    response: { status: 200, reason: 'OK', rawHeaders: ['a', 'b'] },
    privateDetail: '10.0.0.1',
  })
  const remembered = throughTheStore({ kind: 'error', error })
  assert.throws(
    () => replayOutcome(remembered, createTrail()),
    (thrown: unknown) => {
      assert.ok(thrown instanceof GatewayError)
      const { type, message, sent, retryAfter, detail, response, status, privateDetail } = thrown
      assert.deepEqual(
        { type, message, sent, retryAfter, detail, response, status },
        {
          type: error.type,
          message: error.message,
          sent: error.sent,
          retryAfter: error.retryAfter,
          detail: error.detail,
          response: error.response,
          status: 502,
        },
      )
      assert.equal(privateDetail, undefined)
      return true
    },
  )
})

test('an error is remembered as sent if any try was, not only the last', () => {
  const trail = createTrail()
  const attempt = { hop: 0, method: 'POST', url: '', adapter: 'a', origin: '', address: null, reused: false, waited: 0 }
  trail.begin({
    ...attempt,
    because: null,
    sent: 'maybe',
    connect: null,
    firstByte: null,
    elapsed: 1,
    begun: 0,
    span: null,
  })
  const { outcome } = throughTheStore({ kind: 'error', error: new GatewayError('ConnectionError', 'x', { sent: 'no' }) }, trail)
  assert.ok(outcome.kind === 'error')
  assert.equal(outcome.error.sent, 'maybe')
})

test('a text that this version did not write is no outcome, and never throws', () => {
  for (const text of ['', 'null', '3', '{}', '{"format":2,"response":{}}', '{"format":1}']) assert.equal(readOutcome(text), null)
  fc.assert(fc.property(fc.json(), (text) => assert.equal(readOutcome(text), null)))
})
