import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkSecret, type NewSecret } from '../../../src/credentials/provision.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { SecretPool } from '../../../src/model/ports.ts'

const aSecret = (over: Partial<NewSecret> = {}): NewSecret => ({
  name: 'github',
  scheme: 'bearer',
  values: { token: 'canary' },
  origins: ['https://api.github.com'],
  callers: ['billing'],
  ...over,
})

const pool = (...members: Record<string, string>[]): SecretPool => ({ pick: 'round-robin', members })

test('the first of a pool stands for it', () => {
  const { values } = checkSecret(aSecret({ pool: pool({ token: 'a' }, { token: 'b' }) }))
  assert.deepEqual(values, { token: 'a' })
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

test('a token that is given alone, its padding taken for a `=`, is not repeated', () => {
  const padded = 'c2VjcmV0dG9rZW4'
  const refusal = (secret: NewSecret): string => {
    try {
      checkSecret(secret)
    } catch (error) {
      if (error instanceof GatewayError) return error.message
    }
    throw new Error('it was taken')
  }
  const message = refusal(aSecret({ values: { [padded]: '' } }))
  assert.ok(!message.includes(padded), message)
  assert.match(message, /token: is missing, or is no text; there is a value of another name; it takes token$/)
  const named = refusal(aSecret({ scheme: 'placeholder', values: { [`${padded}/`]: '' } }))
  assert.ok(!named.includes(padded), named)
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
    ['a pool of one', { pool: pool({ token: 'canary' }) }, /pool: at least two/],
    ['a pool with a fault in it', { pool: pool({ token: 'canary' }, {}) }, /values\[1\]: token/],
    ['a pool with a key twice', { pool: pool({ token: 'canary' }, { token: 'canary' }) }, /stand in it twice/],
    [
      'a pool of logins for a proxy',
      { scheme: 'proxy-basic', pool: pool({ username: 'a', password: 'canary' }, { username: 'b', password: 'canary' }) },
      /proxy-basic takes one set/,
    ],
    [
      'values that every replica would have to hold',
      { values: { token: 'x'.repeat(300_000) } },
      /values: 262144 characters at most/,
    ],
    ['a pool of such values', { pool: pool({ token: 'x'.repeat(200_000) }, { token: 'y'.repeat(200_000) }) }, /values: 262144/],
    [
      'more origins than anybody reads',
      { origins: Array.from({ length: 1001 }, (_, index) => `https://h${index}.example`) },
      /origins, callers: 1000 of each at most/,
    ],
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
