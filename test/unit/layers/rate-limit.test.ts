import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { rateLimit } from '../../../src/layers/rate-limit.ts'
import { gates, openGate } from '../../../src/model/dispatch.ts'
import { createTokenBucket } from '../../../src/policy/token-bucket.ts'
import { aContext, aRequest, aResponse } from '../../support/builders.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { scripted, watch } from '../../support/scripted-dispatch.ts'

function limited(perSecond: number, burst: number) {
  const clock = createFakeClock()
  const upstream = scripted(aResponse())
  const dispatch = gates(rateLimit(createTokenBucket({ count: perSecond, perMs: 1000, burst }, clock), { clock }))(
    upstream.dispatch,
  )
  const call = (deadline = 30_000) => {
    const context = aContext({ deadline })
    return { context, result: watch(dispatch(aRequest(), context)) }
  }
  return { clock, upstream, call }
}

test('without a rate the layer is not there', () => {
  assert.equal(rateLimit(null, { clock: createFakeClock() }), openGate)
})

test('within the rate nobody waits', async () => {
  const { clock, call } = limited(10, 2)
  const [first, second] = [call(), call()]
  await clock.advance(0)
  assert.deepEqual([first.result.done, second.result.done, first.context.trail.queuedMs], [true, true, 0])
})

test('beyond it each waits its turn, in order of arrival, and the wait is in the ledger', async () => {
  const { clock, upstream, call } = limited(10, 1)
  const calls = [call(), call(), call()]
  await clock.advance(100)
  assert.deepEqual(
    calls.map(({ result }) => result.done),
    [true, true, false],
  )
  await clock.advance(100)
  assert.equal(upstream.asked.length, 3)
  assert.deepEqual(calls[2]?.context.trail.takeWait(), { waited: 200, because: 'rate limit' })
  assert.equal(clock.pending, 0)
})

test('a newcomer does not take the token of those in line, even where its timer is late', async () => {
  const clock = createFakeClock()
  let lateMs = 0
  const late = { ...clock, now: () => clock.now() + lateMs }
  const upstream = scripted(aResponse())
  const dispatch = gates(rateLimit(createTokenBucket({ count: 1, perMs: 1000, burst: 1 }, late), { clock: late }))(
    upstream.dispatch,
  )
  const [, inLine] = [watch(dispatch(aRequest(), aContext())), watch(dispatch(aRequest(), aContext()))]
  await clock.advance(500)
  lateMs = 700
  const newcomer = watch(dispatch(aRequest(), aContext()))
  await clock.advance(500)
  assert.deepEqual([inLine.done, newcomer.done], [true, false])
})

test('a turn after the deadline is refused at once, with the time to come back', async () => {
  const { clock, call } = limited(1, 1)
  call()
  call()
  const late = call(1999)
  await clock.advance(0)
  const error = late.result.error as GatewayError
  assert.deepEqual([error.type, error.retryAfter, error.sent], ['RateLimited', 2000, 'no'])
  assert.match(error.message, /limits\.rate of adapter "example" is spent for https:\/\/api\.example\.com/)
})

test('one who hangs up leaves the line, and those behind move up', async () => {
  const { clock, call } = limited(1, 1)
  call()
  const leaver = call()
  const behind = call()
  await clock.advance(500)
  const gone = new GatewayError('Cancelled', 'gone')
  leaver.context.cancellation.cancel(gone)
  await clock.advance(500)
  assert.equal(leaver.result.error, gone)
  assert.equal(behind.result.done, true)
})

test('the last to leave takes the timer along', async () => {
  const { clock, call } = limited(1, 1)
  call()
  const leaver = call()
  await clock.advance(0)
  leaver.context.cancellation.cancel(new GatewayError('Cancelled', 'gone'))
  assert.equal(clock.pending, 0)
})

test('the total clock that ends in the line says where the time went', async () => {
  const { clock, call } = limited(1, 1)
  call()
  const waiting = call()
  await clock.advance(300)
  waiting.context.cancellation.cancel(new GatewayError('Timeout', 'total', { sent: 'no' }))
  await clock.advance(0)
  const error = waiting.result.error as GatewayError
  assert.deepEqual([error.type, error.sent], ['Timeout', 'no'])
  assert.match(error.message, /after 300 ms in the queue of limits\.rate of adapter "example"/)
})

test('a try that fails gives no token back: it did cost the quota', async () => {
  const clock = createFakeClock()
  const upstream = scripted(new GatewayError('ReadTimeout', 'silent', { sent: 'maybe' }))
  const dispatch = gates(rateLimit(createTokenBucket({ count: 1, perMs: 1000, burst: 1 }, clock), { clock }))(upstream.dispatch)
  watch(dispatch(aRequest(), aContext()))
  watch(dispatch(aRequest(), aContext()))
  await clock.advance(999)
  assert.equal(upstream.asked.length, 1)
})

test('whatever comes and goes, the quota holds, the order holds and nobody is forgotten', async () => {
  const step = fc.oneof(
    fc.constant({ kind: 'call' as const, n: 0 }),
    fc.record({ kind: fc.constant('wait' as const), n: fc.nat(400) }),
    fc.record({ kind: fc.constant('leave' as const), n: fc.nat(30) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 25 }), async (burst, steps) => {
      const clock = createFakeClock()
      const sent: { at: number; id: number }[] = []
      const calls: { id: number; context: ReturnType<typeof aContext>; result: { done: boolean } }[] = []
      const layer = gates(rateLimit(createTokenBucket({ count: 4, perMs: 1000, burst }, clock), { clock }))
      for (const { kind, n } of steps) {
        if (kind === 'wait') await clock.advance(n)
        else if (kind === 'leave') calls[n]?.context.cancellation.cancel(new GatewayError('Cancelled', 'gone'))
        else {
          const id = calls.length
          const context = aContext({ deadline: Number.POSITIVE_INFINITY })
          const dispatch = layer(async () => {
            sent.push({ at: clock.now(), id })
            return aResponse()
          })
          calls.push({ id, context, result: watch(dispatch(aRequest(), context)) })
        }
      }
      await clock.advance(60_000)
      assert.ok(calls.every(({ result }) => result.done))
      assert.equal(clock.pending, 0)
      for (let i = 0; i < sent.length; i++) {
        const first = sent[i] as { at: number; id: number }
        assert.ok(i === 0 || first.id > (sent[i - 1]?.id ?? -1), 'served out of order')
        for (let j = i; j < sent.length; j++) {
          assert.ok(j - i + 1 <= burst + (((sent[j]?.at ?? 0) - first.at) * 4) / 1000 + 1e-6, 'over the quota')
        }
      }
    }),
    { numRuns: 40 },
  )
})
