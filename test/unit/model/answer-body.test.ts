import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bodyText, byteText, lengthOf, piecesOf } from '../../../src/model/answer-body.ts'

test('any text is its UTF-8 bytes, a character each', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const bytes = Buffer.from(text)
      const body = byteText(text)
      assert.equal(lengthOf(body), bytes.length)
      assert.deepEqual(Buffer.concat(piecesOf(body)), bytes)
      assert.equal(bodyText(body), bytes.toString())
    }),
  )
})
