import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Waiter } from '../../../src/policy/fair-queue.ts'
import { createSlots } from '../../../src/policy/slots.ts'

const aWaiter = (onTurn: () => void = () => {}): Waiter => ({
  caller: 'a',
  priority: 'normal',
  onTurn,
  onPushedOut: () => assert.fail(),
})

test('slots are taken until there are none, and one given back can be taken again', () => {
  const slots = createSlots({ concurrency: 2, queue: 0 })
  assert.deepEqual([slots.tryTake(), slots.tryTake(), slots.tryTake()], [true, true, false])
  slots.release()
  assert.equal(slots.tryTake(), true)
})

test('the queue is served in order of arrival, and no newcomer slips in between', () => {
  const slots = createSlots({ concurrency: 1, queue: 2 })
  const served: string[] = []
  slots.tryTake()
  slots.queue(aWaiter(() => served.push('first')))
  slots.queue(aWaiter(() => served.push('second')))
  slots.release()
  assert.deepEqual([served, slots.tryTake()], [['first'], false])
  slots.release()
  assert.deepEqual(served, ['first', 'second'])
})

test('a full queue takes nobody; a queue of 0 never does', () => {
  const slots = createSlots({ concurrency: 1, queue: 1 })
  slots.tryTake()
  assert.notEqual(slots.queue(aWaiter()), null)
  assert.equal(slots.queue(aWaiter()), null)
  assert.equal(createSlots({ concurrency: 0, queue: 0 }).queue(aWaiter()), null)
})

test('leaving after the turn has come says so, since the slot must then be released', () => {
  const slots = createSlots({ concurrency: 1, queue: 1 })
  slots.tryTake()
  const leave = slots.queue(aWaiter())
  slots.release()
  assert.equal(leave?.(), false)
  assert.equal(slots.inUse, 1)
})

type Deed = { readonly kind: 'take' | 'queue' | 'release' } | { readonly kind: 'leave'; readonly which: number }

test('no interleaving leaks a slot, exceeds the limits, or serves out of order', () => {
  const deed: fc.Arbitrary<Deed> = fc.oneof(
    fc.record({ kind: fc.constantFrom('take' as const, 'queue' as const, 'release' as const) }),
    fc.record({ kind: fc.constant('leave' as const), which: fc.nat(20) }),
  )
  const limits = fc.record({ concurrency: fc.integer({ min: 1, max: 4 }), queue: fc.nat(4) })
  fc.assert(
    fc.property(limits, fc.array(deed, { maxLength: 80 }), ({ concurrency, queue }, deeds) => {
      const slots = createSlots({ concurrency, queue })
      let held = 0
      let waiting: { id: number; leave: () => boolean }[] = []
      let nextId = 0
      const turns: number[] = []
      for (const one of deeds) {
        if (one.kind === 'take') {
          const free = held < concurrency
          assert.equal(slots.tryTake(), free)
          if (free) held++
        } else if (one.kind === 'queue' && held === concurrency) {
          const id = nextId++
          const leave = slots.queue(aWaiter(() => turns.push(id)))
          assert.equal(leave === null, waiting.length >= queue)
          if (leave) waiting.push({ id, leave })
        } else if (one.kind === 'release' && held > 0) {
          slots.release()
          const first = waiting.shift()
          if (first) assert.equal(turns.at(-1), first.id)
          else held--
        } else if (one.kind === 'leave') {
          const leaver = waiting[one.which % Math.max(1, waiting.length)]
          if (leaver) assert.equal(leaver.leave(), true)
          waiting = waiting.filter((waiter) => waiter !== leaver)
        }
        assert.deepEqual([slots.inUse, slots.queued], [held, waiting.length])
      }
    }),
  )
})
