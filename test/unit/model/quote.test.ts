import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { quote } from '../../../src/model/quote.ts'

test('a string is quoted as JSON.stringify would', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => assert.equal(quote(text), JSON.stringify(text))))
  for (let unit = 0; unit < 0x200; unit++) {
    const character = String.fromCharCode(unit)
    assert.equal(quote(character), JSON.stringify(character))
  }
  assert.equal(quote('\ud800'), '"\\ud800"')
  assert.equal(quote(null), 'null')
})
