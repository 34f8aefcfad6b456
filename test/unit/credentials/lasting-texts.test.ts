import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createKeyRing, SealError } from '../../../src/credentials/key-ring.ts'
import { type Credential, createLastingTexts } from '../../../src/credentials/lasting-texts.ts'
import { createTextSealer } from '../../../src/credentials/seal-text.ts'
import { createSharedStates } from '../../../src/credentials/shared-state.ts'
import { createMemoryValues } from '../../../src/stores/memory-values.ts'
import { createFakeClock } from '../../support/fake-clock.ts'

const OLD = { id: 'old', key: randomBytes(32) }
const NEW = { id: 'new', key: randomBytes(32) }
const KEYS = { key: 'caller-keys', purpose: 'caller keys' }
const CRM: Credential = { name: 'crm', version: 3, scheme: 'oauth2-refresh-token', pool: null }

function aStore() {
  const clock = createFakeClock()
  const ring = createKeyRing({ keys: [OLD], active: 'old' })
  const sealer = createTextSealer({ ring, installation: 'here' })
  const values = createMemoryValues(clock)
  const texts = createLastingTexts({ values, sealer, fixed: [KEYS] })
  const put = (text: string) => values.put(KEYS.key, text, { ttlMs: null, ifVersion: null })
  return { clock, ring, sealer, values, texts, put }
}

test('the texts of the installation, and the tokens of versions that have some, key by key of a pool', () => {
  const { texts } = aStore()
  const pooled: Credential = { ...CRM, name: 'pool', pool: { pick: 'round-robin', size: 2 } }
  const purposes = texts.of([CRM, pooled, { ...CRM, name: 'github', scheme: 'bearer' }]).map(({ purpose }) => purpose)
  assert.deepEqual(purposes, ['caller keys', 'token crm@3', 'token pool@3#1', 'token pool@3#2'])
})

test('a token stands where the replicas that share it keep it', async () => {
  const { clock, sealer, values, texts } = aStore()
  await createSharedStates({ values, sealer, clock }).of('crm@3').write('refresh', { ttlMs: null, ifVersion: null })
  assert.deepEqual([...(await texts.keysInUse(texts.of([CRM])))], [['old', ['token crm@3']]])
  await texts.forget([CRM])
  assert.deepEqual([...(await texts.keysInUse(texts.of([CRM])))], [])
})

test('sealed anew it says the same under the active key; there already, or not there, nothing is written', async () => {
  const { ring, sealer, values, texts, put } = aStore()
  assert.equal(await texts.reseal(KEYS), null)
  await put(sealer.seal(KEYS.purpose, 'text'))
  assert.equal(await texts.reseal(KEYS), false)
  ring.replace({ keys: [NEW, OLD], active: 'new' })
  assert.equal(await texts.reseal(KEYS), true)
  ring.replace({ keys: [NEW], active: 'new' })
  assert.equal(sealer.open(KEYS.purpose, (await values.get(KEYS.key))?.value ?? ''), 'text')
})

test('what somebody writes meanwhile is not lost', async () => {
  const { ring, sealer, values, put } = aStore()
  await put(sealer.seal(KEYS.purpose, 'before'))
  ring.replace({ keys: [NEW, OLD], active: 'new' })
  let raced = false
  const racing = createLastingTexts({
    sealer,
    fixed: [KEYS],
    values: {
      ...values,
      async put(key, value, options) {
        if (!raced) await values.put(key, sealer.seal(KEYS.purpose, 'meanwhile'), { ttlMs: null, ifVersion: options.ifVersion })
        raced = true
        return values.put(key, value, options)
      },
    },
  })
  await racing.reseal(KEYS)
  assert.equal(sealer.open(KEYS.purpose, (await values.get(KEYS.key))?.value ?? ''), 'meanwhile')
})

test('a text that stands in clear is under no key, and one that was edited is not sealed anew', async () => {
  const { ring, texts, put, values } = aStore()
  await put('[]')
  assert.deepEqual([...(await texts.keysInUse([KEYS]))], [])
  assert.equal(await texts.reseal(KEYS), null)
  await values.delete(KEYS.key)
  await put(`old:${randomBytes(40).toString('base64')}`)
  ring.replace({ keys: [NEW, OLD], active: 'new' })
  await assert.rejects(texts.reseal(KEYS), SealError)
})
