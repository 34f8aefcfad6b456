// Two layers at a time, in the pipeline's own order.
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, mock, test } from 'node:test'
import { createBreakerFleet } from '../../../src/adapters/breaker-fleet.ts'
import { createCooldownFleet } from '../../../src/adapters/cooldown-fleet.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { createBreaker, createBreakerRotation } from '../../../src/layers/breaker.ts'
import { bulkhead } from '../../../src/layers/bulkhead.ts'
import { createCooldown } from '../../../src/layers/cooldown.ts'
import { retry } from '../../../src/layers/retry.ts'
import type { BreakerPolicy, RetryPolicy } from '../../../src/model/adapter-policy.ts'
import { type Layer, openGate } from '../../../src/model/dispatch.ts'
import { adapterStack } from '../../../src/pipeline.ts'
import { createAmplification } from '../../../src/policy/amplification.ts'
import { createAskedInstants } from '../../../src/policy/asked-instants.ts'
import { createSlots } from '../../../src/policy/slots.ts'
import { aContext, aMeter, anAdapter, aPlan, aRequest, aResponse } from '../../support/builders.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { held, type ScriptLine, scripted, watch } from '../../support/scripted-dispatch.ts'

const GOOD = aResponse()
const BAD = aResponse({ status: 503 })
const STALE = new GatewayError('ConnectionError', 'died', { sent: 'maybe', staleConnection: true })
const through: Layer = (next) => next

beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'] }))
afterEach(() => mock.timers.reset())

function build(breakerPolicy: Partial<BreakerPolicy> = {}, rules: Partial<RetryPolicy> = {}, clock = createFakeClock()) {
  const meter = aMeter()
  const policy: BreakerPolicy = {
    errorRate: 0.5,
    volume: 2,
    windowMs: 10_000,
    openForMs: 5000,
    probes: 1,
    statuses: [503],
    slowMs: null,
    rampMs: 0,
    ...breakerPolicy,
  }
  const rotation = createBreakerRotation(clock)
  const breaker = createBreaker(policy, {
    clock,
    meter,
    log: { log: () => {} },
    fleet: createBreakerFleet({ board: null, clock, replica: 'r' }),
    adapter: 'example',
    origin: 'o',
    rotation,
    forced: () => null,
  })
  const asked = createAskedInstants(clock)
  const slots = createSlots({ concurrency: 1, queue: 5 })
  const cooldown = createCooldown(anAdapter(), 'o', {
    fleet: createCooldownFleet({ board: null, clock, replica: 'r' }),
    clock,
    random: () => 0,
    asked,
    meter,
    log: { log: () => {} },
  })
  const layers = adapterStack({
    retry: retry(
      { budget: null, amplification: createAmplification(clock), breaker },
      { log: { log() {} }, clock, asked, meter, random: () => 0.5 },
    ),
    cooldown: cooldown.gate,
    rateLimit: openGate,
    breakerDoor: breaker.door,
    bulkhead: bulkhead(slots, { clock }),
    cooldownDoor: cooldown.door,
    breaker: breaker.gate,
    traceContext: through,
    timeLeft: through,
    credentials: through,
  })
  const plan = aPlan({ retry: { ...anAdapter().retry, ...rules } })
  const call = (...lines: readonly ScriptLine[]) => {
    const context = aContext()
    const upstream = scripted(...lines)
    return { context, upstream, result: watch(layers(upstream.dispatch)(aRequest({ plan }), context)) }
  }
  return { clock, breaker, slots, call }
}

test('retry and breaker: each try counts, and once it opens the answer is given instead of a wait into it', async () => {
  const { clock, breaker, call } = build()
  const { context, upstream, result } = call(BAD)
  await clock.advance(100)
  assert.equal(upstream.asked.length, 2)
  assert.deepEqual([breaker.state(), result.value], ['open', BAD])
  assert.equal(context.trail.notRetried, 'the circuit breaker has opened and would refuse another try')
  assert.equal(context.trail.breaker, 'open')
})

test('retry and breaker: a call that meets an open breaker is refused at once and not retried', async () => {
  const { clock, call } = build()
  call(BAD)
  await clock.advance(100)
  const { context, upstream, result } = call(GOOD)
  await clock.advance(0)
  assert.deepEqual([(result.error as GatewayError).type, upstream.asked.length], ['BreakerOpen', 0])
  assert.equal(context.trail.notRetried, 'BreakerOpen is never retried')
})

test('retry and breaker: a retry that saves the call leaves the breaker closed', async () => {
  const { clock, breaker, call } = build({ volume: 10 })
  const { context, result } = call(BAD, GOOD)
  await clock.advance(100)
  assert.deepEqual([result.value, breaker.state(), context.trail.breaker], [GOOD, 'closed', 'closed'])
})

test('retry and breaker: a connection that died of age is repeated and counted nowhere', async () => {
  const { clock, breaker, call } = build({ volume: 1, errorRate: 0.01 })
  const { upstream, result } = call(STALE, GOOD)
  await clock.advance(0)
  assert.deepEqual([result.value, upstream.asked.length, breaker.state()], [GOOD, 2, 'closed'])
})

test('retry and breaker: a dead probe is not retried while the breaker is open again', async () => {
  const { clock, breaker, call } = build()
  call(BAD)
  await clock.advance(100)
  mock.timers.tick(5000)
  await clock.advance(5000)
  assert.equal(breaker.state(), 'half-open')
  const { upstream } = call(BAD, GOOD)
  await clock.advance(10_000)
  assert.equal(upstream.asked.length, 1)
})

test('retry and bulkhead: a call that waits for its retry holds no slot', async () => {
  const { clock, slots, call } = build({ volume: 10 })
  const waiting = call(BAD, GOOD)
  await clock.advance(50)
  assert.deepEqual([waiting.upstream.asked.length, slots.inUse], [1, 0])
  const other = call(GOOD)
  await clock.advance(0)
  assert.equal(other.result.value, GOOD)
  await clock.advance(50)
  assert.equal(waiting.result.value, GOOD)
})

test('retry and bulkhead: a retry queues like anybody else, and both waits go to its next try', async () => {
  const { clock, slots, call } = build({ volume: 10 })
  const retried = call(BAD, GOOD)
  await clock.advance(50)
  const slow = held()
  call(slow.line)
  await clock.advance(250)
  assert.deepEqual([retried.upstream.asked.length, slots.queued], [1, 1])
  slow.answer(GOOD)
  await clock.advance(0)
  assert.equal(retried.result.value, GOOD)
  assert.deepEqual(retried.context.trail.takeWait(), { waited: 300, because: 'queue' })
  assert.equal(slots.inUse, 0)
})

test('retry and bulkhead: a full queue is no failure of the host and is not retried', async () => {
  const { clock, breaker, slots, call } = build({ volume: 1, errorRate: 0.01 })
  const slow = held()
  for (let i = 0; i < 6; i++) call(slow.line)
  const { context, result } = call(GOOD)
  await clock.advance(10_000)
  assert.equal((result.error as GatewayError).type, 'BulkheadFull')
  assert.match(context.trail.notRetried ?? '', /^BulkheadFull is not retried/)
  assert.deepEqual([breaker.state(), slots.inUse], ['closed', 1])
})

test('bulkhead and breaker: those who queued while it opened are refused, and their slots come back', async () => {
  const { clock, slots, call } = build({ volume: 1 }, { total: 0 })
  const slow = held()
  call(slow.line)
  const queued = [call(GOOD), call(GOOD)]
  await clock.advance(0)
  slow.answer(BAD)
  await clock.advance(0)
  assert.deepEqual(
    queued.map(({ result }) => (result.error as GatewayError).type),
    ['BreakerOpen', 'BreakerOpen'],
  )
  assert.deepEqual([slots.inUse, slots.queued], [0, 0])
})

test('bulkhead and cool-down: who stood in the queue when the 429 came gives its slot up and waits', async () => {
  const { clock, slots, call } = build()
  const first = held()
  const limited = call(first.line, GOOD)
  const queued = call(GOOD)
  await clock.advance(0)
  assert.deepEqual([slots.inUse, slots.queued], [1, 1])
  first.answer(aResponse({ status: 429, rawHeaders: ['retry-after', '2'] }))
  await clock.advance(1990)
  assert.deepEqual([slots.inUse, slots.queued, queued.upstream.asked.length, limited.upstream.asked.length], [0, 0, 0, 1])
  await clock.advance(20)
  assert.deepEqual([queued.result.value, limited.result.value], [GOOD, GOOD])
  assert.deepEqual(queued.context.trail.takeWait().because, 'rate limit')
})

/** A machine that stands still for 20 ms, once, just after somebody has read the wall clock. */
function createStallingClock() {
  const clock = createFakeClock()
  let lateMs = 0
  const stalling = Object.assign(Object.create(clock) as typeof clock, {
    now: () => clock.now() + lateMs,
    date() {
      const read = clock.date() + lateMs
      lateMs = 20
      return read
    },
  })
  return { clock, stalling }
}

const AT = Date.UTC(2026, 0, 1) + 7000
for (const [name, value] of [
  ['Retry-After', '7'],
  ['Retry-After', new Date(AT).toUTCString()],
  ['RateLimit', '"day";r=0;t=7'],
  ['RateLimit-Reset', '7'],
  ['X-RateLimit-Reset', `${AT / 1000}`],
  ['X-RateLimit-Reset', `${AT}`],
] as const)
  test(`retry and cooldown: both end at one instant, and the wait keeps its reason: ${name}: ${value}`, async () => {
    const { clock, stalling } = createStallingClock()
    const { call } = build({ volume: 10 }, {}, stalling)
    const limited = aResponse({ status: 429, rawHeaders: [name, value] })
    const { context, upstream, result } = call(limited, GOOD)
    await clock.advance(6999)
    assert.equal(upstream.asked.length, 1)
    await clock.advance(1)
    assert.equal(result.value, GOOD)
    assert.deepEqual(
      context.trail.waits.map(({ because }) => because),
      ['Retry-After'],
    )
  })

describe('retry and breaker: while it lets calls through step by step', () => {
  async function ramping() {
    const built = build({ errorRate: 1, volume: 2, openForMs: 1000, rampMs: 10_000 }, { backoffFactorMs: 400 })
    const turn = async (ms: number): Promise<void> => {
      mock.timers.tick(ms)
      await built.clock.advance(ms)
    }
    built.call(BAD, BAD) // its second try opens the breaker
    await turn(0)
    await turn(200)
    assert.equal(built.breaker.state(), 'open')
    await turn(1000)
    built.call(GOOD)
    await turn(5000)
    assert.equal(built.breaker.state(), 'closed')
    // Half of them at this time, by turns: the next one goes through, and the one after it does not.
    const isLetThrough = async (): Promise<boolean> => {
      const { result } = built.call(GOOD)
      await turn(0)
      return result.value === GOOD
    }
    while (await isLetThrough());
    return { ...built, turn }
  }

  test('a retry that has no place among them is not slept for', async () => {
    const { call, turn } = await ramping()
    const { result, upstream, context } = call(BAD, GOOD)
    await turn(0)
    assert.deepEqual([result.value, upstream.asked.length, context.trail.queuedMs], [BAD, 1, 0])
    assert.match(context.trail.notRetried ?? '', /just closed.*breaker\.ramp/)
  })

  test('a retry that has a place keeps it while it waits, whoever comes meanwhile', async () => {
    const { call, turn } = await ramping()
    const slow = held()
    const retried = call(slow.line, GOOD)
    await turn(0)
    const neighbour = call(GOOD)
    await turn(0)
    assert.equal((neighbour.result.error as GatewayError).type, 'BreakerOpen')
    slow.answer(BAD)
    await turn(199)
    assert.equal(retried.upstream.asked.length, 1)
    await turn(1)
    assert.equal(retried.result.value, GOOD)
  })
})
