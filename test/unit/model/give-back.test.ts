import assert from 'node:assert/strict'
import { test } from 'node:test'
import { giveBack, releaseSpare, takeMemory } from '../../../src/model/give-back.ts'

test('a large buffer is given back at once, and is empty for whoever still looks at it', () => {
  const large = Buffer.alloc(100_000, 1)
  const view = large.subarray(10, 20)
  giveBack(view)
  assert.deepEqual([large.length, view.length, large.buffer.byteLength], [0, 0, 0])
  giveBack(large)
})

test("a small one, one of Node's pool and shared memory stay as they are", () => {
  const kept = [Buffer.alloc(1000, 1), Buffer.from('of the pool'), Buffer.from(new SharedArrayBuffer(100_000))]
  const lengths = kept.map(({ length }) => length)
  for (const bytes of kept) giveBack(bytes)
  assert.deepEqual(
    kept.map(({ length }) => length),
    lengths,
  )
  assert.equal(Buffer.from('the pool still serves').toString(), 'the pool still serves')
})

test('the memory of a large body serves one of about its size, and who had it before sees nothing of it', () => {
  const first = takeMemory(5_000_000).fill(7)
  giveBack(first)
  assert.equal(first.length, 0)
  const larger = takeMemory(5_100_000)
  const muchSmaller = takeMemory(3_900_000)
  const second = takeMemory(4_500_000)
  assert.deepEqual([larger.length, muchSmaller.length, second.length], [5_100_000, 3_900_000, 5_000_000])
  assert.deepEqual([second[0], second[4_999_999]], [7, 7])
  assert.equal(takeMemory(4_500_000).length, 4_500_000)
})

test('memory that nobody needed between two looks at it is let go of, one large one at a time; no more than 64 MiB is kept', () => {
  const size = 12_000_000
  const bodies = Array.from({ length: 6 }, () => takeMemory(size).fill(9))
  for (const body of bodies) giveBack(body)
  releaseSpare()
  releaseSpare()
  const again = Array.from({ length: 6 }, () => takeMemory(0.9 * size))
  assert.deepEqual(
    again.map(({ length }) => length === size),
    [true, true, true, true, false, false],
  )
})
