import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createCooldownFleet } from '../../../src/adapters/cooldown-fleet.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { createCooldown } from '../../../src/layers/cooldown.ts'
import type { LimitsPolicy } from '../../../src/model/adapter-policy.ts'
import { gates } from '../../../src/model/dispatch.ts'
import type { HopPlan, HopRequest } from '../../../src/model/hop.ts'
import type { CooldownBoard } from '../../../src/model/ports.ts'
import { createAskedInstants } from '../../../src/policy/asked-instants.ts'
import { aContext, aMeter, anAdapter, aPlan, aRequest, aResponse } from '../../support/builders.ts'
import { createMemoryCooldowns } from '../../support/cooldown-board.ts'
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts'
import { type ScriptLine, scripted, watch } from '../../support/scripted-dispatch.ts'

const limited = (value: string) => aResponse({ status: 429, rawHeaders: ['Retry-After', value] })
const stored = (name: string): HopPlan['credential'] => ({ kind: 'stored', name, from: 'adapter' })

interface BuildOptions {
  readonly limits?: Partial<LimitsPolicy>
  readonly random?: () => number
  readonly retry?: object
  readonly clock?: FakeClock
  readonly board?: CooldownBoard | null
  readonly replica?: string
}

function build(
  lines: readonly ScriptLine[],
  { limits = {}, random = () => 0, retry = {}, clock = createFakeClock(), board = null, replica = 'r' }: BuildOptions = {},
) {
  const meter = aMeter()
  const logged: unknown[] = []
  const fleet = createCooldownFleet({ board, clock, replica })
  const base = anAdapter()
  const adapter = anAdapter({ limits: { ...base.limits, ...limits }, retry: { ...base.retry, ...retry } })
  const cooldown = createCooldown(adapter, 'https://api.example.com', {
    fleet,
    ...{ clock, random, meter, asked: createAskedInstants(clock) },
    log: { log: (...line) => void logged.push(line) },
  })
  const upstream = scripted(...lines)
  const dispatch = gates(cooldown.gate, cooldown.door)(upstream.dispatch)
  const call = (
    credential = stored('token'),
    { deadline = 60_000, ...over }: Partial<HopRequest> & { deadline?: number } = {},
  ) => {
    const context = aContext({ deadline })
    return { context, result: watch(dispatch(aRequest({ ...over, plan: aPlan({ adapter, credential }) }), context)) }
  }
  return { clock, meter, logged, upstream, call, cooldown, fleet }
}

test('after a 429 with Retry-After everybody with that credential waits for it, whoever they are', async () => {
  const { clock, upstream, call, meter, logged, cooldown } = build([limited('7'), aResponse()])
  call()
  await clock.advance(1000)
  const waiting = [call(), call()]
  await clock.advance(5990)
  assert.deepEqual([upstream.asked.length, cooldown.longestMs()], [1, 10])
  await clock.advance(10)
  assert.deepEqual(
    waiting.map(({ result }) => result.value),
    [aResponse(), aResponse()],
  )
  assert.deepEqual(waiting[0]?.context.trail.takeWait(), { waited: 6000, because: 'rate limit' })
  assert.deepEqual(meter.deeds, [['cooledDown', 'example']])
  assert.deepEqual(logged.length, 1)
  assert.deepEqual([cooldown.longestMs(), clock.pending], [0, 0])
})

test('whose deadline comes before its end is refused at once, told which credential and for how long', async () => {
  const { clock, upstream, call } = build([limited('7')])
  call()
  await clock.advance(500)
  const { result } = call(stored('token'), { deadline: 6999 })
  await clock.advance(0)
  const { type, sent, retryAfter, rule, message } = result.error as GatewayError
  assert.deepEqual([type, sent, retryAfter, rule, upstream.asked.length], ['RateLimited', 'no', 6500, 'cooldown', 1])
  assert.match(message, /https:\/\/api\.example\.com answered 429 with Retry-After.*adapter "example".*credential "token" back/)
})

test('another credential is none the wiser', async () => {
  const { clock, upstream, call } = build([limited('7'), aResponse()])
  call()
  await clock.advance(0)
  const given = (token: string): HopPlan['credential'] => ({ kind: 'given', auth: { type: 'bearer', token } })
  const others = [
    call(stored('other')),
    call({ kind: 'none' }),
    call(given('a')),
    call(given('b')),
    call({ kind: 'none' }, { headers: [['X-Api-Key', 'c']] }),
  ]
  await clock.advance(0)
  assert.ok(others.every(({ result }) => result.done))
  assert.equal(upstream.asked.length, 6)
})

test('credentials that callers bring are told apart by their values, and by nothing else of the call', async () => {
  const { clock, upstream, call } = build([limited('7'), aResponse()])
  const none: HopPlan['credential'] = { kind: 'none' }
  const key = (value: string, id = '1'): Partial<HopRequest> => ({
    headers: [
      ['X-Api-Key', value],
      ['X-Trace', id],
      ['Idempotency-Key', id],
    ],
  })
  call(none, key('a'))
  await clock.advance(0)
  const [same, other] = [call(none, key('a', '2')), call(none, key('b'))]
  await clock.advance(0)
  assert.deepEqual([same.result.done, other.result.done, upstream.asked.length], [false, true, 2])
})

test('an absurd Retry-After is honoured up to retry.retryAfterMax', async () => {
  const { clock, upstream, call } = build([limited('86400'), aResponse()])
  call()
  await clock.advance(0)
  call()
  await clock.advance(29_990)
  assert.equal(upstream.asked.length, 1)
  await clock.advance(10)
  assert.equal(upstream.asked.length, 2)
})

for (const [name, lines, options] of [
  ['a 429 that does not say for how long', [aResponse({ status: 429 }), aResponse()], {}],
  ['a 503, whatever it says', [aResponse({ status: 503, rawHeaders: ['Retry-After', '7'] }), aResponse()], {}],
  ['a 429 for one key of a pool', [{ ...limited('7'), keyOfPool: true as const }, aResponse()], {}],
  ['a Retry-After of 0', [limited('0'), aResponse()], {}],
  ['limits.cooldown: false', [limited('7'), aResponse()], { limits: { cooldown: false } }],
  ['an adapter that does not respect Retry-After', [limited('7'), aResponse()], { retry: { respectRetryAfterHeader: false } }],
] as const)
  test(`nobody is held back: ${name}`, async () => {
    const { clock, upstream, call } = build(lines, options)
    call()
    await clock.advance(0)
    call()
    await clock.advance(0)
    assert.equal(upstream.asked.length, 2)
  })

test('where whenSpent is reject nobody waits', async () => {
  const { clock, call } = build([limited('7')], { limits: { whenSpent: 'reject' } })
  call()
  await clock.advance(0)
  const { result } = call()
  await clock.advance(0)
  assert.match(String(result.error), /limits\.whenSpent is reject/)
})

test('a 429 whose body could not be used holds back all the same', async () => {
  const broken = new GatewayError('ContentDecodingError', 'bad gzip', { sent: 'yes', response: limited('7') })
  const { clock, upstream, call } = build([broken, aResponse()])
  call()
  await clock.advance(0)
  call()
  await clock.advance(0)
  assert.equal(upstream.asked.length, 1)
})

test('those who waited do not leave all at once, and none after its deadline', async () => {
  let n = 0
  const { clock, upstream, call } = build([limited('10'), aResponse()], { random: () => (n++ % 10) / 10 })
  call()
  await clock.advance(0)
  const tight = call(stored('token'), { deadline: 10_001 })
  for (let i = 0; i < 9; i++) call()
  await clock.advance(10_001)
  assert.deepEqual([tight.result.done, upstream.asked.length], [true, 2])
  await clock.advance(500)
  assert.ok(upstream.asked.length > 4 && upstream.asked.length < 9, `${upstream.asked.length} after half a second`)
  await clock.advance(500)
  assert.equal(upstream.asked.length, 11)
})

test('one who hangs up while it waits leaves no timer behind; the total clock says what it waited for', async () => {
  const { clock, call } = build([limited('7')])
  call()
  await clock.advance(0)
  const [gone, late] = [call(), call()]
  await clock.advance(100)
  const reason = new GatewayError('Cancelled', 'gone')
  gone.context.cancellation.cancel(reason)
  late.context.cancellation.cancel(new GatewayError('Timeout', 'total'))
  await clock.advance(0)
  assert.deepEqual([gone.result.error, clock.pending], [reason, 0])
  assert.match(String(late.result.error), /Timeout: timeout\.total ran out while credential "token" was held back/)
})

test('whatever comes: nothing is sent under a credential while it is held back, and nobody is forgotten', async () => {
  const step = fc.record({
    key: fc.constantFrom('a', 'b', 'c'),
    answer: fc.constantFrom(0, 0, 0, 1, 2, 5),
    takesMs: fc.nat(1500),
    thenMs: fc.nat(1500),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const clock = createFakeClock()
      const freeAt = new Map<string, number>()
      const adapter = anAdapter()
      const cooldown = createCooldown(adapter, 'o', {
        fleet: createCooldownFleet({ board: null, clock, replica: 'r' }),
        ...{ clock, random: Math.random, meter: aMeter(), log: { log() {} } },
        asked: createAskedInstants(clock),
      })
      const calls = []
      for (const { key, answer, takesMs, thenMs } of steps) {
        let asked = 0
        const dispatch = gates(
          cooldown.gate,
          cooldown.door,
        )(async () => {
          assert.ok(clock.now() + 3 >= (freeAt.get(key) ?? 0), 'sent while held back')
          await new Promise<void>((resolve) => clock.after(takesMs, resolve))
          if (answer === 0 || asked++ > 0) return aResponse()
          freeAt.set(key, Math.max(freeAt.get(key) ?? 0, clock.now() + answer * 1000))
          return limited(`${answer}`)
        })
        const context = aContext({ deadline: Number.POSITIVE_INFINITY })
        calls.push(watch(dispatch(aRequest({ plan: aPlan({ adapter, credential: stored(key) }) }), context)))
        await clock.advance(thenMs)
      }
      await clock.advance(100_000)
      for (const { done, error } of calls) assert.deepEqual([done, error], [true, undefined])
      assert.equal(clock.pending, 0)
    }),
    { numRuns: 60 },
  )
})

describe('several replicas', () => {
  function replicas(count: number) {
    const clock = createFakeClock()
    const board = createMemoryCooldowns(clock)
    const make = (line: ScriptLine, name: string, retry: object = {}) =>
      build([line, aResponse()], { clock, board, replica: name, retry })
    const gateways = Array.from({ length: count }, (_, at) => make(at === 0 ? limited('7') : aResponse(), `r${at}`))
    return { clock, board, make, gateways }
  }

  test('what one is told by a 429 all honour within a second, to the same instant, and nobody tells it on', async () => {
    const { clock, gateways, board } = replicas(3)
    gateways[0]?.call()
    await clock.advance(1000)
    const waiting = gateways.map((gateway) => gateway.call())
    const [, other] = gateways.map((gateway) => gateway.call(stored('another')))
    await clock.advance(5990)
    assert.deepEqual([waiting.map(({ result }) => result.done), other?.result.done], [[false, false, false], true])
    await clock.advance(10)
    assert.deepEqual(
      waiting.map(({ result }) => result.done),
      [true, true, true],
    )
    assert.equal(board.entries.length, 0)
    assert.deepEqual(gateways[1]?.meter.deeds, [], 'one 429 is counted once')
    for (const { fleet } of gateways) fleet.close()
    assert.equal(clock.pending, 0)
  })

  test('an origin that is met later honours what stood on the board before', async () => {
    const { clock, gateways, board } = replicas(1)
    gateways[0]?.call()
    const fleet = createCooldownFleet({ board, clock, replica: 'late' })
    await clock.advance(1000)
    const heard: [string, number][] = []
    fleet.join('example', 'https://api.example.com', (key, until) => heard.push([key, until]))
    fleet.join('example', 'https://elsewhere.example', () => assert.fail('of another origin'))
    assert.deepEqual(heard, [['stored token ', 7000]])
  })

  test('whatever stands on the board holds nobody back for longer than retry.retryAfterMax', async () => {
    const { clock, board, make } = replicas(0)
    const { cooldown } = make(aResponse(), 'a', { retryAfterMaxMs: 5000 })
    await board.exchange('forger', [{ key: 'example https://api.example.com\nstored token ', leftMs: 1e12 }])
    await clock.advance(500)
    assert.equal(cooldown.longestMs(), 5000)
    await clock.advance(5000)
    assert.equal(cooldown.longestMs(), 0, 'and once')
  })

  test('while the board is away each goes by what it meets; what stands then is told when it is back', async () => {
    const { clock, gateways, board } = replicas(2)
    board.away = true
    gateways[0]?.call()
    await clock.advance(1000)
    assert.deepEqual(
      gateways.map(({ cooldown }) => cooldown.longestMs() > 0),
      [true, false],
    )
    board.away = false
    await clock.advance(1000)
    assert.equal(gateways[1]?.cooldown.longestMs(), 5000)
  })

  test('a credential that a descriptor brought stands nowhere but in its own replica', async () => {
    const { clock, gateways, board } = replicas(1)
    gateways[0]?.call({ kind: 'given', auth: { type: 'bearer', token: 'x' } })
    await clock.advance(500)
    assert.deepEqual([board.entries, (gateways[0]?.cooldown.longestMs() ?? 0) > 0], [[], true])
  })
})
