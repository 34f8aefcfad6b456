// Several replicas, each with a breaker for one host, on one board: what becomes of all where one or most of them fail.
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, mock, test } from 'node:test'
import fc from 'fast-check'
import { createBreakerFleet } from '../../../src/adapters/breaker-fleet.ts'
import { type Breaker, createBreaker, createBreakerRotation } from '../../../src/layers/breaker.ts'
import { gates } from '../../../src/model/dispatch.ts'
import { isQuorum } from '../../../src/policy/quorum.ts'
import { createMemoryBoard } from '../../support/breaker-board.ts'
import { aContext, aMeter, anAdapter, aRequest, aResponse } from '../../support/builders.ts'
import { createFakeClock, settle } from '../../support/fake-clock.ts'

const OPEN_FOR_MS = 5000
/** Two rounds: one to tell, one to hear. */
const HEARD_MS = 1100

// opossum reads the process' own clock: it is turned together with ours.
beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'] }))
afterEach(() => mock.timers.reset())

interface Replica {
  readonly breaker: Breaker
  /** One call, answered as said; the state that it found: undefined where it was refused. */
  call(status: 200 | 503): Promise<boolean>
  stop(): void
}

function build(count: number) {
  const clock = createFakeClock()
  const board = createMemoryBoard(clock)
  const policy = { ...anAdapter().breaker, errorRate: 0.5, volume: 2, windowMs: 10_000, openForMs: OPEN_FOR_MS, probes: 1 }
  const start = (name: string): Replica => {
    const fleet = createBreakerFleet({ board, clock, replica: name })
    const rotation = createBreakerRotation(clock)
    const ports = { clock, meter: aMeter(), log: { log() {} }, adapter: 'a', origin: 'o', rotation, fleet, forced: () => null }
    const breaker = createBreaker({ ...policy, statuses: [503], slowMs: null, rampMs: 0 }, ports)
    return {
      breaker,
      async call(status) {
        let reached = false
        const end = async () => {
          reached = true
          return aResponse({ status })
        }
        await gates(breaker.door, breaker.gate)(end)(aRequest(), aContext()).catch(() => {})
        return reached
      },
      stop() {
        fleet.close()
        breaker.shutdown()
        rotation.close()
      },
    }
  }
  const replicas = Array.from({ length: count }, (_, index) => start(`r${index}`))
  const advance = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 100) {
      mock.timers.tick(Math.min(100, left))
      await clock.advance(Math.min(100, left))
      await settle()
    }
  }
  const states = () => replicas.map(({ breaker }) => breaker.state())
  const trip = async (...indices: number[]): Promise<void> => {
    for (const index of indices) for (let call = 0; call < 2; call++) await replicas[index]?.call(503)
  }
  return { clock, board, replicas, advance, states, trip }
}

describe('a quorum', () => {
  const cases: [votes: number, live: number, expected: boolean][] = [
    [0, 0, false],
    [1, 1, false],
    [1, 2, false],
    [2, 2, true],
    [1, 3, false],
    [2, 3, true],
    [2, 4, false],
    [3, 4, true],
    [2, 1, true],
  ]
  for (const [votes, live, expected] of cases)
    test(`${votes} of ${live}: ${expected ? 'yes' : 'no'}`, () => assert.equal(isQuorum(votes, live), expected))
})

test('one sick replica shuts nobody but itself', async () => {
  const { advance, states, trip } = build(3)
  await advance(HEARD_MS)
  await trip(0)
  await advance(HEARD_MS)
  assert.deepEqual(states(), ['open', 'closed', 'closed'])
})

test('where most have tripped, those that have not met the host open too, within a second', async () => {
  const { advance, states, trip } = build(3)
  await advance(HEARD_MS)
  await trip(0, 1)
  await advance(HEARD_MS)
  assert.deepEqual(states(), ['open', 'open', 'open'])
})

test('one replica at a time probes, and its success closes all', async () => {
  const { replicas, advance, states, trip } = build(3)
  await advance(HEARD_MS)
  await trip(0, 1)
  await advance(OPEN_FOR_MS + HEARD_MS)
  // Each first call tells that somebody would probe; at most one of them is let through once the rounds have passed.
  for (const replica of replicas) await replica.call(503)
  await advance(HEARD_MS)
  const probed = []
  for (const replica of replicas) probed.push(await replica.call(200))
  assert.equal(probed.filter(Boolean).length, 1)
  await advance(HEARD_MS)
  assert.deepEqual(states(), ['closed', 'closed', 'closed'])
})

test('a probe that fails keeps all shut, and the next comes after the open time', async () => {
  const { replicas, advance, states, trip } = build(3)
  await advance(HEARD_MS)
  await trip(0, 1)
  await advance(OPEN_FOR_MS + HEARD_MS)
  for (const replica of replicas) await replica.call(503)
  await advance(HEARD_MS)
  let reached = 0
  for (const replica of replicas) if (await replica.call(503)) reached++
  assert.equal(reached, 1)
  await advance(HEARD_MS)
  for (const replica of replicas) if (await replica.call(503)) reached++
  assert.equal(states().includes('closed'), false)
  assert.ok(reached <= 2, 'only who holds the lease probes')
})

test('while the store is away each replica goes by what it sees itself', async () => {
  const { board, replicas, advance, states, trip } = build(3)
  await advance(HEARD_MS)
  board.away = true
  await trip(0, 1)
  await advance(HEARD_MS)
  assert.deepEqual(states(), ['open', 'open', 'closed'])
  await advance(OPEN_FOR_MS)
  assert.equal(await replicas[0]?.call(200), true, 'it needs nobody to probe')
  assert.equal(await replicas[1]?.call(200), true)
  assert.deepEqual(states(), ['closed', 'closed', 'closed'])
})

test('replicas that are gone count no more', async () => {
  const { replicas, advance, states, trip } = build(4)
  await advance(HEARD_MS)
  await trip(0, 1)
  await advance(HEARD_MS)
  assert.deepEqual(states().slice(2), ['closed', 'closed'], 'two of four are no quorum')
  replicas[3]?.stop()
  await advance(3500)
  assert.equal(states()[2], 'open', 'two of three are')
})

test('when the store is back, two sick replicas are no quorum only because the others have not yet come back', async () => {
  const { board, advance, states, trip } = build(5)
  await advance(HEARD_MS)
  await trip(0, 1)
  board.away = true
  await advance(3000)
  board.away = false
  await advance(HEARD_MS)
  assert.deepEqual(states(), ['open', 'open', 'closed', 'closed', 'closed'])
})

test('a breaker that trips anew before its recovery was told stays open', async () => {
  const { replicas, advance, states, trip } = build(2)
  await advance(HEARD_MS)
  await trip(0, 1)
  await advance(OPEN_FOR_MS + HEARD_MS)
  for (const replica of replicas) await replica.call(503)
  await advance(HEARD_MS)
  const probed = (await replicas[0]?.call(200)) ? 0 : 1
  if (probed === 1) assert.equal(await replicas[1]?.call(200), true)
  await trip(probed)
  assert.equal(states()[probed], 'open')
  await advance(HEARD_MS)
  assert.equal(states()[probed], 'open')
})

test('an outage of everything is told in part, and the same part by every replica', async () => {
  const clock = createFakeClock()
  const told: (readonly string[])[] = []
  const board = {
    async exchange({ tripped }: { readonly tripped: readonly string[] }) {
      told.push(tripped)
      return { live: 2, votes: new Map(), leases: new Set<string>(), recovered: new Map() }
    },
  }
  const member = { tripped: () => true, wantsProbe: () => false, open() {}, close() {} }
  const origins = Array.from({ length: 3000 }, (_, index) => `https://h${index}.test`)
  for (const [replica, order] of [origins, origins.toReversed()].entries()) {
    const fleet = createBreakerFleet({ board, clock, replica: `r${replica}` })
    for (const origin of order) fleet.join('a', origin, member)
    await clock.advance(600)
    await settle()
    fleet.close()
  }
  assert.equal(told[0]?.length, 200)
  assert.deepEqual(told[0], told[1])
})

/** What may happen to a fleet, in any order. */
const STEP = fc.oneof(
  fc.record({ kind: fc.constant('call' as const), who: fc.nat(3), status: fc.constantFrom(200 as const, 503 as const) }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(100, 600, 1500, 6000) }),
  fc.record({ kind: fc.constant('store' as const), away: fc.boolean() }),
)

test('whatever happens: no more than one probe at a time while the store answers, and a healthy host closes all again', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(STEP, { maxLength: 40 }), async (steps) => {
      mock.timers.reset()
      mock.timers.enable({ apis: ['setTimeout', 'Date'] })
      const { board, replicas, advance, states } = build(4)
      await advance(HEARD_MS)
      for (const step of steps) {
        if (step.kind === 'wait') await advance(step.ms)
        else if (step.kind === 'store') board.away = step.away
        else await replicas[step.who]?.call(step.status)
      }
      // The host is well and the store is back: everybody finds out, whatever came before.
      board.away = false
      for (let turn = 0; turn < 40 && states().some((state) => state !== 'closed'); turn++) {
        for (const replica of replicas) await replica.call(200)
        await advance(600)
      }
      assert.deepEqual(states(), ['closed', 'closed', 'closed', 'closed'])
      for (const replica of replicas) replica.stop()
    }),
    { numRuns: 60 },
  )
})
