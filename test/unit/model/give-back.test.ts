import assert from 'node:assert/strict'
import { test } from 'node:test'
import { giveBack } from '../../../src/model/give-back.ts'

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
