import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTurnShare } from '../../../src/transport/turn-share.ts'

/** A share of 100 bytes in turns that the test begins itself. */
function setUp() {
  const due: (() => void)[] = []
  const share = createTurnShare((begin) => void due.push(begin), 100)
  return { share, due, turn: () => due.shift()?.() }
}

test('it is spent when as much was read, and whole again in the next turn', () => {
  const { share, turn } = setUp()
  share.take(60)
  assert.equal(share.isSpent(), false)
  share.take(60)
  assert.equal(share.isSpent(), true)
  turn()
  assert.equal(share.isSpent(), false)
})

test('who waits has its turn in the order of asking, no more in one turn than the share is enough for', () => {
  const { share, due, turn } = setUp()
  const order: string[] = []
  const left = new Map([
    ['a', 3],
    ['b', 2],
    ['c', 1],
  ])
  const read = (name: string): void => {
    order.push(name)
    const more = (left.get(name) ?? 0) - 1
    left.set(name, more)
    share.take(50)
    if (more > 0) share.later(() => read(name))
  }
  for (const name of left.keys()) share.later(() => read(name))
  const byTurn: string[] = []
  while (due.length > 0) {
    order.length = 0
    turn()
    byTurn.push(order.join(''))
  }
  assert.deepEqual(byTurn, ['ab', 'ca', 'ba', ''])
})

test('no turn is asked for while nothing is read', () => {
  const { share, due, turn } = setUp()
  share.take(10)
  share.take(10)
  assert.equal(due.length, 1)
  turn()
  assert.equal(due.length, 0)
})
