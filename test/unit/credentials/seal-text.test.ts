import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createKeyRing, SealError } from '../../../src/credentials/key-ring.ts'
import { createEphemeralTextSealer, createTextSealer } from '../../../src/credentials/seal-text.ts'

const OLD = { id: 'old', key: randomBytes(32) }
const NEW = { id: 'new', key: randomBytes(32) }
const text = 'cookie=ä; token=€'
const before = createTextSealer({ ring: createKeyRing({ keys: [OLD], active: 'old' }), installation: 'here' })

test('a sealed text opens under its purpose, and shows nothing of itself', () => {
  const sealed = before.seal('session a/b', text)
  assert.equal(before.open('session a/b', sealed), text)
  assert.ok(!sealed.includes(Buffer.from(text).toString('base64').slice(0, 12)))
  assert.notEqual(before.seal('session a/b', text), sealed, 'each seal has an IV of its own')
})

test('a text sealed under a former key still opens, and new ones are under the active one', () => {
  const after = createTextSealer({ ring: createKeyRing({ keys: [NEW, OLD], active: 'new' }), installation: 'here' })
  assert.equal(after.open('x', before.seal('x', text)), text)
  assert.match(after.seal('x', text), /^new:/)
})

const sealed = before.seal('x', text)
const flipped = Buffer.from(sealed.slice(4), 'base64')
flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1
const refusals: [string, () => unknown][] = [
  ['under another purpose', () => before.open('y', sealed)],
  ['when a bit of it was changed', () => before.open('x', `old:${flipped.toString('base64')}`)],
  ['when it was cut short', () => before.open('x', 'old:AAAA')],
  ['without a key id', () => before.open('x', sealed.slice(4))],
  ['under a key that is not here', () => before.open('x', `gone:${sealed.slice(4)}`)],
  [
    'in another installation',
    () => createTextSealer({ ring: createKeyRing({ keys: [OLD], active: 'old' }), installation: 'there' }).open('x', sealed),
  ],
  ['in another process without a key', () => createEphemeralTextSealer().open('x', createEphemeralTextSealer().seal('x', text))],
]
for (const [when, attempt] of refusals)
  test(`a sealed text does not open ${when}`, () => {
    assert.throws(attempt, (error) => error instanceof SealError && !error.message.includes(text))
  })

test('an active key that was not given is refused', () => {
  assert.throws(
    () => createTextSealer({ ring: createKeyRing({ keys: [OLD], active: 'new' }), installation: 'here' }),
    /no sealing key "new"; known: old/,
  )
})
