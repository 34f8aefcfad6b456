import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ErrorType } from '../../../src/errors/catalogue.ts'
import { GatewayError, type GatewayErrorOptions } from '../../../src/errors/gateway-error.ts'
import type { RetryPolicy } from '../../../src/model/adapter-policy.ts'
import { decideRetry, type RetryFacts, type RetryTally, type TryOutcome } from '../../../src/policy/retry.ts'
import { anAdapter } from '../../support/builders.ts'

const RULES: RetryPolicy = { ...anAdapter().retry, total: 3 }
const NONE: RetryTally = { total: 0, connect: 0, read: 0, status: 0, other: 0 }

function facts(outcome: TryOutcome, over: Partial<RetryFacts> = {}): RetryFacts {
  return { outcome, method: 'GET', repeatable: true, tally: NONE, remainingMs: 30_000, refusalMs: 0, random: () => 0.5, ...over }
}
const failed = (type: ErrorType, options: GatewayErrorOptions = {}): TryOutcome => ({
  kind: 'failure',
  error: new GatewayError(type, 'x', options),
})
const answered = (status: number, retryAfterMs: number | null = null): TryOutcome => ({ kind: 'status', status, retryAfterMs })
const POST: Partial<RetryFacts> = { method: 'POST', repeatable: false }

const RETRIED: readonly [name: string, RetryFacts, Partial<RetryPolicy>, reason: string, waitMs: number, because: string][] = [
  ['a listed status', facts(answered(503)), {}, 'status', 100, 'backoff'],
  ['a connection that could not be made', facts(failed('ConnectionError')), {}, 'connect', 100, 'backoff'],
  ['a POST of which nothing was sent', facts(failed('ConnectTimeout'), POST), {}, 'connect', 100, 'backoff'],
  ['a read that timed out', facts(failed('ReadTimeout', { sent: 'maybe' })), {}, 'read', 100, 'backoff'],
  ['a TLS failure, as urllib3 counts it', facts(failed('SSLError')), {}, 'other', 100, 'backoff'],
  [
    'the third retry waits longer',
    facts(answered(502), { tally: { ...NONE, total: 2, status: 2 } }),
    {},
    'status',
    400,
    'backoff',
  ],
  ['Retry-After is waited in full, without jitter', facts(answered(429, 7000)), {}, 'status', 7000, 'Retry-After'],
  ['a Retry-After of 0 is one', facts(answered(429, 0)), {}, 'status', 0, 'Retry-After'],
  [
    'Retry-After at the limit is waited',
    facts(answered(503, 30_000), { remainingMs: 30_001 }),
    {},
    'status',
    30_000,
    'Retry-After',
  ],
  ['Retry-After may be disregarded', facts(answered(503, 7000)), { respectRetryAfterHeader: false }, 'status', 100, 'backoff'],
  [
    'one counter spent leaves the others',
    facts(failed('ConnectionError'), { tally: { ...NONE, total: 1, status: 1 } }),
    { status: 1 },
    'connect',
    200,
    'backoff',
  ],
  ['a wait that outlasts the open breaker', facts(answered(503, 7000), { refusalMs: 7000 }), {}, 'status', 7000, 'Retry-After'],
]
for (const [name, given, over, reason, waitMs, because] of RETRIED) {
  test(`retried: ${name}`, () => {
    assert.deepEqual(decideRetry(given, { ...RULES, ...over }), { kind: 'retry', reason, waitMs, because })
  })
}

const STOPPED: readonly [name: string, RetryFacts, Partial<RetryPolicy>, rule: string, because: RegExp][] = [
  ['a status that is not listed', facts(answered(500)), {}, 'status', /500 is not in retry\.statusForcelist/],
  [
    'a listed status to a POST',
    facts(answered(503), POST),
    {},
    'method',
    /^POST is not repeated: the request has arrived; give an idempotencyKey$/,
  ],
  [
    'a POST that may have arrived',
    facts(failed('ReadTimeout', { sent: 'maybe' }), POST),
    {},
    'method',
    /^POST is not repeated: the request may have arrived; give an idempotencyKey$/,
  ],
  ['no retries at all', facts(answered(503)), { total: 0 }, 'exhausted', /^retry\.total is 0$/],
  [
    'the total is used up',
    facts(answered(503), { tally: { ...NONE, total: 3 } }),
    {},
    'exhausted',
    /retry\.total, 3, is used up/,
  ],
  [
    'its own counter is used up',
    facts(failed('ConnectionError'), { tally: { ...NONE, connect: 1, total: 1 } }),
    { connect: 1 },
    'exhausted',
    /retry\.connect, 1/,
  ],
  ['reads are not retried', facts(failed('ReadTimeout', { sent: 'maybe' })), { read: 0 }, 'exhausted', /^retry\.read is 0$/],
  [
    'Retry-After is too long',
    facts(answered(429, 30_001)),
    {},
    'retry-after',
    /30001 ms, is over retry\.retryAfterMax, 30000 ms/,
  ],
  [
    'Retry-After outlasts the call',
    facts(answered(429, 7000), { remainingMs: 7000 }),
    {},
    'deadline',
    /Retry-After, 7000 ms, would outlast timeout\.total/,
  ],
  ['backoff outlasts the call', facts(answered(503), { remainingMs: 50 }), {}, 'deadline', /backoff, 100 ms/],
  ['the breaker has opened', facts(answered(503), { refusalMs: 30_000 }), {}, 'breaker', /breaker has opened/],
  ['an open breaker', facts(failed('BreakerOpen')), {}, 'final', /never retried/],
  ['a full bulkhead', facts(failed('BulkheadFull')), {}, 'final', /^BulkheadFull is not retried/],
  ['a spent rate', facts(failed('RateLimited')), {}, 'final', /^RateLimited is not retried/],
  ['a caller who hung up', facts(failed('Cancelled')), {}, 'final', /^Cancelled is not retried/],
  ['an unknown credential', facts(failed('UnknownCredential')), {}, 'final', /^UnknownCredential/],
  ['a credential out of reach', facts(failed('CredentialUnavailable')), {}, 'final', /^CredentialUnavailable/],
  ['a refused address', facts(failed('EgressDenied')), {}, 'final', /^EgressDenied/],
  ['the total clock', facts(failed('Timeout', { sent: 'maybe' })), {}, 'deadline', /timeout\.total ran out/],
  ['an answer that is too large', facts(failed('ResponseTooLarge', { sent: 'yes' })), {}, 'size', /same answer would come again/],
]
for (const [name, given, over, rule, because] of STOPPED) {
  test(`not retried: ${name}`, () => {
    const verdict = decideRetry(given, { ...RULES, ...over })
    assert.ok(verdict.kind === 'stop')
    assert.equal(verdict.rule, rule)
    assert.match(verdict.because, because)
  })
}

test('what the upstream asked for is handed on where it ended the retrying', () => {
  for (const given of [facts(answered(429, 60_000)), facts(answered(429, 9000), { remainingMs: 5000 })]) {
    const verdict = decideRetry(given, RULES)
    assert.ok(verdict.kind === 'stop' && given.outcome.kind === 'status')
    assert.equal(verdict.retryAfterMs, given.outcome.retryAfterMs)
  }
})
