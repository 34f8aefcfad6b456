// How a replica follows the stored keys: at once, within a second, without the store, and never backwards.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sha256Of } from '../../../src/callers/api-key.ts'
import type { Callers } from '../../../src/callers/callers.ts'
import { openIdentities } from '../../../src/callers/identities.ts'
import { createEphemeralTextSealer } from '../../../src/credentials/seal-text.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { createFakeClock, settle } from '../../support/fake-clock.ts'
import { createMemoryValues } from '../../support/memory-values.ts'

const STALE_FOR_MS = 300_000
const FILE_KEY = 'a-key-of-the-file'
const CALLERS = [
  { name: 'billing', admin: false, may: [], keys: [] },
  { name: 'ops', admin: true, may: [], keys: [{ sha256: Buffer.from(sha256Of(FILE_KEY), 'hex') }] },
]
const ADMINISTERED = CALLERS.map(({ name, admin }) => ({ name, admin, keyHashes: [], jwt: false, certificates: 0 }))

/** Two replicas over one store; keys are made and revoked on the first. */
async function twoReplicas() {
  const clock = createFakeClock()
  const store = createMemoryValues()
  const sealer = createEphemeralTextSealer()
  const lines: string[] = []
  const open = () =>
    openIdentities({
      ...{ store, sealer, clock, staleForMs: STALE_FOR_MS, configured: () => ADMINISTERED },
      fetch: async () => ({ because: 'no issuer here' }),
      log: { log: (level, event, fields = {}) => void lines.push(`${level} ${event} ${JSON.stringify(fields)}`) },
    })
  const [first, second] = [open(), open()]
  await settle()
  const { administration } = first
  return {
    ...{ clock, store, sealer, lines, open, first, second, administration, callers: second.callers(CALLERS) },
    make: () => administration.createKey({ caller: 'billing', expiresAt: null, by: 'ann' }),
  }
}

/** Name of the caller, or the refusal's type. */
async function who(callers: Callers, key: string): Promise<string> {
  const found = callers.identify({ headers: { 'x-sallyport-key': key }, socket: null })
  const identity = found instanceof Promise ? await found : found
  return identity instanceof GatewayError ? identity.type : identity.name
}

test('a key is taken by every replica within a second of being made, and refused within a second of being revoked', async () => {
  const { clock, make, administration, callers, first } = await twoReplicas()
  const { key, id } = await make()
  assert.equal(await who(first.callers(CALLERS), key), 'billing', 'at once where it was made')
  assert.equal(await who(callers, key), 'Unauthenticated')
  await clock.advance(999)
  assert.equal(await who(callers, key), 'billing')
  await administration.revokeKey(id, 'ann')
  assert.equal(await who(first.callers(CALLERS), key), 'Unauthenticated', 'at once where it was revoked')
  await clock.advance(999)
  assert.equal(await who(callers, key), 'Unauthenticated')
})

test('a refusal names the key by its id, and says why', async () => {
  const { clock, make, administration, first, callers } = await twoReplicas()
  const { key, id } = await make()
  const { key: brief } = await administration.createKey({ caller: 'billing', expiresAt: clock.date() + 5000, by: 'ann' })
  await administration.revokeKey(id, 'ann')
  await clock.advance(5000)
  const told = (of: Callers, given: string): string => {
    const found = of.identify({ headers: { authorization: `Bearer ${given}` }, socket: null })
    assert.ok(found instanceof GatewayError)
    assert.ok(!found.message.includes(given))
    return found.message
  }
  assert.match(told(callers, key), new RegExp(`key ${id} in Authorization is revoked`))
  assert.match(told(callers, brief), /key \w{10} in Authorization is expired/)
  const { key: orphan } = await make()
  assert.match(told(first.callers(CALLERS.slice(1)), orphan), /of caller "billing", who is not configured/)
})

test('a round that finds nothing new reads no document', async () => {
  const { clock, make, store } = await twoReplicas()
  await make()
  await clock.advance(1000)
  store.reads = 0
  await clock.advance(60_000)
  assert.equal(store.reads, 0)
})

describe('while the store is away', () => {
  test('the last known keys serve for staleFor, then stored ones are Overloaded and those of the file go on', async () => {
    const { clock, make, store, callers, second } = await twoReplicas()
    const { key } = await make()
    await clock.advance(1000)
    store.away = true
    await clock.advance(STALE_FOR_MS - 1000)
    assert.equal(await who(callers, key), 'billing')
    assert.equal(second.fresh, false)
    await clock.advance(2000)
    assert.equal(await who(callers, key), 'Overloaded')
    assert.equal(await who(callers, FILE_KEY), 'ops')
    assert.equal(await who(callers, 'no key at all'), 'Unauthenticated', 'what cannot be a stored key is no secret of the store')
    store.away = false
    await clock.advance(500)
    assert.equal(await who(callers, key), 'billing')
  })

  test('it is logged once when it goes', async () => {
    const { clock, store, lines } = await twoReplicas()
    store.away = true
    await clock.advance(60_000)
    assert.equal(lines.filter((line) => line.includes('caller keys not followed')).length, 2, 'once a replica')
  })

  test('it is logged once where it is away from the start, and not before the connection can be there', async () => {
    const { clock, store, open, lines } = await twoReplicas()
    await clock.advance(60_000)
    store.away = true
    open()
    await settle()
    assert.equal(lines.length, 0)
    await clock.advance(60_000)
    assert.equal(lines.filter((line) => line.includes('caller keys not followed')).length, 3, 'once a replica')
  })
})

test('a call that comes before the first answer of the store waits for it', async () => {
  const { make, open, store } = await twoReplicas()
  const { key } = await make()
  const late = open()
  assert.equal(await who(late.callers(CALLERS), key), 'billing')
  store.away = true
  const without = open()
  assert.equal(await who(without.callers(CALLERS), key), 'Overloaded')
})

describe('whoever has the store in hand', () => {
  test('cannot bring a revoked key back by an older document', async () => {
    const { clock, make, administration, store, callers, second, lines } = await twoReplicas()
    const { key, id } = await make()
    await clock.advance(1000)
    const old = store.entries.get('caller-keys')
    assert.ok(old)
    await administration.revokeKey(id, 'ann')
    await clock.advance(1000)
    store.entries.set('caller-keys', { value: old.value, version: 99 })
    await clock.advance(1000)
    assert.equal(await who(callers, key), 'Unauthenticated')
    assert.ok(lines.some((line) => line.includes('an older state of them')))
    assert.equal(second.fresh, true)
    const states = (await administration.list())[0]?.keys.map(({ state }) => state)
    assert.deepEqual(states, ['revoked'], 'the newest state stands in the store again')
  })

  test('cannot do so either where somebody changes the older document before it is seen', async () => {
    const { clock, make, administration, store, callers, open } = await twoReplicas()
    const { key, id } = await make()
    const old = store.entries.get('caller-keys')
    assert.ok(old)
    await administration.revokeKey(id, 'ann')
    await clock.advance(1000)
    store.entries.set('caller-keys', { value: old.value, version: 99 })
    await open().administration.createKey({ caller: 'ops', expiresAt: null, by: 'ann' })
    await clock.advance(1000)
    assert.equal(await who(callers, key), 'Unauthenticated')
  })

  test('cannot remove the document', async () => {
    const { clock, make, store, callers, lines } = await twoReplicas()
    const { key } = await make()
    await clock.advance(1000)
    store.entries.delete('caller-keys')
    await clock.advance(1000)
    assert.ok(store.entries.has('caller-keys'))
    assert.equal(await who(callers, key), 'billing')
    assert.ok(lines.some((line) => line.includes('gone from the store')))
  })

  test('cannot write one of their own, or move another text of the store here', async () => {
    const { clock, make, store, callers, sealer, lines } = await twoReplicas()
    const { key } = await make()
    await clock.advance(1000)
    const forged = JSON.stringify({ revision: 9e15, keys: [] })
    for (const value of [
      forged,
      createEphemeralTextSealer().seal('caller keys', forged),
      sealer.seal('caller key use', forged),
    ]) {
      store.entries.set('caller-keys', { value, version: 100 + lines.length })
      await clock.advance(1000)
      assert.equal(await who(callers, key), 'billing')
    }
  })
})

describe('when a key was last used', () => {
  test('is kept to the minute, for keys of the file too, and written once a minute at most', async () => {
    const { clock, make, store, callers, administration, first, second } = await twoReplicas()
    const { key, id } = await make()
    await clock.advance(1000)
    let written = 0
    store.beforePut = async () => void written++
    for (let i = 0; i < 1000; i++) {
      await who(callers, key)
      await who(callers, FILE_KEY)
    }
    assert.equal(written, 0)
    const at = clock.date()
    await clock.advance(60_000)
    assert.equal(written, 1)
    const lastUsed = async () => (await administration.list())[0]?.keys.find((row) => row.id === id)?.lastUsedAt
    assert.equal(await lastUsed(), at - (at % 60_000))
    await who(first.callers(CALLERS), key)
    assert.equal(await lastUsed(), clock.date() - (clock.date() % 60_000), "another replica's use, not written yet")
    await clock.advance(600_000)
    assert.equal(written, 2, 'nothing is written where nothing was used')
    await second.close()
  })

  test('is not lost when the store was away, nor when the replica ends', async () => {
    const { clock, make, store, callers, second, open } = await twoReplicas()
    const { key, id } = await make()
    await clock.advance(1000)
    store.away = true
    await who(callers, key)
    await clock.advance(60_000)
    store.away = false
    await second.close()
    const rows = await open().administration.list()
    assert.notEqual(rows[0]?.keys.find((row) => row.id === id)?.lastUsedAt, null)
  })

  test('two replicas that write at once lose neither', async () => {
    const { clock, make, callers, first, open } = await twoReplicas()
    const [one, two] = [await make(), await make()]
    await clock.advance(1000)
    await who(callers, one.key)
    await who(first.callers(CALLERS), two.key)
    await clock.advance(60_000)
    const rows = await open().administration.list()
    assert.deepEqual(
      rows[0]?.keys.map(({ lastUsedAt }) => lastUsedAt !== null),
      [true, true],
    )
  })
})
