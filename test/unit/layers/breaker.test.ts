import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import fc from 'fast-check'
import { createBreakerFleet } from '../../../src/adapters/breaker-fleet.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { type Breaker, createBreaker, createBreakerRotation, createForcedDoor } from '../../../src/layers/breaker.ts'
import type { BreakerPolicy } from '../../../src/model/adapter-policy.ts'
import { gates } from '../../../src/model/dispatch.ts'
import type { LogLevel } from '../../../src/model/ports.ts'
import { createOverrides } from '../../../src/policy/overrides.ts'
import { aContext, aMeter, aRequest, aResponse } from '../../support/builders.ts'
import { createFakeClock, settle } from '../../support/fake-clock.ts'
import { held, type ScriptLine, scripted, watch } from '../../support/scripted-dispatch.ts'

const POLICY: BreakerPolicy = {
  errorRate: 0.5,
  volume: 4,
  windowMs: 10_000,
  openForMs: 30_000,
  probes: 1,
  statuses: [500, 502, 503, 504],
  slowMs: null,
  rampMs: 0,
}
const GOOD = aResponse()
const BAD = aResponse({ status: 503 })
const ABORTED = new GatewayError('Cancelled', 'gone', { sent: 'maybe' })

// opossum reads the process' own clock: it is turned together with ours.
beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'] }))
afterEach(() => mock.timers.reset())

function build(over: Partial<BreakerPolicy> = {}) {
  const policy = { ...POLICY, ...over }
  const clock = createFakeClock()
  const meter = aMeter()
  const lines: unknown[] = []
  const log = { log: (level: LogLevel, event: string, fields: unknown) => lines.push([level, event, fields]) }
  const rotation = createBreakerRotation(clock)
  const origin = 'https://api.example.com'
  const overrides = createOverrides(clock)
  const forced = overrides.over('example', origin)
  const fleet = createBreakerFleet({ board: null, clock, replica: 'r' })
  const breaker = createBreaker(policy, { clock, meter, log, adapter: 'example', origin, rotation, forced, fleet })
  const force = (state: 'open' | 'closed' | null, until: number | null): void =>
    overrides.set(
      { adapter: 'example', origin: null },
      state && { state, by: 'ops', reason: 'maintenance', since: clock.date(), until },
    )
  const advance = async (ms: number) => {
    for (let left = ms; left > 0; left -= 500) {
      mock.timers.tick(Math.min(500, left))
      await clock.advance(Math.min(500, left))
    }
  }
  const call = (line: ScriptLine) => {
    const context = aContext()
    const upstream = scripted(line)
    return { context, upstream, result: watch(gates(breaker.door, breaker.gate)(upstream.dispatch)(aRequest(), context)) }
  }
  const run = async (...outcomes: readonly ScriptLine[]) => {
    for (const line of outcomes) call(line)
    await settle()
  }
  return { clock, meter, lines, rotation, breaker, advance, call, run, force }
}

const typeOf = (result: { error?: unknown }): string | undefined => (result.error as GatewayError | undefined)?.type

test('while closed, calls pass and their answers and failures come back as they are', async () => {
  const { call, breaker } = build()
  const [good, bad] = [call(GOOD), call(ABORTED)]
  await settle()
  assert.equal(good.result.value, GOOD)
  assert.equal(bad.result.error, ABORTED)
  assert.deepEqual([good.context.trail.breaker, breaker.state(), breaker.refusalMs()], ['closed', 'closed', 0])
})

test('it does not trip below the volume, and trips at it', async () => {
  const { run, breaker } = build()
  await run(BAD, BAD, BAD)
  assert.equal(breaker.state(), 'closed')
  await run(BAD)
  assert.equal(breaker.state(), 'open')
})

test('it trips at exactly the error rate, not only above it', async () => {
  const { run, breaker } = build()
  await run(GOOD, GOOD, BAD, BAD)
  assert.equal(breaker.state(), 'open')
})

test('it does not trip just below the error rate', async () => {
  const { run, breaker } = build()
  await run(GOOD, GOOD, GOOD, BAD, BAD)
  assert.equal(breaker.state(), 'closed')
})

test('an error rate of all trips only where all fail', async () => {
  const { run, breaker } = build({ errorRate: 1 })
  await run(BAD, GOOD, BAD, BAD, BAD)
  assert.equal(breaker.state(), 'closed')
  const other = build({ errorRate: 1 })
  await other.run(BAD, BAD, BAD, BAD)
  assert.equal(other.breaker.state(), 'open')
})

test('calls in flight do not dilute the rate', async () => {
  const { run, call, breaker } = build()
  for (let i = 0; i < 100; i++) call(held().line)
  await run(BAD, BAD, BAD, BAD)
  assert.equal(breaker.state(), 'open')
})

test('outcomes that say nothing of the host are not counted at all', async () => {
  const { run, breaker } = build()
  const stale = new GatewayError('ConnectionError', 'died', { staleConnection: true, sent: 'maybe' })
  await run(...Array.from({ length: 50 }, () => [ABORTED, new GatewayError('EgressDenied', 'x'), stale]).flat())
  await run(BAD, BAD, BAD)
  assert.equal(breaker.state(), 'closed')
  await run(BAD)
  assert.equal(breaker.state(), 'open')
})

test('a 4xx and a 501 count as answers of a healthy host', async () => {
  const { run, breaker } = build()
  await run(...[400, 404, 429, 501, 401, 403].map((status) => aResponse({ status })))
  assert.equal(breaker.state(), 'closed')
})

test('what lies outside the window is forgotten', async () => {
  const { run, advance, breaker } = build()
  await run(BAD, BAD, BAD)
  await advance(11_000)
  await run(BAD)
  assert.equal(breaker.state(), 'closed')
})

test('open, it refuses at the door with the time until it half-opens, and the upstream is not asked', async () => {
  const { run, advance, call } = build()
  await run(BAD, BAD, BAD, BAD)
  await advance(10_000)
  const { context, upstream, result } = call(GOOD)
  await settle()
  const error = result.error as GatewayError
  assert.deepEqual([error.type, error.retryAfter, error.sent, upstream.asked.length], ['BreakerOpen', 20_000, 'no', 0])
  assert.match(error.message, /breaker of adapter "example" for https:\/\/api\.example\.com is open/)
  assert.equal(context.trail.breaker, 'open')
})

test('a call that passed the door before it opened is refused when its slot comes', async () => {
  const { run, breaker } = build()
  let enter = (): void => {}
  const upstream = scripted(GOOD)
  const queue = new Promise<void>((resolve) => {
    enter = resolve
  })
  const dispatch = gates(breaker.door, () => queue.then(() => null), breaker.gate)
  const result = watch(dispatch(upstream.dispatch)(aRequest(), aContext()))
  await run(BAD, BAD, BAD, BAD)
  enter()
  await settle()
  assert.deepEqual([typeOf(result), upstream.asked.length], ['BreakerOpen', 0])
})

test('the call that opens it says so in its own envelope', async () => {
  const { run, call } = build()
  await run(BAD, BAD, BAD)
  const last = call(BAD)
  await settle()
  assert.deepEqual([last.result.value, last.context.trail.breaker], [BAD, 'open'])
})

test('half-open, one good probe closes it, and what was before is forgiven', async () => {
  const { run, advance, call, breaker } = build({ openForMs: 1000 })
  await run(BAD, BAD, BAD, BAD)
  await advance(1000)
  assert.equal(breaker.state(), 'half-open')
  const probe = call(GOOD)
  await settle()
  assert.deepEqual([probe.result.value, probe.context.trail.breaker], [GOOD, 'closed'])
  await run(BAD)
  assert.equal(breaker.state(), 'closed')
})

test('half-open, one bad probe opens it for another full time', async () => {
  const { run, advance, breaker } = build()
  await run(BAD, BAD, BAD, BAD)
  await advance(30_000)
  await run(BAD)
  assert.deepEqual([breaker.state(), breaker.refusalMs()], ['open', 30_000])
  await advance(29_500)
  assert.equal(breaker.state(), 'open')
  await advance(500)
  assert.equal(breaker.state(), 'half-open')
})

test('half-open admits as many probes at once as it may, and closes only when all were good', async () => {
  const { run, advance, call, breaker } = build({ probes: 3 })
  await run(BAD, BAD, BAD, BAD)
  await advance(30_000)
  const upstream = held()
  const probes = [1, 2, 3].map(() => call(upstream.line))
  const refused = call(GOOD)
  await settle()
  assert.deepEqual([typeOf(refused.result), (refused.result.error as GatewayError).retryAfter], ['BreakerOpen', 1000])
  for (const probe of probes) {
    assert.deepEqual([probe.result.done, breaker.state()], [false, 'half-open'])
    upstream.answer(GOOD)
    await settle()
  }
  assert.equal(breaker.state(), 'closed')
})

test('each good probe counts once, and the last closes it', async () => {
  const { run, advance, call, breaker } = build({ probes: 2 })
  await run(BAD, BAD, BAD, BAD)
  await advance(30_000)
  await run(GOOD)
  assert.equal(breaker.state(), 'half-open')
  const slow = held()
  call(slow.line)
  await settle()
  assert.equal(breaker.refusalMs(), 1000)
  slow.answer(GOOD)
  await settle()
  assert.equal(breaker.state(), 'closed')
})

test('a probe that says nothing of the host frees its place', async () => {
  const { run, advance, breaker } = build()
  await run(BAD, BAD, BAD, BAD)
  await advance(30_000)
  await run(ABORTED)
  assert.deepEqual([breaker.state(), breaker.refusalMs()], ['half-open', 0])
  await run(GOOD)
  assert.equal(breaker.state(), 'closed')
})

test('a probe whose caller hangs up frees its place', async () => {
  const { run, advance, call, breaker } = build()
  await run(BAD, BAD, BAD, BAD)
  await advance(30_000)
  const probe = call(held().line)
  await settle()
  probe.context.cancellation.cancel(ABORTED)
  await settle()
  assert.deepEqual([breaker.state(), breaker.refusalMs()], ['half-open', 0])
})

test('a late answer to a call that began before it opened neither closes nor opens it', async () => {
  for (const late of [GOOD, BAD]) {
    const { run, advance, call, breaker } = build()
    const slow = held()
    call(slow.line)
    await settle()
    await run(BAD, BAD, BAD, BAD)
    await advance(30_000)
    slow.answer(late)
    await settle()
    assert.deepEqual([breaker.state(), breaker.refusalMs()], ['half-open', 0])
  }
})

test('a probe of an earlier opening that answers late takes no place of a later one', async () => {
  const { run, advance, call, breaker } = build({ probes: 2 })
  await run(BAD, BAD, BAD, BAD)
  await advance(30_000)
  const slow = held()
  call(slow.line)
  await run(BAD)
  await advance(30_000)
  slow.answer(GOOD)
  await settle()
  assert.equal(breaker.state(), 'half-open')
  await run(GOOD)
  assert.equal(breaker.state(), 'half-open')
  await run(GOOD)
  assert.equal(breaker.state(), 'closed')
})

test('good probes are counted anew each time it half-opens', async () => {
  const { run, advance, breaker } = build({ probes: 2 })
  await run(BAD, BAD, BAD, BAD)
  await advance(30_000)
  await run(GOOD)
  await run(BAD)
  await advance(30_000)
  await run(GOOD)
  assert.equal(breaker.state(), 'half-open')
  await run(GOOD)
  assert.equal(breaker.state(), 'closed')
})

test('each transition is logged and counted once', async () => {
  const { run, advance, meter, lines } = build()
  await run(BAD, BAD, BAD, BAD)
  await advance(30_000)
  await run(GOOD)
  const moved = (from: string, to: string) => ({ adapter: 'example', origin: 'https://api.example.com', from, to })
  assert.deepEqual(lines, [
    ['warn', 'breaker moved', moved('closed', 'open')],
    ['info', 'breaker moved', moved('open', 'half-open')],
    ['info', 'breaker moved', moved('half-open', 'closed')],
  ])
  assert.deepEqual(
    meter.deeds.map(([, , to]) => to),
    ['open', 'half-open', 'closed'],
  )
})

test('forced open refuses a healthy host until it is lifted', async () => {
  const { call, force, meter } = build()
  force('open', null)
  const refused = call(GOOD)
  await settle()
  assert.equal(typeOf(refused.result), 'BreakerOpen')
  assert.match((refused.result.error as GatewayError).message, /forced open by ops: maintenance; it stays so until it is lifted$/)
  force(null, null)
  const passed = call(GOOD)
  await settle()
  assert.equal(passed.result.value, GOOD)
  assert.deepEqual(
    meter.deeds.map(([, , to]) => to),
    ['open', 'closed'],
  )
})

test('forced open for a time says how long, and ends by itself', async () => {
  const { clock, advance, call, breaker, force } = build()
  force('open', clock.date() + 5000)
  await advance(2000)
  const refused = call(GOOD)
  await settle()
  assert.equal((refused.result.error as GatewayError).retryAfter, 3000)
  assert.match((refused.result.error as GatewayError).message, /until 2026-01-01T00:00:05\.000Z$/)
  await advance(3000)
  assert.equal(breaker.state(), 'closed')
})

test('forced closed lets calls through an open breaker, and counts none of them', async () => {
  const { run, call, breaker, force } = build()
  await run(BAD, BAD, BAD, BAD)
  force('closed', null)
  await run(BAD, BAD, BAD, BAD, BAD)
  const passed = call(GOOD)
  await settle()
  assert.deepEqual([passed.result.value, passed.context.trail.breaker], [GOOD, 'closed'])
  force(null, null)
  assert.equal(breaker.state(), 'open')
})

test('a call that was under way when the breaker was forced closed is not counted either', async () => {
  const { call, breaker, force } = build()
  const upstream = held()
  for (let i = 0; i < 4; i++) call(upstream.line)
  await settle()
  force('closed', null)
  for (let i = 0; i < 4; i++) upstream.answer(BAD)
  await settle()
  force(null, null)
  assert.equal(breaker.state(), 'closed')
})

test('an adapter without a breaker can be forced open too', async () => {
  const clock = createFakeClock()
  const overrides = createOverrides(clock)
  const forced = overrides.over('example', 'https://api.example.com')
  const door = createForcedDoor({ clock, adapter: 'example', origin: 'https://api.example.com', forced })
  const call = () => watch(gates(door)(scripted(GOOD).dispatch)(aRequest(), aContext()))
  overrides.set(
    { adapter: 'example', origin: null },
    { state: 'open', by: 'ops', reason: 'maintenance', since: clock.date(), until: clock.date() + 1000 },
  )
  const refused = call()
  await settle()
  const error = refused.error as GatewayError
  assert.deepEqual([error.type, error.retryAfter], ['BreakerOpen', 1000])
  await clock.advance(1000)
  const passed = call()
  await settle()
  assert.equal(passed.value, GOOD)
})

test('after shutdown nothing is left running, and what is in flight still ends', async () => {
  const { clock, run, call, breaker, rotation } = build()
  const slow = held()
  const last = call(slow.line)
  await run(BAD, BAD, BAD, BAD)
  breaker.shutdown()
  rotation.close()
  slow.answer(GOOD)
  await settle()
  assert.deepEqual([last.result.value, clock.pending], [GOOD, 0])
})

test('all breakers of one window share one timer', () => {
  const clock = createFakeClock()
  const rotation = createBreakerRotation(clock)
  const fleet = createBreakerFleet({ board: null, clock, replica: 'r' })
  const build = (windowMs: number) =>
    createBreaker(
      { ...POLICY, windowMs },
      { clock, meter: aMeter(), log: { log: () => {} }, adapter: 'a', origin: 'o', rotation, fleet, forced: () => null },
    )
  const breakers = [...Array.from({ length: 20 }, () => build(10_000)), build(5000)]
  assert.equal(clock.pending, 2)
  for (const breaker of breakers) breaker.shutdown()
  assert.equal(rotation.controllerFor(10_000).listenerCount('rotate'), 0)
  rotation.close()
  assert.equal(clock.pending, 0)
})

/** The contract's breaker, written down without opossum. */
function createModel(policy: BreakerPolicy) {
  const bucketMs = policy.windowMs / 10
  let state: Breaker extends { state(): infer S } ? S : never = 'closed'
  let log: { good: boolean; bucket: number }[] = []
  let openedAt = 0
  let epoch = 0
  let out = 0
  let goodProbes = 0
  const open = (now: number) => {
    state = 'open'
    openedAt = now
    epoch++
  }
  const turn = (now: number) => {
    if (state !== 'open' || now < openedAt + policy.openForMs) return
    state = 'half-open'
    out = 0
    goodProbes = 0
  }
  return {
    state: (now: number) => {
      turn(now)
      return state
    },
    begin(now: number): { epoch: number; probe: boolean } | null {
      turn(now)
      if (state === 'open' || (state === 'half-open' && out + goodProbes >= policy.probes)) return null
      if (state === 'half-open') out++
      return { epoch, probe: state === 'half-open' }
    },
    end(ticket: { epoch: number; probe: boolean }, health: 'good' | 'bad' | 'neither', now: number) {
      turn(now)
      if (ticket.epoch !== epoch) return
      if (ticket.probe) {
        out--
        if (health === 'bad') open(now)
        if (health !== 'good' || ++goodProbes < policy.probes) return
        state = 'closed'
        log = []
        return
      }
      if (health === 'neither') return
      const bucket = Math.floor(now / bucketMs)
      log = [...log.filter((entry) => entry.bucket > bucket - 10), { good: health === 'good', bucket }]
      const failures = log.filter(({ good }) => !good).length
      if (health === 'bad' && log.length >= policy.volume && failures / log.length >= policy.errorRate) open(now)
    },
  }
}

test('any interleaving of calls, outcomes and time agrees with the contract’s breaker', async () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.constant({ kind: 'begin' as const, n: 0, health: 'good' as const }) },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('end' as const),
        n: fc.nat(20),
        health: fc.constantFrom('good', 'bad', 'bad', 'neither'),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('wait' as const),
        n: fc.integer({ min: 1, max: 9 }),
        health: fc.constant('good'),
      }),
    },
  )
  const policies = fc.record({
    volume: fc.integer({ min: 1, max: 5 }),
    probes: fc.integer({ min: 1, max: 3 }),
    errorRate: fc.constantFrom(0.3, 0.5, 1),
  })
  await fc.assert(
    fc.asyncProperty(policies, fc.array(step, { maxLength: 60 }), async (over, steps) => {
      const { clock, breaker, call, advance, rotation } = build({ ...over, openForMs: 3000 })
      const model = createModel({ ...POLICY, ...over, openForMs: 3000 })
      const inFlight: { ticket: { epoch: number; probe: boolean }; upstream: ReturnType<typeof held> }[] = []
      for (const { kind, n, health } of steps) {
        if (kind === 'wait') await advance(n * 500)
        if (kind === 'begin') {
          const ticket = model.begin(clock.now())
          const upstream = held()
          const { result } = call(upstream.line)
          await settle()
          assert.equal(result.done, ticket === null, 'admitted or not')
          if (ticket) inFlight.push({ ticket, upstream })
        }
        const [ended] = kind === 'end' ? inFlight.splice(n % Math.max(1, inFlight.length), 1) : []
        if (ended) {
          if (health === 'neither') ended.upstream.fail(ABORTED)
          else ended.upstream.answer(health === 'good' ? GOOD : BAD)
          await settle()
          model.end(ended.ticket, health as 'good' | 'bad' | 'neither', clock.now())
        }
        assert.equal(breaker.state(), model.state(clock.now()))
      }
      breaker.shutdown()
      rotation.close()
    }),
    { numRuns: 60 },
  )
})

test('a good answer that takes as long as breaker.slow counts as a failure, a quicker one does not', async () => {
  const { call, breaker, advance } = build({ slowMs: 1000, volume: 2 })
  for (const ms of [999, 999]) {
    const slow = held()
    const { result } = call(slow.line)
    await settle()
    await advance(ms)
    slow.answer(GOOD)
    await settle()
    assert.equal(result.value, GOOD)
  }
  assert.equal(breaker.state(), 'closed')
  for (let times = 0; times < 2; times++) {
    const slow = held()
    call(slow.line)
    await settle()
    await advance(1000)
    slow.answer(GOOD)
    await settle()
  }
  assert.equal(breaker.state(), 'open')
})

test('after it closed a growing share is let through, evenly, and everything once breaker.ramp is over', async () => {
  const { call, run, breaker, advance } = build({ rampMs: 10_000, volume: 2, openForMs: 1000 })
  await run(BAD, BAD)
  await advance(1000)
  await run(GOOD)
  assert.equal(breaker.state(), 'closed')
  const shareOf = async (): Promise<number> => {
    let through = 0
    for (let times = 0; times < 100; times++) {
      const { result } = call(GOOD)
      await settle()
      if (result.value === GOOD) through++
      else {
        assert.match(String(result.error), /has just closed and lets calls through step by step \(breaker\.ramp\)/)
        assert.ok(result.error instanceof GatewayError && result.error.retryAfter === 200)
      }
    }
    return through
  }
  const first = await shareOf()
  assert.ok(first >= 9 && first <= 12, `${first} %`)
  await advance(5000)
  const half = await shareOf()
  assert.ok(half >= 48 && half <= 52, `${half} %`)
  await advance(5000)
  assert.equal(await shareOf(), 100)
})
