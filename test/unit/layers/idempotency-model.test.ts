// Any order of calls with two keys on three replicas, of upstreams that answer, refuse, fall silent or hold back, of callers that
// hang up, of replicas that die in mid-call, of a store that is away, and of time that passes. The model is one sentence: a key
// goes out again only if every time before it provably did not go out.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GatewayError, type Sent } from '../../../src/errors/gateway-error.ts'
import { idempotency } from '../../../src/layers/idempotency.ts'
import type { Dispatch } from '../../../src/model/dispatch.ts'
import type { IdempotencyStore } from '../../../src/model/ports.ts'
import type { UpstreamResponse } from '../../../src/model/upstream-response.ts'
import { createMemoryIdempotency } from '../../../src/stores/memory-idempotency.ts'
import { aContext, aDescriptor, aRequest, aResponse } from '../../support/builders.ts'
import { createFakeClock, settle } from '../../support/fake-clock.ts'
import { watch } from '../../support/scripted-dispatch.ts'

const REPLICAS = 3
const TOTAL_MS = 3000

/** One time that a key went down the stack. */
interface Going {
  readonly key: string
  readonly replica: number
  /** null: still under way. */
  sent: Sent | null
  answer: ((end: 'good' | 'silent' | 'refused') => void) | null
}

const STEP = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('call' as const),
      replica: fc.nat(REPLICAS - 1),
      key: fc.constantFrom('k-1', 'k-2'),
      end: fc.constantFrom('good' as const, 'silent' as const, 'refused' as const, 'held' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('answer' as const), end: fc.constantFrom('good' as const, 'refused' as const) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(40, 4000, 20_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('hang up' as const), nth: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('die' as const), replica: fc.nat(REPLICAS - 1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('store' as const), away: fc.boolean() }) },
)

function build() {
  const clock = createFakeClock()
  const memory = createMemoryIdempotency({ clock })
  const goings: Going[] = []
  const calls: {
    key: string
    alive: { yes: boolean }
    cancel(): void
    result: { value?: UpstreamResponse; error?: unknown; done: boolean }
  }[] = []
  const world = { away: false }
  const store: IdempotencyStore = {
    async claim(key, fingerprint, leaseMs) {
      if (world.away) throw new GatewayError('Overloaded', 'the store is away')
      const claim = await memory.claim(key, fingerprint, leaseMs)
      if (claim.state !== 'mine') return claim
      const whileThere = async (deed: () => Promise<void>): Promise<void> => {
        if (world.away) throw new GatewayError('Overloaded', 'the store is away')
        await deed()
      }
      return {
        state: 'mine',
        complete: (outcome, ttlMs) => whileThere(() => claim.complete(outcome, ttlMs)),
        release: () => whileThere(() => claim.release()),
      }
    },
  }
  const start = () => ({ layer: idempotency({ store, local: store, clock, random: () => 1 }), alive: { yes: true } })
  const replicas = Array.from({ length: REPLICAS }, start)

  const call = (replica: number, key: string, end: 'good' | 'silent' | 'refused' | 'held'): void => {
    const { layer, alive } = replicas[replica] ?? start()
    const down: Dispatch = (_request, context) => {
      const going: Going = { key, replica, sent: null, answer: null }
      goings.push(going)
      return new Promise((resolve, reject) => {
        const finish = (how: 'good' | 'silent' | 'refused'): void => {
          going.answer = null
          if (!alive.yes || going.sent !== null) return // nobody is there to hear it: what it did stays unknown
          going.sent = how === 'good' ? 'yes' : how === 'silent' ? 'maybe' : 'no'
          context.trail.begin({ sent: going.sent } as never)
          if (how === 'good') resolve(aResponse({ status: 201 }))
          else reject(new GatewayError(how === 'silent' ? 'ReadTimeout' : 'ConnectionError', how, { sent: going.sent }))
        }
        going.answer = finish
        context.cancellation.onCancel(() => {
          if (going.sent !== null || !alive.yes) return
          going.sent = 'maybe'
          context.trail.begin({ sent: 'maybe' } as never)
          reject(new GatewayError('Cancelled', 'gone', { sent: 'maybe' }))
        })
        if (end !== 'held') finish(end)
      })
    }
    const descriptor = aDescriptor({ method: 'POST', idempotencyKey: key })
    const context = aContext({ descriptor, deadline: clock.now() + TOTAL_MS })
    const stop = clock.after(TOTAL_MS, () => context.cancellation.cancel(new GatewayError('Timeout', 'total')))
    const answered = alive.yes ? layer(down)(aRequest({ method: 'POST' }), context) : Promise.reject(new Error('dead'))
    const result = watch(answered.finally(stop))
    calls.push({ key, alive, result, cancel: () => context.cancellation.cancel(new GatewayError('Cancelled', 'gone')) })
  }
  const die = (replica: number): void => {
    const dead = replicas[replica]
    if (!dead) return
    dead.alive.yes = false
    replicas[replica] = start()
  }
  return { clock, world, goings, calls, call, die }
}

test('a key goes out again only if every time before it provably did not, whatever happens', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(STEP, { minLength: 3, maxLength: 25 }), async (steps) => {
      const { clock, world, goings, calls, call, die } = build()
      for (const step of steps) {
        if (step.kind === 'call') call(step.replica, step.key, step.end)
        else if (step.kind === 'answer') goings.find(({ answer }) => answer !== null)?.answer?.(step.end)
        else if (step.kind === 'wait') await clock.advance(step.ms)
        else if (step.kind === 'hang up') calls.at(-1 - step.nth)?.cancel()
        else if (step.kind === 'die') die(step.replica)
        else world.away = step.away
        await settle()
        for (const key of ['k-1', 'k-2']) {
          const times = goings.filter((going) => going.key === key)
          for (const earlier of times.slice(0, -1))
            assert.equal(
              earlier.sent,
              'no',
              `${key} went out again after a time that ended ${earlier.sent ?? 'nobody knows how'}`,
            )
        }
      }
      world.away = false
      await clock.advance(TOTAL_MS * 2)
      for (const { result, alive } of calls)
        assert.ok(result.done || !alive.yes, 'every call on a replica that lives has its end')
    }),
    { numRuns: 1200 },
  )
})
