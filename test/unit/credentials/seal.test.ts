import assert from 'node:assert/strict'
import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createKeyRing, SealError } from '../../../src/credentials/key-ring.ts'
import { keyIdOf } from '../../../src/credentials/record.ts'
import { createEphemeralSealer, createSealer, type OpenedRecord, type OpenedVersion } from '../../../src/credentials/seal.ts'
import type { Secret } from '../../../src/model/ports.ts'

const KEY_A = { id: 'a', key: randomBytes(32) }
const KEY_B = { id: 'b', key: randomBytes(32) }
const sealer = createSealer({ ring: createKeyRing({ keys: [KEY_A, KEY_B], active: 'a' }), installation: 'one' })

const NOON = Date.UTC(2026, 0, 1, 12)

function aVersion(version: number, over: Partial<OpenedVersion> = {}, secret: Partial<Secret> = {}): OpenedVersion {
  const policy = { scheme: 'bearer' as const, origins: ['https://api.github.com'], callers: ['billing'] }
  return {
    ...{
      version,
      ...policy,
      pool: null,
      createdAt: NOON,
      notBefore: NOON,
      expiresAt: NOON + 9,
      overlapUntil: null,
      revokedAt: null,
    },
    secret: { name: 'github', version, ...policy, values: { token: `canary-token-${version}` }, ...secret },
    ...over,
  }
}

const POOL = { pick: 'least-used' as const, members: [{ token: 'canary-one' }, { token: 'canary-two' }] }
const RECORD: OpenedRecord = {
  name: 'github',
  revision: 7,
  versions: [
    aVersion(3, { overlapUntil: NOON + 5 }),
    aVersion(4, { revokedAt: NOON, secret: null }),
    aVersion(5, { pool: { pick: 'least-used', size: 2 } }, { values: { token: 'canary-one' }, pool: POOL }),
  ],
}

type Version = Record<string, unknown> & { dataKey: string; values: string }
type Parsed = Record<string, unknown> & { versions: Version[]; seal: string }
const edit = (record: string, change: (parsed: Parsed) => object): string => JSON.stringify(change(JSON.parse(record)))
const editVersion = (record: string, at: number, change: (version: Version) => object): string =>
  edit(record, (parsed) => ({ ...parsed, versions: parsed.versions.map((each, i) => (i === at ? change(each) : each)) }))

describe('seal and open', () => {
  test('a record comes back as it was: several versions, a pool, one that is revoked', () => {
    assert.deepEqual(sealer.open('github', sealer.seal(RECORD)), RECORD)
  })

  test('any values come back as they were', () => {
    const values = fc.dictionary(fc.string(), fc.string({ unit: 'grapheme' }), { noNullPrototype: true })
    fc.assert(
      fc.property(values, (given) => {
        const record = { ...RECORD, versions: [aVersion(1, {}, { values: given })] }
        assert.deepEqual(sealer.open('github', sealer.seal(record)), record)
      }),
    )
  })

  test('a record shows policy and times and no value; two of one secret have nothing sealed in common', () => {
    const [one, two] = [sealer.seal(RECORD), sealer.seal(RECORD)]
    const [a, b] = [JSON.parse(one) as Parsed, JSON.parse(two) as Parsed]
    const { dataKey: _k, values: _v, ...clear } = a.versions[0] as Version
    const { secret: _s, ...expected } = RECORD.versions[0] as OpenedVersion
    assert.deepEqual(clear, expected)
    assert.doesNotMatch(one, /canary/)
    const sealed = [a, b].flatMap(({ versions, seal }) => [seal, ...versions.flatMap(({ dataKey, values }) => [dataKey, values])])
    const filled = sealed.filter((text) => text !== '')
    assert.equal(new Set(filled).size, filled.length)
    assert.equal(filled.length, 10, 'a revoked version has nothing sealed left')
  })

  test('a record sealed under a key that is no longer active still opens', () => {
    const after = createSealer({ ring: createKeyRing({ keys: [KEY_B, KEY_A], active: 'b' }), installation: 'one' })
    assert.deepEqual(after.open('github', sealer.seal(RECORD)), RECORD)
    assert.equal(keyIdOf('github', after.seal(RECORD)), 'b')
  })
})

/** As the first release wrote it, by what its documents said: nothing of today's sealing is used. */
function firstRecord(over: object = {}): string {
  const clear = { name: 'github', version: 3, scheme: 'bearer', origins: ['https://api.github.com'], callers: ['billing'] }
  const policy = createHash('sha256')
    .update(JSON.stringify([clear.scheme, clear.origins, clear.callers]))
    .digest('hex')
  const seal = (key: Buffer, plain: Buffer, purpose: string): string => {
    const iv = randomBytes(12)
    const aad = JSON.stringify(['sallyport-secret', 1, 'one', 'github', 3, policy, 'a', purpose])
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(aad))
    const sealed = Buffer.concat([cipher.update(plain), cipher.final()])
    return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64')
  }
  const dataKey = randomBytes(32)
  const record = {
    ...{ format: 1, ...clear, keyId: 'a', dataKey: seal(KEY_A.key, dataKey, 'data key') },
    values: seal(dataKey, Buffer.from('{"token":"canary-old"}'), 'values'),
  }
  return JSON.stringify({ ...record, ...over })
}

describe('records of the first release', () => {
  test('open: their one version is the revision too, and has no times', () => {
    const { revision, versions } = sealer.open('github', firstRecord())
    assert.equal(revision, 3)
    const none = { createdAt: null, notBefore: null, expiresAt: null, overlapUntil: null, revokedAt: null }
    assert.deepEqual(versions, [aVersion(3, none, { values: { token: 'canary-old' } })])
  })

  test('sealed anew they are records of today', () => {
    const opened = sealer.open('github', firstRecord())
    assert.deepEqual(sealer.open('github', sealer.seal({ ...opened, revision: 4 })), { ...opened, revision: 4 })
  })

  for (const [name, over] of [
    ['origins', { origins: ['https://evil.example'] }],
    ['callers', { callers: ['*'] }],
    ['version', { version: 4 }],
    ['scheme', { scheme: 'query' }],
  ] as const)
    test(`are refused where their ${name} were edited`, () =>
      assert.throws(() => sealer.open('github', firstRecord(over)), /edited, moved/))
})

describe('what is refused', () => {
  const record = sealer.seal(RECORD)
  const older = sealer.seal({ ...RECORD, revision: 6, versions: RECORD.versions.map((each) => ({ ...each, expiresAt: null })) })
  const [theirs] = (JSON.parse(older) as Parsed).versions
  const flip = (text: string, at: number): string => {
    const bytes = Buffer.from(text, 'base64')
    bytes[at] = (bytes[at] ?? 0) ^ 1
    return bytes.toString('base64')
  }
  const other = sealer.seal({ ...RECORD, name: 'stripe' })
  const swapped = (JSON.parse(other) as Parsed).versions
  const inVersion = (change: (version: Version) => object): string => editVersion(record, 0, change)
  const CASES: [name: string, name_: string, record: string][] = [
    ['moved to another name', 'stripe', record],
    ['moved, and its name edited to fit', 'stripe', edit(record, (r) => ({ ...r, name: 'stripe' }))],
    ['revision edited', 'github', edit(record, (r) => ({ ...r, revision: 8 }))],
    ['key id edited to another that is known', 'github', edit(record, (r) => ({ ...r, keyId: 'b' }))],
    ['key id unknown', 'github', edit(record, (r) => ({ ...r, keyId: 'c' }))],
    ['format unknown', 'github', edit(record, (r) => ({ ...r, format: 3 }))],
    ['format of the first release', 'github', edit(record, (r) => ({ ...r, format: 1 }))],
    ['a further key', 'github', edit(record, (r) => ({ ...r, note: 'x' }))],
    ['seal of an older record', 'github', edit(record, (r) => ({ ...r, seal: (JSON.parse(older) as Parsed).seal }))],
    ['a flipped bit of the seal', 'github', edit(record, (r) => ({ ...r, seal: flip(r.seal, 20) }))],
    ['no seal', 'github', edit(record, (r) => ({ ...r, seal: '' }))],
    ['no versions', 'github', edit(record, (r) => ({ ...r, versions: [] }))],
    ['the newest version left out', 'github', edit(record, (r) => ({ ...r, versions: r.versions.slice(0, 2) }))],
    ['the revoked version left out', 'github', edit(record, (r) => ({ ...r, versions: r.versions.filter((_v, i) => i !== 1) }))],
    ['versions in another order', 'github', edit(record, (r) => ({ ...r, versions: r.versions.toReversed() }))],
    ['a version twice', 'github', edit(record, (r) => ({ ...r, versions: [...r.versions, ...r.versions.slice(2)] }))],
    ['all versions of another name', 'github', edit(record, (r) => ({ ...r, versions: swapped }))],
    ['one version of another name', 'github', editVersion(record, 0, () => swapped[0] ?? {})],
    ['one version of an older record', 'github', editVersion(record, 0, () => theirs ?? {})],
    ['version number edited', 'github', inVersion((v) => ({ ...v, version: 6 }))],
    ['scheme edited', 'github', inVersion((v) => ({ ...v, scheme: 'query' }))],
    ['origins edited', 'github', inVersion((v) => ({ ...v, origins: ['https://evil.example'] }))],
    ['an origin added', 'github', inVersion((v) => ({ ...v, origins: ['https://api.github.com', 'https://evil.example'] }))],
    ['callers edited', 'github', inVersion((v) => ({ ...v, callers: ['*'] }))],
    ['origins and callers exchanged', 'github', inVersion((v) => ({ ...v, origins: v.callers, callers: v.origins }))],
    ['made a pool', 'github', inVersion((v) => ({ ...v, pool: { pick: 'round-robin', size: 2 } }))],
    ['a pool picked in another way', 'github', editVersion(record, 2, (v) => ({ ...v, pool: { pick: 'round-robin', size: 2 } }))],
    ['made earlier', 'github', inVersion((v) => ({ ...v, createdAt: NOON - 1 }))],
    ['begun earlier', 'github', inVersion((v) => ({ ...v, notBefore: null }))],
    ['its expiry put off', 'github', inVersion((v) => ({ ...v, expiresAt: NOON + 10 }))],
    ['its expiry taken away', 'github', inVersion((v) => ({ ...v, expiresAt: null }))],
    ['its overlap made longer', 'github', inVersion((v) => ({ ...v, overlapUntil: NOON + 6 }))],
    ['its overlap without end', 'github', inVersion((v) => ({ ...v, overlapUntil: null }))],
    ['revoked by an editor', 'github', inVersion((v) => ({ ...v, revokedAt: NOON }))],
    ['a revocation taken back', 'github', editVersion(record, 1, (v) => ({ ...v, revokedAt: null }))],
    ['a revocation moved', 'github', editVersion(record, 1, (v) => ({ ...v, revokedAt: NOON + 1 }))],
    ['values of another record', 'github', inVersion((v) => ({ ...v, values: theirs?.values }))],
    ['data key of another record', 'github', inVersion((v) => ({ ...v, dataKey: theirs?.dataKey }))],
    ['data key where the values belong', 'github', inVersion((v) => ({ ...v, values: v.dataKey, dataKey: v.values }))],
    ['a flipped bit of the text', 'github', inVersion((v) => ({ ...v, values: flip(v.values, 28) }))],
    ['cut short', 'github', inVersion((v) => ({ ...v, values: v.values.slice(0, 20) }))],
    ['emptied', 'github', inVersion((v) => ({ ...v, values: '', dataKey: '' }))],
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
    assert.throws(() => createEphemeralSealer().open('github', createEphemeralSealer().seal(RECORD)), SealError)
  })
})
