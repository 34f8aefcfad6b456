import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { retry } from '../../../src/layers/retry.ts'
import type { RetryPolicy } from '../../../src/model/adapter-policy.ts'
import type { Logger } from '../../../src/model/ports.ts'
import { type Amplification, createAmplification } from '../../../src/policy/amplification.ts'
import { createAskedInstants } from '../../../src/policy/asked-instants.ts'
import { createRetryBudget, type RetryBudget } from '../../../src/policy/retry-budget.ts'
import { aContext, aMeter, anAdapter, aPlan, aRequest, aResponse } from '../../support/builders.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { type ScriptLine, scripted, watch } from '../../support/scripted-dispatch.ts'

const REFUSED = new GatewayError('ConnectionError', 'refused', { sent: 'no' })
const SILENT = new GatewayError('ReadTimeout', 'silent', { sent: 'maybe' })
const STALE = new GatewayError('ConnectionError', 'died', { sent: 'maybe', staleConnection: true })
const BUSY = aResponse({ status: 503, reason: 'Service Unavailable' })

interface Setting {
  readonly rules?: Partial<RetryPolicy>
  readonly repeatable?: boolean
  readonly method?: string
  readonly budget?: RetryBudget
  readonly refusalMs?: () => number
  readonly amplification?: Amplification
  readonly log?: Logger
}

function tryWith(
  lines: readonly ScriptLine[],
  { rules, repeatable = true, method = 'GET', budget, refusalMs, ...told }: Setting = {},
) {
  const clock = createFakeClock()
  const meter = aMeter()
  const { amplification = createAmplification(clock), log = { log() {} } } = told
  const context = aContext()
  const upstream = scripted(...lines)
  const layer = retry(
    { budget: budget ?? null, amplification, breaker: refusalMs ? { refusalMs, keepPlace: () => true } : null },
    { clock, asked: createAskedInstants(clock), meter, log, random: () => 0.5 },
  )
  const plan = aPlan({ retry: { ...anAdapter().retry, ...rules }, repeatable })
  const result = watch(layer(upstream.dispatch)(aRequest({ plan, method }), context))
  return { clock, meter, context, upstream, result }
}

test('an answer that is no failure passes through untouched, and costs no wait', async () => {
  const answer = aResponse({ status: 404 })
  const { clock, context, result, meter } = tryWith([answer])
  await clock.advance(0)
  assert.equal(result.value, answer)
  assert.deepEqual([context.trail.notRetried, context.trail.queuedMs, meter.deeds], [null, 0, []])
})

test('a failure is tried again after full-jitter waits, each in the ledger of waits', async () => {
  const { clock, context, upstream, result, meter } = tryWith([REFUSED, BUSY, aResponse()])
  await clock.advance(99)
  assert.equal(upstream.asked.length, 1)
  await clock.advance(1)
  assert.equal(upstream.asked.length, 2)
  assert.deepEqual(context.trail.takeWait(), { waited: 100, because: 'backoff' })
  await clock.advance(200)
  assert.deepEqual([result.value?.status, upstream.asked.length], [200, 3])
  assert.deepEqual(context.trail.takeWait(), { waited: 200, because: 'backoff' })
  assert.equal(context.trail.notRetried, null)
  assert.deepEqual(meter.deeds, [
    ['retried', 'example', 'connect'],
    ['retried', 'example', 'status'],
  ])
})

test('when tries run out the last response is returned as it is, with the rule', async () => {
  const last = aResponse({ status: 503, body: Buffer.from('why') })
  const { clock, context, result, meter } = tryWith([BUSY, BUSY, last])
  await clock.advance(10_000)
  assert.equal(result.value, last)
  assert.equal(context.trail.notRetried, 'retry.total, 2, is used up')
  assert.deepEqual(meter.deeds.at(-1), ['retryRefused', 'example', 'exhausted'])
})

test('when tries run out the last failure is thrown as it is', async () => {
  const { clock, result } = tryWith([BUSY, REFUSED, SILENT])
  await clock.advance(10_000)
  assert.equal(result.error, SILENT)
})

test('raiseOnStatus makes a RetryError of a status that kept failing, with its head', async () => {
  const last = aResponse({ status: 503, reason: 'Busy', rawHeaders: ['Retry-After', '60'] })
  const { clock, result } = tryWith([last], { rules: { raiseOnStatus: true } })
  await clock.advance(0)
  const error = result.error as GatewayError
  assert.equal(error.type, 'RetryError')
  assert.deepEqual([error.sent, error.retryAfter], ['yes', 60_000])
  assert.deepEqual(error.response, { status: 503, reason: 'Busy', rawHeaders: ['Retry-After', '60'] })
  assert.match(
    error.message,
    /^https:\/\/api\.example\.com still answered 503 after 1 try: Retry-After, 60000 ms, is over retry\.retryAfterMax/,
  )
})

test('raiseOnStatus concerns statuses that are retried: a POST gets its answer', async () => {
  const { clock, result, context } = tryWith([BUSY], { rules: { raiseOnStatus: true }, repeatable: false, method: 'POST' })
  await clock.advance(0)
  assert.equal(result.value, BUSY)
  assert.equal(context.trail.notRetried, 'POST is not repeated: the request has arrived; give an idempotencyKey')
})

test('a POST is repeated only if nothing of it was sent', async () => {
  const { clock, upstream, result, context } = tryWith([REFUSED, SILENT], { repeatable: false, method: 'POST' })
  await clock.advance(10_000)
  assert.equal(upstream.asked.length, 2)
  assert.equal(result.error, SILENT)
  assert.equal(context.trail.notRetried, 'POST is not repeated: the request may have arrived; give an idempotencyKey')
})

test('Retry-After is waited in full, as seconds and as a date', async () => {
  const date = new Date(Date.UTC(2026, 0, 1) + 9000).toUTCString()
  const lines = [
    aResponse({ status: 429, rawHeaders: ['retry-after', '7'] }),
    aResponse({ status: 503, rawHeaders: ['Retry-After', date] }),
    aResponse(),
  ]
  const { clock, upstream, context, result } = tryWith(lines)
  await clock.advance(6999)
  assert.equal(upstream.asked.length, 1)
  await clock.advance(1)
  assert.equal(upstream.asked.length, 2)
  assert.deepEqual(context.trail.takeWait(), { waited: 7000, because: 'Retry-After' })
  await clock.advance(2000)
  assert.equal(result.value?.status, 200)
})

test('a Retry-After that is none is passed over for the backoff', async () => {
  const { clock, upstream } = tryWith([aResponse({ status: 503, rawHeaders: ['Retry-After', '1e3'] }), aResponse()])
  await clock.advance(100)
  assert.equal(upstream.asked.length, 2)
})

test('a status of a server that is not listed is returned, and the rule said', async () => {
  const { clock, context, result, meter } = tryWith([aResponse({ status: 500 })])
  await clock.advance(0)
  assert.equal(result.value?.status, 500)
  assert.equal(context.trail.notRetried, 'status 500 is not in retry.statusForcelist')
  assert.deepEqual(meter.deeds, [])
})

test('no retries configured is no refused retry', async () => {
  const { clock, context, meter } = tryWith([BUSY], { rules: { total: 0 } })
  await clock.advance(0)
  assert.equal(context.trail.notRetried, 'retry.total is 0')
  assert.deepEqual(meter.deeds, [])
})

test('a caller who hangs up in a wait ends it, and no try follows', async () => {
  const { clock, upstream, context, result } = tryWith([BUSY])
  await clock.advance(40)
  const gone = new GatewayError('Cancelled', 'the caller hung up')
  context.cancellation.cancel(gone)
  await clock.advance(10_000)
  assert.equal(result.error, gone)
  assert.deepEqual([upstream.asked.length, clock.pending, context.trail.queuedMs], [1, 0, 40])
})

test('a spent budget ends the retrying of every call of the adapter', async () => {
  const clock = createFakeClock()
  const budget = createRetryBudget(0.2, clock)
  while (budget.tryRetry());
  const { clock: own, upstream, context, result, meter } = tryWith([BUSY], { budget })
  await own.advance(0)
  assert.deepEqual([upstream.asked.length, result.value], [1, BUSY])
  assert.equal(context.trail.notRetried, 'retry.budget of adapter "example" is spent')
  assert.deepEqual(meter.deeds, [['retryRefused', 'example', 'budget']])
})

test('nothing sleeps into an open breaker', async () => {
  const { clock, upstream, context, result } = tryWith([BUSY], { refusalMs: () => 30_000 })
  await clock.advance(0)
  assert.deepEqual([upstream.asked.length, result.value], [1, BUSY])
  assert.match(context.trail.notRetried ?? '', /breaker has opened/)
})

test('a pooled connection that died under a repeatable call is repeated once, at once, free of budget and counters', async () => {
  const budget: RetryBudget = { countRequest: () => {}, tryRetry: () => assert.fail('the budget was asked') }
  const { clock, upstream, context, result, meter } = tryWith([STALE, aResponse()], { rules: { total: 0 }, budget })
  await clock.advance(0)
  assert.deepEqual([result.value?.status, upstream.asked.length, context.trail.queuedMs], [200, 2, 0])
  assert.deepEqual(meter.deeds, [['retried', 'example', 'stale']])
})

test('a second connection that dies is a failure like any other', async () => {
  const { clock, upstream, result } = tryWith([STALE], { rules: { total: 0 } })
  await clock.advance(0)
  assert.deepEqual([result.error, upstream.asked.length], [STALE, 2])
})

test('a POST on a connection that died is not repeated', async () => {
  const { clock, upstream, result } = tryWith([STALE], { repeatable: false, method: 'POST' })
  await clock.advance(10_000)
  assert.deepEqual([result.error, upstream.asked.length], [STALE, 1])
})

test('what is no GatewayError is a fault of ours: it passes and is never repeated', async () => {
  const bug = new TypeError('x')
  const { clock, upstream, result } = tryWith([bug])
  await clock.advance(10_000)
  assert.deepEqual([result.error, upstream.asked.length], [bug, 1])
})

test('where calls come to more than one and a half tries each, the log is told, once', async () => {
  const lines: unknown[] = []
  const log: Logger = { log: (...line) => void lines.push(line) }
  const amplification = createAmplification({ now: () => 0 })
  for (let times = 0; times < 30; times++) await tryWith([BUSY, aResponse()], { amplification, log }).clock.advance(200)
  assert.deepEqual(lines, [['warn', 'retries multiply the load', { adapter: 'example', count: 20, attempts: 40 }]])
})
