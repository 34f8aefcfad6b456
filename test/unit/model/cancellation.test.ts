import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { createCancellation } from '../../../src/model/cancellation.ts'

const GONE = new GatewayError('Cancelled', 'gone')
const LATE = new GatewayError('Timeout', 'late')

function listeners(...names: readonly string[]) {
  const told: string[] = []
  return { told, all: names.map((name) => (reason: GatewayError) => void told.push(`${name}: ${reason.message}`)) }
}

test('all who listen are told once, in the order in which they came, and of the first reason', () => {
  const { told, all } = listeners('a', 'b', 'c')
  const cancellation = createCancellation()
  for (const listener of all) cancellation.listen(listener)
  cancellation.cancel(GONE)
  cancellation.cancel(LATE)
  assert.deepEqual([told, cancellation.reason], [['a: gone', 'b: gone', 'c: gone'], GONE])
})

test('who has stopped listening is not told, whether alone or among others', () => {
  for (const names of [['a'], ['a', 'b'], ['a', 'b', 'c']]) {
    for (const leaves of names) {
      const { told, all } = listeners(...names)
      const cancellation = createCancellation()
      const stops = all.map((listener) => cancellation.onCancel(listener))
      stops[names.indexOf(leaves)]?.()
      cancellation.cancel(GONE)
      assert.deepEqual(
        told,
        names.filter((name) => name !== leaves).map((name) => `${name}: gone`),
      )
    }
  }
})

test('who comes after one has left stands behind those who stayed', () => {
  const { told, all } = listeners('a', 'b', 'c')
  const [a, b, c] = all as [(typeof all)[0], (typeof all)[0], (typeof all)[0]]
  const cancellation = createCancellation()
  cancellation.listen(a)
  cancellation.listen(b)
  cancellation.forget(a)
  cancellation.listen(c)
  cancellation.cancel(GONE)
  assert.deepEqual(told, ['b: gone', 'c: gone'])
})

test('who listens to what is cancelled already is told at once', () => {
  const { told, all } = listeners('a')
  const over = createCancellation()
  over.cancel(GONE)
  over.onCancel(all[0] as (typeof all)[0])()
  assert.deepEqual(told, ['a: gone'])
  assert.throws(() => over.throwIfCancelled(), GONE)
})

test('what cancels may be handed on by itself', () => {
  const cancellation = createCancellation()
  const { cancel } = cancellation
  cancel(GONE)
  assert.equal(cancellation.reason, GONE)
})
