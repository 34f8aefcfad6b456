import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createKeyRing, SealError } from '../../../src/credentials/key-ring.ts'
import { createEphemeralSealer, createSealer, describeRecord } from '../../../src/credentials/seal.ts'
import type { Secret } from '../../../src/model/ports.ts'

const KEY_A = { id: 'a', key: randomBytes(32) }
const KEY_B = { id: 'b', key: randomBytes(32) }
const sealer = createSealer({ ring: createKeyRing({ keys: [KEY_A, KEY_B], active: 'a' }), installation: 'one' })

const SECRET: Secret = {
  name: 'github',
  version: 3,
  scheme: 'bearer',
  values: { token: 'canary-token-value' },
  origins: ['https://api.github.com'],
  callers: ['billing'],
}

type Parsed = Record<string, unknown> & { dataKey: string; values: string }
const edit = (record: string, change: (parsed: Parsed) => object): string => JSON.stringify(change(JSON.parse(record)))

describe('seal and open', () => {
  test('any secret comes back as it was', () => {
    const secrets = fc.record(
      {
        name: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,20}$/),
        version: fc.integer({ min: 1 }),
        scheme: fc.constantFrom<Secret['scheme']>('basic', 'bearer', 'mtls'),
        values: fc.dictionary(fc.constantFrom('token', 'username', 'password'), fc.string({ unit: 'grapheme' }), {
          noNullPrototype: true,
        }),
        origins: fc.array(fc.webUrl()),
        callers: fc.array(fc.string()),
      },
      { noNullPrototype: true },
    )
    fc.assert(fc.property(secrets, (secret) => assert.deepEqual(sealer.open(secret.name, sealer.seal(secret)), secret)))
  })

  test('a record shows the policy and no value; two of one secret have nothing sealed in common', () => {
    const [one, two] = [sealer.seal(SECRET), sealer.seal(SECRET)]
    assert.deepEqual(describeRecord('github', one), {
      format: 1,
      name: 'github',
      version: 3,
      scheme: 'bearer',
      origins: ['https://api.github.com'],
      callers: ['billing'],
      keyId: 'a',
    })
    assert.doesNotMatch(one, /canary/)
    const [a, b] = [JSON.parse(one) as Parsed, JSON.parse(two) as Parsed]
    assert.notEqual(a.dataKey, b.dataKey)
    assert.notEqual(a.values, b.values)
  })

  test('a record sealed under a key that is no longer active still opens', () => {
    const after = createSealer({ ring: createKeyRing({ keys: [KEY_B, KEY_A], active: 'b' }), installation: 'one' })
    assert.deepEqual(after.open('github', sealer.seal(SECRET)), SECRET)
    assert.equal(describeRecord('github', after.seal(SECRET)).keyId, 'b')
  })
})

describe('what is refused', () => {
  const record = sealer.seal(SECRET)
  const other = sealer.seal({ ...SECRET, name: 'github', values: { token: 'another' } })
  const flip = (text: string, at: number): string => {
    const bytes = Buffer.from(text, 'base64')
    bytes[at] = (bytes[at] ?? 0) ^ 1
    return bytes.toString('base64')
  }
  const CASES: [name: string, name_: string, record: string][] = [
    ['moved to another name', 'stripe', record],
    ['moved, and its name edited to fit', 'stripe', edit(record, (r) => ({ ...r, name: 'stripe' }))],
    ['origins edited', 'github', edit(record, (r) => ({ ...r, origins: ['https://evil.example'] }))],
    ['an origin added', 'github', edit(record, (r) => ({ ...r, origins: ['https://api.github.com', 'https://evil.example'] }))],
    ['callers edited', 'github', edit(record, (r) => ({ ...r, callers: ['*'] }))],
    ['origins and callers exchanged', 'github', edit(record, (r) => ({ ...r, origins: r.callers, callers: r.origins }))],
    ['scheme edited', 'github', edit(record, (r) => ({ ...r, scheme: 'query' }))],
    ['version edited', 'github', edit(record, (r) => ({ ...r, version: 4 }))],
    ['key id edited to another that is known', 'github', edit(record, (r) => ({ ...r, keyId: 'b' }))],
    ['key id unknown', 'github', edit(record, (r) => ({ ...r, keyId: 'c' }))],
    ['format unknown', 'github', edit(record, (r) => ({ ...r, format: 2 }))],
    ['values of another record', 'github', edit(record, (r) => ({ ...r, values: (JSON.parse(other) as Parsed).values }))],
    ['data key of another record', 'github', edit(record, (r) => ({ ...r, dataKey: (JSON.parse(other) as Parsed).dataKey }))],
    ['data key where the values belong', 'github', edit(record, (r) => ({ ...r, values: r.dataKey, dataKey: r.values }))],
    ['a flipped bit of the IV', 'github', edit(record, (r) => ({ ...r, values: flip(r.values, 0) }))],
    ['a flipped bit of the tag', 'github', edit(record, (r) => ({ ...r, values: flip(r.values, 12) }))],
    ['a flipped bit of the text', 'github', edit(record, (r) => ({ ...r, values: flip(r.values, 28) }))],
    ['cut short', 'github', edit(record, (r) => ({ ...r, values: r.values.slice(0, 20) }))],
    ['emptied', 'github', edit(record, (r) => ({ ...r, values: '', dataKey: '' }))],
    ['a further key', 'github', edit(record, (r) => ({ ...r, note: 'x' }))],
    ['no record', 'github', 'canary'],
    ['null', 'github', 'null'],
  ]
  for (const [name, under, text] of CASES)
    test(name, () =>
      assert.throws(
        () => sealer.open(under, text),
        (error) => error instanceof SealError && error.message.includes(`"${under}"`) && !/canary/.test(error.message),
      ),
    )

  test('a record of another installation, or sealed under another key of the same name', () => {
    const elsewhere = createSealer({ ring: createKeyRing({ keys: [KEY_A], active: 'a' }), installation: 'two' })
    assert.throws(() => elsewhere.open('github', record), SealError)
    const namesake = createSealer({
      ring: createKeyRing({ keys: [{ id: 'a', key: KEY_B.key }], active: 'a' }),
      installation: 'one',
    })
    assert.throws(() => namesake.open('github', record), SealError)
    assert.throws(() => createEphemeralSealer().open('github', createEphemeralSealer().seal(SECRET)), SealError)
  })
})
