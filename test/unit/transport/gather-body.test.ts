import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { gatherBody } from '../../../src/transport/gather-body.ts'

const chunksOf = fc.array(fc.uint8Array({ maxLength: 40_000, size: 'max' }), { maxLength: 8 })

describe('a body in pieces', () => {
  test('is their bytes one after the other, whatever length was declared and whatever becomes of the pieces', () => {
    fc.assert(
      fc.property(chunksOf, fc.constantFrom('none', 'right', 'less', 'more'), (pieces, declared) => {
        const expected = Buffer.concat(pieces)
        const lengths = { none: Number.NaN, right: expected.length, less: expected.length >> 1, more: expected.length * 2 }
        const body = gatherBody(1_000_000, lengths[declared])
        const chunks = pieces.map((piece) => Buffer.from(piece))
        for (const chunk of chunks) {
          assert.ok(body.add(chunk))
          if (body.isCopied()) chunk.fill(0)
        }
        assert.deepEqual(body.whole(), expected)
      }),
      { numRuns: 200 },
    )
  })

  test('is the piece itself where there is one', () => {
    const chunk = Buffer.from('whole')
    const body = gatherBody(100, 5)
    assert.ok(body.add(chunk))
    assert.deepEqual([body.whole() === chunk, body.isCopied()], [true, false])
  })

  test('that nobody needs any more is given back; the piece itself, which is not ours, is not', () => {
    const copied = gatherBody(1_000_000, 500_000)
    copied.add(Buffer.alloc(1000))
    const memory = copied.whole()
    copied.discard()
    assert.equal(memory.buffer.byteLength, 0)
    const chunk = Buffer.alloc(100_000)
    const single = gatherBody(1_000_000, chunk.length)
    single.add(chunk)
    single.discard()
    assert.equal(chunk.length, 100_000)
  })

  test('is nothing where none came', () => assert.equal(gatherBody(100, 50).whole().length, 0))

  test('is taken up to the limit and not a byte further', () => {
    const body = gatherBody(10, Number.NaN)
    assert.deepEqual([body.add(Buffer.alloc(6)), body.add(Buffer.alloc(4)), body.add(Buffer.alloc(1))], [true, true, false])
    assert.equal(body.whole().length, 10)
  })
})
