import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { holdsApiKey, isApiKey, makeApiKey, sha256Of } from '../../../src/callers/api-key.ts'

test('a key says what it is, and has its id in it', () => {
  const { id, key, sha256 } = makeApiKey()
  assert.match(key, /^sp_[0-9A-Za-z]{10}_[0-9A-Za-z]{49}$/)
  assert.equal(key.slice(3, 13), id)
  assert.equal(sha256, sha256Of(key))
  assert.ok(isApiKey(key))
})

test('no two keys are alike', () => {
  const keys = Array.from({ length: 200 }, () => makeApiKey())
  assert.equal(new Set(keys.map(({ key }) => key.slice(14, 57))).size, 200)
  assert.equal(new Set(keys.map(({ id }) => id)).size, 200)
})

test('a key is found wherever it stands in a text', () => {
  const { key } = makeApiKey()
  fc.assert(
    fc.property(fc.string(), fc.string(), (before, after) => {
      assert.ok(holdsApiKey(before + key + after))
    }),
  )
})

test('any one character changed makes it no key', () => {
  const { key } = makeApiKey()
  for (let at = 0; at < key.length; at++) {
    const other = key[at] === 'x' ? 'y' : 'x'
    const changed = key.slice(0, at) + other + key.slice(at + 1)
    assert.equal(holdsApiKey(changed), false, changed)
  }
})

for (const [name, text] of [
  ['nothing', ''],
  ['the prefix alone', 'sp_'],
  ['prefixes in a row', 'sp_'.repeat(5000)],
  ['the form without its checksum', `sp_${'a'.repeat(10)}_${'b'.repeat(49)}`],
  ['a key cut off', makeApiKey().key.slice(0, -1)],
] as const)
  test(`no key: ${name}`, () => assert.equal(holdsApiKey(text), false))
