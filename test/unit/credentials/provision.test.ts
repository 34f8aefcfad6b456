import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkSecret, type NewSecret, provisionSecret } from '../../../src/credentials/provision.ts'
import { createEphemeralSealer } from '../../../src/credentials/seal.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { createMemorySecrets } from '../../../src/stores/memory-secrets.ts'

const aSecret = (over: Partial<NewSecret> = {}): NewSecret => ({
  name: 'github',
  scheme: 'bearer',
  values: { token: 'canary' },
  origins: ['https://api.github.com'],
  callers: ['billing'],
  ...over,
})

describe('origins as they are compared later', () => {
  const CASES: [given: string, kept: string][] = [
    ['https://API.GitHub.com', 'https://api.github.com'],
    ['https://api.github.com:443/', 'https://api.github.com'],
    ['HTTP://localhost:8080', 'http://localhost:8080'],
    ['https://bücher.example', 'https://xn--bcher-kva.example'],
    ['http://[::1]:80', 'http://[::1]'],
    ['https://api.github.com.', 'https://api.github.com'],
    ['https://api.github.com.:8443', 'https://api.github.com:8443'],
  ]
  for (const [given, kept] of CASES)
    test(given, () => assert.deepEqual(checkSecret(aSecret({ origins: [given] })).origins, [kept]))
})

describe('what is refused', () => {
  const CASES: [name: string, over: Partial<NewSecret>, message: RegExp][] = [
    ['no origin', { origins: [] }, /origins: at least one/],
    ['any origin', { origins: ['*'] }, /scheme:\/\/host/],
    ['a path', { origins: ['https://api.github.com/repos'] }, /without path/],
    ['a user', { origins: ['https://user@api.github.com'] }, /without path, query or user/],
    ['a glob that the URL parser would take', { origins: ['https://a b'] }, /origins/],
    ['another scheme', { origins: ['ftp://api.github.com'] }, /origins/],
    ['no caller', { callers: [] }, /callers: at least one/],
    ['an odd caller', { callers: ['a b'] }, /callers: names/],
    ['an odd name', { name: '../x' }, /secret "\?": name/],
    ['an unknown scheme', { scheme: 'magic' as NewSecret['scheme'] }, /scheme: one of basic, bearer/],
    ['a scheme that only every object has', { scheme: 'constructor' as NewSecret['scheme'] }, /scheme: one of basic, bearer/],
    ['a value that is missing', { values: {} }, /values: token/],
    ['a value too many', { values: { token: 'canary', canary2: 'x' } }, /values/],
    ['all of it at once', { name: '', origins: [], callers: [] }, /name.*origins.*callers/],
  ]
  for (const [name, over, message] of CASES)
    test(name, () =>
      assert.throws(
        () => checkSecret(aSecret(over)),
        (error) => {
          assert.ok(error instanceof GatewayError && error.type === 'InvalidDescriptor')
          assert.match(error.message, message)
          assert.doesNotMatch(error.message, /canary\b/)
          return true
        },
      ),
    )
})

test('each set is the next version, also after a deletion, and of two at once both', async () => {
  const store = createMemorySecrets()
  const sealer = createEphemeralSealer()
  assert.equal(await provisionSecret(store, sealer, aSecret()), 1)
  const versions = await Promise.all([provisionSecret(store, sealer, aSecret()), provisionSecret(store, sealer, aSecret())])
  assert.deepEqual(versions.sort(), [2, 3])
  await store.delete('github')
  assert.equal(await provisionSecret(store, sealer, aSecret()), 4)
  const record = (await store.load(null))?.records.get('github') ?? ''
  assert.deepEqual(sealer.open('github', record), { ...aSecret(), version: 4 })
})

test('it gives up where somebody else is always first', async () => {
  const store = { ...createMemorySecrets(), put: async () => false }
  await assert.rejects(provisionSecret(store, createEphemeralSealer(), aSecret()), { type: 'Overloaded' })
})
