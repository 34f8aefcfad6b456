import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type AdapterPool, createAdapterPool, type OriginStack } from '../../../src/adapters/adapter-pool.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { AdapterPolicy } from '../../../src/model/adapter-policy.ts'
import type { UpstreamResponse } from '../../../src/model/upstream-response.ts'
import { aContext, anAdapter, aPlan, aRequest, aResponse, aUrl } from '../../support/builders.ts'
import { createFakeClock, type FakeClock, settle } from '../../support/fake-clock.ts'

/** A stack that answers when it is told to, and remembers what became of it. */
interface Stack {
  readonly key: string
  readonly shared: string
  calls: number
  busy: boolean
  closed: number
  finish(): void
}

interface World {
  readonly pool: AdapterPool
  readonly clock: FakeClock
  readonly stacks: Stack[]
  readonly shared: string[]
  /** `held`: the answer waits for finish(). */
  call(adapter: AdapterPolicy, url?: string, held?: 'held'): Promise<UpstreamResponse>
}

function createWorld({ maxOrigins = 10, closing = Promise.resolve() } = {}): World {
  const clock = createFakeClock()
  const stacks: Stack[] = []
  const shared: string[] = []
  let hold = false
  const pool = createAdapterPool<string>({
    clock,
    maxOrigins,
    idleMs: 60_000,
    buildShared(adapter) {
      shared.push(adapter.name)
      return `shared ${adapter.name} ${shared.length}`
    },
    build(adapter, origin, common): OriginStack {
      const waiting: (() => void)[] = []
      const stack: Stack = {
        key: `${adapter.name} ${origin.origin}`,
        shared: common,
        calls: 0,
        busy: false,
        closed: 0,
        finish: () => waiting.shift()?.(),
      }
      stacks.push(stack)
      return {
        async dispatch() {
          stack.calls++
          if (hold) await new Promise<void>((resolve) => waiting.push(resolve))
          return aResponse()
        },
        sample: () => ({
          origin: origin.origin,
          breaker: 'closed',
          connections: 1,
          idle: 1,
          inFlight: 0,
          queued: 0,
          slots: 1,
          places: 0,
          rateLeft: null,
          cooldownMs: 0,
        }),
        busy: () => stack.busy,
        close() {
          stack.closed++
          return closing
        },
      }
    },
  })
  return {
    pool,
    clock,
    stacks,
    shared,
    call(adapter, url = 'https://api.example.com/', held) {
      hold = held === 'held'
      return pool.dispatch(aRequest({ url: aUrl(url), plan: aPlan({ adapter }) }), aContext())
    },
  }
}

const isType =
  (type: string) =>
  (error: unknown): boolean =>
    error instanceof GatewayError && error.type === type

describe('dispatch', () => {
  test('makes one stack for each adapter and origin, and uses it again', async () => {
    const { call, stacks, shared } = createWorld()
    const [a, b] = [anAdapter({ name: 'a' }), anAdapter({ name: 'b' })]
    for (const url of ['https://x/1', 'https://x/2', 'https://x:8443/', 'http://x/']) await call(a, url)
    await call(b, 'https://x/')
    assert.deepEqual(
      stacks.map(({ key, calls }) => [key, calls]),
      [
        ['a https://x', 2],
        ['a https://x:8443', 1],
        ['a http://x', 1],
        ['b https://x', 1],
      ],
    )
    assert.deepEqual(shared, ['a', 'b'])
    assert.equal(stacks[0]?.shared, stacks[1]?.shared)
  })

  test('gives the failure of a stack as it is, and the origin can go afterwards', async () => {
    const clock = createFakeClock()
    const failure = new GatewayError('ConnectionError', 'refused')
    let closed = 0
    const pool = createAdapterPool({
      clock,
      maxOrigins: 1,
      idleMs: 1000,
      buildShared: () => null,
      build: () => ({
        dispatch: () => Promise.reject(failure),
        sample: () => ({
          origin: '',
          breaker: null,
          connections: 0,
          idle: 0,
          inFlight: 0,
          queued: 0,
          slots: 1,
          places: 0,
          rateLeft: null,
          cooldownMs: 0,
        }),
        busy: () => false,
        close: async () => {
          closed++
        },
      }),
    })
    await assert.rejects(pool.dispatch(aRequest(), aContext()), failure)
    await clock.advance(2000)
    assert.equal(closed, 1)
  })
})

describe('idle origins', () => {
  test('are closed after their time, and made anew at need', async () => {
    const { call, clock, stacks, pool } = createWorld()
    const a = anAdapter()
    await call(a, 'https://x/')
    await clock.advance(50_000)
    await call(a, 'https://y/')
    await clock.advance(40_000)
    assert.deepEqual(
      stacks.map(({ key, closed }) => [key.split(' ')[1], closed]),
      [
        ['https://x', 1],
        ['https://y', 0],
      ],
    )
    await call(a, 'https://x/')
    assert.equal(stacks.length, 3)
    assert.equal(pool.samples().length, 2)
  })

  test('are not, while a call is in them or they say they are busy', async () => {
    const { call, clock, stacks } = createWorld()
    const held = call(anAdapter(), 'https://x/', 'held')
    await call(anAdapter(), 'https://y/')
    const [x, y] = stacks
    assert.ok(x && y)
    y.busy = true
    await clock.advance(600_000)
    assert.deepEqual([x.closed, y.closed], [0, 0])
    x.finish()
    await held
    y.busy = false
    await clock.advance(120_000)
    assert.deepEqual([x.closed, y.closed], [1, 1])
    assert.equal(clock.pending, 0)
  })

  test('make room for another origin, the longest idle first', async () => {
    const { call, clock, stacks } = createWorld({ maxOrigins: 2 })
    const a = anAdapter()
    await call(a, 'https://x/')
    await clock.advance(10)
    await call(a, 'https://y/')
    await clock.advance(10)
    await call(a, 'https://x/')
    await call(a, 'https://z/')
    assert.deepEqual(
      stacks.map(({ key, closed }) => [key.split(' ')[1], closed]),
      [
        ['https://x', 0],
        ['https://y', 1],
        ['https://z', 0],
      ],
    )
  })

  test('that say they are busy make room last, but they do', async () => {
    const { call, clock, stacks } = createWorld({ maxOrigins: 2 })
    await call(anAdapter(), 'https://x/')
    await clock.advance(10)
    await call(anAdapter(), 'https://y/')
    for (const stack of stacks.slice(0, 1)) stack.busy = true
    await call(anAdapter(), 'https://z/')
    for (const stack of stacks) stack.busy = true
    await clock.advance(10)
    await call(anAdapter(), 'https://w/')
    assert.deepEqual(
      stacks.map(({ key, closed }) => [key.split(' ')[1], closed]),
      [
        ['https://x', 1],
        ['https://y', 1],
        ['https://z', 0],
        ['https://w', 0],
      ],
    )
  })

  test('where there are none, another origin is Overloaded, and the ones there are go on', async () => {
    const { call, stacks } = createWorld({ maxOrigins: 1 })
    const held = call(anAdapter(), 'https://x/', 'held')
    await assert.rejects(call(anAdapter(), 'https://y/'), isType('Overloaded'))
    await call(anAdapter(), 'https://x/2')
    stacks[0]?.finish()
    await held
    await call(anAdapter(), 'https://y/')
    assert.deepEqual(
      stacks.map(({ closed }) => closed),
      [1, 0],
    )
  })
})

describe('reconcile', () => {
  test('keeps the stacks of an adapter whose policy is the same, object for object or not', async () => {
    const { call, stacks, shared, pool } = createWorld()
    pool.reconcile([anAdapter()])
    await call(anAdapter())
    pool.reconcile([anAdapter(), anAdapter({ name: 'b' })])
    await call(anAdapter())
    assert.equal(stacks.length, 1)
    assert.deepEqual([stacks[0]?.calls, stacks[0]?.closed], [2, 0])
    assert.deepEqual(shared, ['example', 'b'])
  })

  test('replaces those of a changed adapter at once where they are idle', async () => {
    const { call, stacks, pool } = createWorld()
    const [before, after] = [anAdapter(), anAdapter({ responseSize: 1 })]
    pool.reconcile([before])
    await call(before)
    pool.reconcile([after])
    assert.equal(stacks[0]?.closed, 1)
    await call(after)
    assert.deepEqual([stacks.length, stacks[1]?.closed], [2, 0])
    assert.notEqual(stacks[0]?.shared, stacks[1]?.shared)
  })

  test('lets calls under way end on the old stack while new ones use the new', async () => {
    const { call, stacks, pool } = createWorld()
    const [before, after] = [anAdapter(), anAdapter({ responseSize: 1 })]
    pool.reconcile([before])
    const held = call(before, undefined, 'held')
    pool.reconcile([after])
    await call(after)
    assert.deepEqual(
      pool.samples().map(({ retired }) => retired),
      [true, false],
    )
    await call(before)
    assert.deepEqual([stacks.length, stacks[0]?.calls, stacks[0]?.closed], [2, 2, 0])
    stacks[0]?.finish()
    await held
    assert.deepEqual([stacks[0]?.closed, stacks[1]?.closed], [1, 0])
  })

  test('a further hop of an old call gets a stack of the old policy, closed when it ends', async () => {
    const { call, stacks, pool } = createWorld()
    const [before, after] = [anAdapter(), anAdapter({ responseSize: 1 })]
    pool.reconcile([before])
    pool.reconcile([after])
    await call(before, 'https://late/')
    assert.deepEqual([stacks.length, stacks[0]?.closed], [1, 1])
    await call(after, 'https://late/')
    assert.deepEqual([stacks.length, stacks[1]?.closed], [2, 0])
  })

  test('closes those of an adapter that is gone', async () => {
    const { call, stacks, pool, clock } = createWorld()
    pool.reconcile([anAdapter()])
    await call(anAdapter())
    pool.reconcile([])
    assert.equal(stacks[0]?.closed, 1)
    assert.deepEqual(pool.samples(), [])
    await clock.advance(60_000)
    assert.equal(clock.pending, 0)
  })

  test('with `rebuild` keeps none, even under the very same policies', async () => {
    const { call, stacks, pool } = createWorld()
    const adapter = anAdapter()
    pool.reconcile([adapter])
    await call(adapter)
    pool.reconcile([adapter], { rebuild: true })
    await call(adapter)
    assert.deepEqual(
      stacks.map(({ calls, closed }) => [calls, closed]),
      [
        [1, 1],
        [1, 0],
      ],
    )
  })
})

describe('close', () => {
  test('closes what is idle, waits for what is not, and refuses what comes', async () => {
    let closeEnds = (): void => {}
    const closing = new Promise<void>((resolve) => {
      closeEnds = resolve
    })
    const { call, stacks, pool, clock } = createWorld({ closing })
    await call(anAdapter(), 'https://idle/')
    const held = call(anAdapter(), 'https://busy/', 'held')
    let done = false
    const closed = pool.close().then(() => {
      done = true
    })
    assert.deepEqual(
      stacks.map((stack) => stack.closed),
      [1, 0],
    )
    await assert.rejects(call(anAdapter(), 'https://idle/'), isType('Draining'))
    stacks[1]?.finish()
    await held
    await settle()
    assert.equal(stacks[1]?.closed, 1)
    assert.equal(done, false)
    closeEnds()
    await closed
    assert.equal(clock.pending, 0)
    await pool.close()
  })

  test('of a pool that nobody used is done at once', async () => {
    await createWorld().pool.close()
  })
})

describe('samples', () => {
  test('name adapter and origin of every stack', async () => {
    const { call, pool } = createWorld()
    await call(anAdapter({ name: 'a' }), 'https://x/')
    assert.deepEqual(pool.samples(), [
      {
        adapter: 'a',
        origin: 'https://x',
        retired: false,
        breaker: 'closed',
        connections: 1,
        idle: 1,
        inFlight: 0,
        queued: 0,
        slots: 1,
        places: 0,
        rateLeft: null,
        cooldownMs: 0,
      },
    ])
  })
})
