import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { base64Of } from '../../../src/envelope/base64.ts'

const STEP = 24 * 1024

test('bytes of any length are the base64 that they are in one piece', () => {
  const bytes = randomBytes(4 * STEP)
  for (const near of [0, STEP, 2 * STEP, 3 * STEP])
    for (let length = Math.max(0, near - 4); length <= near + 4; length++) {
      const part = bytes.subarray(1, 1 + length)
      assert.equal(base64Of(part).toString('latin1'), part.toString('base64'), `${length} bytes`)
    }
})
