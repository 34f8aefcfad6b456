import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { base64Of } from '../../../src/envelope/base64.ts'
import { bodyText } from '../../../src/model/answer-body.ts'

const STEP = 24 * 1024
const PART = 8 * STEP

test('bytes of any length are the base64 that they are in one piece', () => {
  const bytes = randomBytes(3 * PART)
  for (const near of [0, STEP, 2 * STEP, 3 * STEP, PART, 2 * PART])
    for (let length = Math.max(0, near - 4); length <= near + 4; length++) {
      const part = bytes.subarray(1, 1 + length)
      const piece = base64Of(part)
      const expected = part.toString('base64')
      assert.equal(piece.length, expected.length, `${length} bytes`)
      assert.ok(bodyText([piece]) === expected, `${length} bytes`)
    }
})

test('of many bytes the text is made part by part, in the same memory, and nothing before it is asked for', () => {
  const bytes = Buffer.alloc(2 * PART + 1)
  const piece = base64Of(bytes)
  assert.ok(!(piece instanceof Uint8Array))
  bytes.fill(0xff)
  const parts = [...piece.parts()]
  assert.equal(parts.length, 3)
  assert.equal(new Set(parts.map(({ buffer }) => buffer)).size, 1)
  assert.ok(bodyText([piece]) === bytes.toString('base64'))
})
