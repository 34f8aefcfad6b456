import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { secretDetector } from '../../../src/model/secret-traces.ts'

const secret = fc
  .string({ unit: 'grapheme-ascii', minLength: 8, maxLength: 40 })
  .filter((text) => text.trim().length === text.length)

test('a secret is found in any of the usual encodings, wherever it stands', () => {
  fc.assert(
    fc.property(secret, fc.string(), fc.string(), (value, before, after) => {
      const holds = secretDetector([value])
      const all = `${before}${value}${after}`
      for (const text of [
        all,
        JSON.stringify(all),
        `x=${encodeURIComponent(value)}&y`,
        new URLSearchParams({ q: value }).toString(),
        Buffer.from(all).toString('base64'),
        Buffer.from(all).toString('base64url'),
        Buffer.from(all).toString('hex').toUpperCase(),
      ])
        assert.ok(holds(text), text)
    }),
  )
})

test('what is too short to be a secret, or is another one, is not', () => {
  const holds = secretDetector(['', 'GET', 'a long secret'])
  assert.equal(holds('GET /a long story'), false)
  assert.equal(secretDetector([])('anything'), false)
})
