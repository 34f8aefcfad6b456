import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Priority } from '../../../src/model/caller.ts'
import { createFairQueue, type FairQueue, type Waiter } from '../../../src/policy/fair-queue.ts'

/** Fills a queue and keeps who was pushed out. */
function build(places: number) {
  const queue = createFairQueue(places)
  const pushedOut: Waiter[] = []
  const push = (caller: string, priority: Priority = 'normal'): Waiter | null => {
    const waiter: Waiter = { caller, priority, onTurn() {}, onPushedOut: () => void pushedOut.push(waiter) }
    return queue.push(waiter) ? waiter : null
  }
  return { queue, pushedOut, push }
}

const serveAll = (queue: FairQueue): Waiter[] => {
  const served: Waiter[] = []
  for (let next = queue.shift(); next !== null; next = queue.shift()) served.push(next)
  return served
}
const callers = (waiters: readonly Waiter[]): string => waiters.map(({ caller }) => caller).join('')

test('callers are served by turns, whoever came in numbers', () => {
  const { queue, push } = build(10)
  for (const caller of 'aaaaabbc') push(caller)
  assert.equal(callers(serveAll(queue)), 'abcabaaa')
})

test('one who comes back goes behind those who wait', () => {
  const { queue, push } = build(10)
  for (const caller of 'aab') push(caller)
  assert.equal(queue.shift()?.caller, 'a')
  push('a')
  assert.equal(callers(serveAll(queue)), 'baa')
})

test('in a full queue the caller with the most places makes room for one with fewer, the last to have come first', () => {
  const { queue, pushedOut, push } = build(4)
  const flood = [push('a'), push('a'), push('a'), push('a')]
  assert.notEqual(push('b'), null)
  assert.deepEqual(pushedOut, [flood[3]])
  assert.notEqual(push('b'), null)
  assert.equal(push('b'), null)
  assert.equal(push('a'), null)
  assert.deepEqual([pushedOut.length, queue.length, callers(serveAll(queue))], [2, 4, 'abab'])
})

test('higher classes go first, and lower ones have their share', () => {
  const { queue, push } = build(100)
  for (let n = 0; n < 16; n++) for (const priority of ['low', 'normal', 'high'] as const) push(priority, priority)
  const turns = Array.from({ length: 16 }, () => queue.shift()?.priority)
  const count = (wanted: Priority): number => turns.filter((priority) => priority === wanted).length
  assert.deepEqual([turns[0], count('high'), count('normal'), count('low')], ['high', 10, 4, 2])
})

test('one who has left is not served, and leaves once', () => {
  const { queue, push } = build(3)
  const [first, second] = [push('a'), push('a')]
  assert.ok(first && second)
  assert.deepEqual([queue.delete(first), queue.delete(first), queue.length], [true, false, 1])
  assert.deepEqual([queue.shift(), queue.shift()], [second, null])
})

test('a queue without places takes nobody', () => {
  assert.equal(build(0).push('a'), null)
})

test('whatever comes: bounded, nobody lost or served twice, each caller and class in its own order', () => {
  const deed = fc.oneof(
    fc.record({
      kind: fc.constant('push' as const),
      caller: fc.constantFrom('a', 'a', 'a', 'b', 'c'),
      priority: fc.constantFrom<Priority>('high', 'normal', 'low'),
    }),
    fc.constant({ kind: 'shift' as const }),
    fc.record({ kind: fc.constant('leave' as const), which: fc.nat(50) }),
  )
  fc.assert(
    fc.property(fc.nat(6), fc.array(deed, { maxLength: 150 }), (places, deeds) => {
      const { queue, pushedOut, push } = build(places)
      let waiting: Waiter[] = [] // in order of arrival
      for (const one of deeds) {
        if (one.kind === 'push') {
          const before = pushedOut.length
          const waiter = push(one.caller, one.priority)
          const out = pushedOut.slice(before)
          assert.ok(out.every((each) => each.caller !== one.caller && waiter !== null))
          waiting = waiting.filter((each) => !out.includes(each))
          if (waiter) waiting.push(waiter)
        } else if (one.kind === 'shift') {
          const served = queue.shift()
          assert.equal(served === null, waiting.length === 0)
          const same = waiting.find(({ caller, priority }) => caller === served?.caller && priority === served.priority)
          assert.equal(same ?? null, served)
          waiting = waiting.filter((each) => each !== served)
        } else {
          const leaver = waiting[one.which % Math.max(1, waiting.length)]
          if (leaver) assert.equal(queue.delete(leaver), true)
          waiting = waiting.filter((each) => each !== leaver)
        }
        assert.ok(queue.length <= places)
        assert.equal(queue.length, waiting.length)
      }
    }),
  )
})
