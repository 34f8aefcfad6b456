// Making, listing and revoking keys, and the document that they stand in.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type AdministeredCaller, fileKeyId } from '../../../src/callers/administration.ts'
import { sha256Of } from '../../../src/callers/api-key.ts'
import { openAdministration } from '../../../src/callers/identities.ts'
import { createStoredKeys } from '../../../src/callers/stored-keys.ts'
import { createEphemeralTextSealer } from '../../../src/credentials/seal-text.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { createMemoryValues } from '../../support/memory-values.ts'

const DAY = 86_400_000
const FILE_KEY = sha256Of('a-key-of-the-file')

function setUp({ sealed = true, keyHashes = [] as readonly string[] } = {}) {
  const clock = createFakeClock()
  const store = createMemoryValues()
  const sealer = createEphemeralTextSealer()
  const callers: AdministeredCaller[] = [
    { name: 'billing', admin: false, keyHashes, jwt: false, certificates: 0 },
    { name: 'ops', admin: true, keyHashes: [], jwt: true, certificates: 0 },
  ]
  const administration = openAdministration({
    ...{ store, sealer: sealed ? sealer : null, clock, log: { log: () => {} } },
    configured: () => callers,
  })
  const document = () => createStoredKeys({ store, sealer, clock }).read()
  const create = (caller = 'billing', expiresAt: number | null = null) =>
    administration.createKey({ caller, expiresAt, by: 'ann' })
  return { clock, store, sealer, callers, administration, document, create }
}

const refusal = (type: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof GatewayError, String(error))
  assert.equal(error.type, type)
  assert.match(error.message, message)
  return true
}

describe('a key that is made', () => {
  test('is told once and stored as its hash, sealed', async () => {
    const { store, create, document, clock } = setUp()
    const made = await create('billing', clock.date() + DAY)
    const { keys } = await document()
    assert.deepEqual(keys, [
      {
        ...{ id: made.id, caller: 'billing', sha256: sha256Of(made.key), createdAt: clock.date(), createdBy: 'ann' },
        ...{ expiresAt: clock.date() + DAY, revokedAt: null, revokedBy: null },
      },
    ])
    const stored = [...store.entries.values()].map(({ value }) => value).join()
    for (const word of [made.key, sha256Of(made.key), made.id, 'billing']) assert.ok(!stored.includes(word), word)
  })

  test('is for a caller that is configured, whose policy it brings', async () => {
    const { create, store } = setUp()
    await assert.rejects(create('nobody'), refusal('NotFound', /No caller "nobody" is configured.*billing, ops/))
    assert.equal(store.entries.size, 0)
  })

  test('may be the second of its caller, not the third; a revoked or expired one does not count', async () => {
    const { create, administration, clock } = setUp()
    const first = await create()
    const second = await create('billing', clock.date() + DAY)
    const names = new RegExp(`has 2 active keys, ${first.id} and ${second.id}, .*sallyport callers revoke ${first.id}`)
    await assert.rejects(create(), refusal('Forbidden', names))
    await create('ops')
    await clock.advance(DAY)
    const third = await create()
    await assert.rejects(create(), refusal('Forbidden', /has 2 active keys/))
    await administration.revokeKey(third.id, 'ann')
    await create()
  })

  test('counts together with those of the file', async () => {
    const { create } = setUp({ keyHashes: [FILE_KEY, sha256Of('another')] })
    await assert.rejects(create(), refusal('Forbidden', /sha256:[0-9a-f]{12} and sha256:[0-9a-f]{12}.*remove one from the file/))
  })

  test('does not expire before it begins', async () => {
    const { create, clock } = setUp()
    await assert.rejects(create('billing', clock.date()), refusal('InvalidDescriptor', /lies in the past/))
  })

  test('needs a sealing key', async () => {
    const { create, administration } = setUp({ sealed: false, keyHashes: [FILE_KEY] })
    await assert.rejects(create(), refusal('Forbidden', /no sealing key.*sallyport keys generate.*store\.keyFile/))
    assert.equal((await administration.list())[0]?.keys.length, 1)
  })

  test('is not lost where two administrators are at it at once', async () => {
    const { store, create, document } = setUp()
    let other: Promise<unknown> | null = null
    store.beforePut = async () => {
      if (other) return
      other = Promise.resolve()
      other = create('ops')
      await other
    }
    await create('billing')
    assert.deepEqual((await document()).keys.map(({ caller }) => caller).sort(), ['billing', 'ops'])
  })
})

describe('revoking', () => {
  test('says who and when, and a second time changes nothing', async () => {
    const { create, administration, clock, document } = setUp()
    const { id } = await create()
    await clock.advance(DAY)
    const { key, caller } = await administration.revokeKey(id, 'ann')
    assert.deepEqual([caller, key.state], ['billing', 'revoked'])
    const before = await document()
    await clock.advance(DAY)
    await administration.revokeKey(id, 'bob')
    assert.deepEqual((await document()).keys, before.keys)
    assert.equal(before.keys[0]?.revokedBy, 'ann')
  })

  test('a key of the file is changed there', async () => {
    const { administration } = setUp({ keyHashes: [FILE_KEY] })
    await assert.rejects(
      administration.revokeKey(fileKeyId(FILE_KEY), 'ann'),
      refusal('NotFound', /stands in the configuration file, under callers, billing/),
    )
    await assert.rejects(administration.revokeKey('nothing', 'ann'), refusal('NotFound', /no stored key nothing/))
  })

  test('a revoked key is listed for 30 days', async () => {
    const { create, administration, clock } = setUp()
    const { id } = await create()
    await administration.revokeKey(id, 'ann')
    const listed = async () => (await administration.list())[0]?.keys.map(({ id }) => id)
    await clock.advance(29 * DAY)
    await create('ops')
    assert.deepEqual(await listed(), [id])
    await clock.advance(2 * DAY)
    await create('ops')
    assert.deepEqual(await listed(), [])
  })
})

test('the list has every caller and every key, those of the file and of callers that are gone too', async () => {
  const { create, administration, callers, clock } = setUp({ keyHashes: [FILE_KEY] })
  const made = await create()
  const gone = await create('ops')
  callers.pop()
  const key = { createdAt: clock.date(), createdBy: 'ann', lastUsedAt: null, expiresAt: null, state: 'active', source: 'stored' }
  const fileKey = { id: fileKeyId(FILE_KEY), source: 'config', createdAt: null, createdBy: null }
  assert.deepEqual(await administration.list(), [
    {
      ...{ caller: 'billing', configured: true, admin: false, jwt: false, certificates: 0 },
      keys: [
        { ...fileKey, lastUsedAt: null, expiresAt: null, state: 'active' },
        { id: made.id, ...key },
      ],
    },
    {
      ...{ caller: 'ops', configured: false, admin: false, jwt: false, certificates: 0 },
      keys: [{ id: gone.id, ...key }],
    },
  ])
})

test('the revision grows with every change, and after a loss of the store it begins above what was', async () => {
  const { create, document, store, clock } = setUp()
  const revisions: number[] = []
  for (const caller of ['billing', 'billing', 'ops']) {
    await create(caller)
    revisions.push((await document()).revision)
  }
  store.entries.clear()
  await clock.advance(5)
  await create('ops')
  revisions.push((await document()).revision)
  assert.deepEqual(
    revisions,
    revisions.toSorted((a, b) => a - b),
  )
  assert.equal(new Set(revisions).size, 4)
})

test('what is away is said, and nothing is made up', async () => {
  const { create, administration, store } = setUp()
  store.away = true
  await assert.rejects(create(), refusal('Overloaded', /not connected/))
  await assert.rejects(administration.list(), refusal('Overloaded', /not connected/))
})
