// One budget of time over a whole call, on a turned clock: whatever each stage takes, and whenever its caller leaves, it ends in time,
// and leaves nothing behind.
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { createCooldownFleet } from '../../src/adapters/cooldown-fleet.ts'
import { createKeyPools } from '../../src/credentials/key-pool.ts'
import { SCHEMES } from '../../src/credentials/schemes/index.ts'
import { GatewayError } from '../../src/errors/gateway-error.ts'
import { createGateway } from '../../src/gateway.ts'
import { bulkhead } from '../../src/layers/bulkhead.ts'
import { createCooldown } from '../../src/layers/cooldown.ts'
import { credentials } from '../../src/layers/credentials.ts'
import { rateLimit } from '../../src/layers/rate-limit.ts'
import { retry } from '../../src/layers/retry.ts'
import { timeLeft } from '../../src/layers/time-left.ts'
import { bodyText } from '../../src/model/answer-body.ts'
import { createCancellation } from '../../src/model/cancellation.ts'
import { type Dispatch, type Layer, openGate } from '../../src/model/dispatch.ts'
import type { Secret } from '../../src/model/ports.ts'
import { wait } from '../../src/model/wait.ts'
import { adapterStack } from '../../src/pipeline.ts'
import { createAmplification } from '../../src/policy/amplification.ts'
import { createAskedInstants } from '../../src/policy/asked-instants.ts'
import { restAfter } from '../../src/policy/key-cooldown.ts'
import { createQuotas } from '../../src/policy/quota.ts'
import { createSlots } from '../../src/policy/slots.ts'
import { createTokenBucket } from '../../src/policy/token-bucket.ts'
import { createHostJudge } from '../../src/transport/dial.ts'
import { raceAddresses } from '../../src/transport/race-addresses.ts'
import { aJar, aMeter, anAdapter, aResponse, CEILINGS } from '../support/builders.ts'
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts'
import { tokenPorts } from '../support/token-ports.ts'

/** What one try meets, ms. */
interface Try {
  readonly secretMs: number
  readonly dnsMs: number
  readonly connectMs: number
  readonly bodyMs: number
  readonly answer: 200 | 503 | 429 | 'refused'
  /** Of a 429 or 503, s; null: it does not say. */
  readonly after: number | null
}

interface Call {
  readonly totalMs: number
  readonly sessionMs: number | null
  readonly startMs: number
  /** ms after its start; null: the caller stays. */
  readonly leavesMs: number | null
  readonly tries: readonly Try[]
}

const SECRET: Secret = { name: 'it', version: 1, scheme: 'bearer', values: { token: 't' }, origins: [], callers: [] }

function build(clock: FakeClock) {
  const meter = aMeter()
  const log = { log() {}, callLine() {} }
  const base = anAdapter()
  const adapter = anAdapter({
    ...{ credentials: 'it', timeoutHeader: 'x-left', breaker: null, retry: { ...base.retry, total: 3, budget: null } },
    limits: { ...base.limits, concurrency: 2, queue: 4, rate: { count: 1, perMs: 1000, burst: 1 } },
  })
  const queues = new Map<string, Try[]>()
  const under = new Map<string, Try>()
  const tryOf = (id: string): Try => under.get(id) ?? assert.fail(`no try of ${id}`)
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve))
  const open = { sockets: 0 }
  const slots = createSlots(adapter.limits)
  const asked = createAskedInstants(clock)
  const fleet = createCooldownFleet({ board: null, clock, replica: 'r' })
  const cooldown = createCooldown(adapter, 'o', { clock, random: Math.random, asked, meter, log, fleet })
  let current = ''
  const dial = (connectMs: number) => () => {
    open.sockets++
    const socket = new EventEmitter()
    const stop = clock.after(connectMs, () => socket.emit('connect'))
    return Object.assign(socket, {
      destroy() {
        stop()
        open.sockets--
      },
    }) as unknown as Socket
  }
  const upstream: Dispatch = async (request, context) => {
    assert.ok(Number(new Map(request.headers).get('x-left')) <= context.deadline - clock.now() + 1, 'told no more than is left')
    const { cancellation } = context
    const { dnsMs, connectMs, bodyMs, answer, after } = tryOf(context.requestId)
    const judge = createHostJudge(adapter, {
      ...{ meter, ownListeners: { has: () => false } },
      resolver: { resolve: () => sleep(dnsMs).then(() => ['93.184.216.34', '93.184.216.35']), close() {} },
    })
    const addresses = await judge({ hostname: 'api.example.com', port: 443 }, { privileged: true, cancellation })
    const { socket } = await raceAddresses({ addresses, port: 443, clock, cancellation, connectTcp: dial(connectMs) })
    try {
      if (answer === 'refused') throw new GatewayError('ConnectionError', 'refused', { sent: 'no' })
      await wait(clock, bodyMs, cancellation)
      return aResponse({ status: answer, rawHeaders: after === null ? [] : ['Retry-After', `${after}`] })
    } finally {
      socket.destroy()
    }
  }
  const secrets = {
    find: () => sleep(tryOf(current).secretMs).then(() => SECRET),
    ...{ other: () => null, prefer() {} },
  }
  const attach = credentials({
    ...{ secrets, schemes: SCHEMES, tokens: { ...tokenPorts(), clock } },
    openPool: createKeyPools({ clock, log, restAfter }),
  })
  /** Gives each try its own script, as it begins. */
  const script: Layer = (next) => (request, context) => {
    current = context.requestId
    const left = queues.get(current) ?? []
    under.set(current, (left.length > 1 ? left.shift() : left[0]) ?? assert.fail('no script'))
    return next(request, context)
  }
  const stacked = adapterStack({
    retry: retry(
      { budget: null, amplification: createAmplification(clock), breaker: null },
      { log, clock, random: Math.random, asked, meter },
    ),
    cooldown: cooldown.gate,
    rateLimit: rateLimit(createTokenBucket({ count: 1, perMs: 1000, burst: 1 }, clock), { clock }),
    breakerDoor: openGate,
    bulkhead: bulkhead(slots, { clock }),
    cooldownDoor: cooldown.door,
    breaker: openGate,
    traceContext: script,
    timeLeft: timeLeft('x-left', { clock }),
    credentials: attach,
  })
  const sessionMs = new Map<string, number>()
  const gateway = createGateway({
    ...{
      clock,
      meter,
      log,
      quotas: createQuotas((_name, rate) => createTokenBucket(rate, clock)),
      nextTurn: async () => {},
      makeBoundary: () => 'b',
      isGlobalUnicast: () => true,
    },
    routes: () => ({ ceilings: CEILINGS, caBundles: new Set(), find: () => ({ adapter, because: 'test' }) }),
    dispatch: stacked(upstream),
    rehearse: stacked(upstream),
    sessions: {
      open: (_, name) => sleep(sessionMs.get(name) ?? 0).then(aJar),
      save: async () => {},
      transient: aJar,
    },
    audit: { intent: async () => 1, result: async () => {}, act: async () => {}, writable: () => true, close: async () => {} },
  })
  const start = async (call: Call, id: string) => {
    queues.set(id, [...call.tries])
    if (call.sessionMs !== null) sessionMs.set(id, call.sessionMs)
    const cancellation = createCancellation()
    const from = clock.now()
    if (call.leavesMs !== null) clock.after(call.leavesMs, () => cancellation.cancel(new GatewayError('Cancelled', 'gone')))
    const session = call.sessionMs === null ? {} : { session: id }
    const body = { url: 'https://api.example.com/', timeout: { total: call.totalMs }, ...session }
    const answer = await gateway.call({
      ...{ entrance: 'requests', requestId: id, traceparent: null, timeLeftMs: null, cancellation },
      ...{ caller: { name: `c${id}`, admin: true, may: null }, body: Buffer.from(JSON.stringify(body)) },
    })
    return { envelope: JSON.parse(bodyText(answer.body)), tookMs: clock.now() - from }
  }
  return { start, slots, open, cooldown }
}

const aDuration = fc.oneof(fc.constant(0), fc.nat(300), fc.nat(6000))
const aTry: fc.Arbitrary<Try> = fc.record({
  ...{ secretMs: aDuration, dnsMs: aDuration, connectMs: aDuration, bodyMs: aDuration },
  answer: fc.constantFrom<Try['answer'][]>(200, 503, 429, 'refused'),
  after: fc.constantFrom(null, 0, 1, 3, 20),
})
const aCall: fc.Arbitrary<Call> = fc.record({
  totalMs: fc.oneof(fc.integer({ min: 50, max: 2000 }), fc.integer({ min: 2000, max: 30_000 })),
  sessionMs: fc.option(aDuration, { freq: 3 }),
  startMs: fc.nat(500),
  leavesMs: fc.option(aDuration, { freq: 2 }),
  tries: fc.array(aTry, { minLength: 1, maxLength: 4 }),
})

test('whatever each stage takes: no call outlasts its total or its caller, none is refused that could fit, nothing is left behind', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(aCall, { minLength: 1, maxLength: 8 }), async (calls) => {
      const clock = createFakeClock()
      const { start, slots, open, cooldown } = build(clock)
      const ended: Promise<void>[] = []
      for (const [index, call] of calls.entries()) {
        await clock.advance(call.startMs)
        const check = start(call, `${index}`).then(({ envelope, tookMs }) => {
          const mostMs = Math.min(call.totalMs, call.leavesMs ?? call.totalMs)
          assert.ok(tookMs <= mostMs + 1, `took ${tookMs} of ${mostMs} ms: ${JSON.stringify(envelope.error)}`)
          const { error } = envelope
          if (error?.type === 'Cancelled') assert.equal(tookMs, call.leavesMs)
          assert.doesNotMatch(
            `${error?.type} ${error?.message}`,
            /^Timeout.*(?:limits\.rate|held back)/,
            'it could be known not to fit',
          )
          if (error?.type === 'Timeout') assert.ok(tookMs >= call.totalMs - 1, `gave up after ${tookMs} of ${call.totalMs} ms`)
          if (error?.type === 'RateLimited')
            assert.ok(
              error.retryAfter >= call.totalMs - tookMs,
              `refused for ${error.retryAfter} ms with ${call.totalMs - tookMs} left`,
            )
        })
        ended.push(check)
      }
      await clock.advance(120_000)
      await Promise.all(ended)
      assert.deepEqual([slots.inUse, slots.queued, open.sockets, cooldown.longestMs(), clock.pending], [0, 0, 0, 0, 0])
    }),
    { numRuns: 80 },
  )
})
