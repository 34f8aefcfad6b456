import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createKeyRing, MissingKeyError, SealError, type SealingKey } from '../../../src/credentials/key-ring.ts'
import { createSealer } from '../../../src/credentials/seal.ts'
import { createTextSealer } from '../../../src/credentials/seal-text.ts'

const aKey = (id: string): SealingKey => ({ id, key: randomBytes(32) })
const OLD = aKey('old')
const NEW = aKey('new')

test('a change of keys is seen by both sealers at once: what is sealed next, and what opens', () => {
  const ring = createKeyRing({ keys: [OLD], active: 'old' })
  const texts = createTextSealer({ ring, installation: 'here' })
  const secrets = createSealer({ ring, installation: 'here' })
  const before = texts.seal('x', 'text')
  ring.replace({ keys: [NEW, OLD], active: 'new' })
  assert.equal(texts.open('x', before), 'text')
  const after = texts.seal('x', 'text')
  assert.match(after, /^new:/)
  ring.replace({ keys: [NEW], active: 'new' })
  assert.equal(texts.open('x', after), 'text')
  assert.throws(() => texts.open('x', before), MissingKeyError)
  assert.throws(() => secrets.open('x', 'no record'), SealError)
})

test('another key under a known id is another key', () => {
  const ring = createKeyRing({ keys: [OLD], active: 'old' })
  const texts = createTextSealer({ ring, installation: 'here' })
  const before = texts.seal('x', 'text')
  ring.replace({ keys: [aKey('old')], active: 'old' })
  assert.throws(() => texts.open('x', before), SealError)
})

const REFUSED: [name: string, keys: SealingKey[], active: string, message: RegExp][] = [
  ['without its active key', [OLD], 'x', /no sealing key "x"; known: old/],
  ['without any', [], 'x', /known: none/],
  ['with a short one', [{ id: 's', key: randomBytes(16) }, OLD], 'old', /"s" has 16 bytes; it needs 32/],
]
for (const [name, keys, active, message] of REFUSED)
  test(`a ring ${name} is refused, and the one before stands`, () => {
    assert.throws(() => createKeyRing({ keys, active }), message)
    const ring = createKeyRing({ keys: [OLD, NEW], active: 'new' })
    assert.throws(() => ring.replace({ keys, active }), message)
    assert.deepEqual([ring.active, ring.ids], [NEW, ['old', 'new']])
  })
