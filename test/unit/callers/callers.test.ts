import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { createCallers } from '../../../src/callers/callers.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'

const sha256 = (key: string) => ({ sha256: createHash('sha256').update(key).digest() })
const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`
const callers = createCallers([
  { name: 'billing', admin: false, may: [], keys: [sha256('old-key'), sha256('new-key')] },
  { name: 'ops', admin: true, may: [], keys: [sha256('ops-key')] },
])

describe('identifying the caller', () => {
  for (const [name, headers, expected] of [
    ['its own header', { 'x-sallyport-key': 'new-key' }, 'billing'],
    ['the older of two keys', { 'x-sallyport-key': 'old-key' }, 'billing'],
    ['Proxy-Authorization Bearer', { 'proxy-authorization': 'Bearer ops-key' }, 'ops'],
    ['Proxy-Authorization Basic, key as password', { 'proxy-authorization': basic('anyone:ops-key') }, 'ops'],
    ['Authorization Bearer', { authorization: 'bearer ops-key' }, 'ops'],
    ['its own header before the others', { 'x-sallyport-key': 'new-key', authorization: 'Bearer ops-key' }, 'billing'],
    [
      'Proxy-Authorization before Authorization',
      { 'proxy-authorization': 'Bearer new-key', authorization: 'Bearer ops-key' },
      'billing',
    ],
    ['nothing', {}, null],
    ['a wrong key beside a right one further on', { 'x-sallyport-key': 'wrong', authorization: 'Bearer ops-key' }, null],
    ['an empty key', { 'x-sallyport-key': '' }, null],
    ['a key as Basic in Authorization', { authorization: basic('anyone:ops-key') }, null],
    ['a key as username', { 'proxy-authorization': basic('ops-key:') }, null],
    ['the key sent twice', { 'x-sallyport-key': 'ops-key, ops-key' }, null],
    ['the digest instead of the key', { 'x-sallyport-key': sha256('ops-key').sha256.toString('hex') }, null],
  ] as const)
    test(`${name}: ${expected ?? 'Unauthenticated'}`, () => {
      const who = callers.identify({ headers, socket: null })
      if (expected !== null) return assert.equal((who as { name: string }).name, expected)
      assert.ok(who instanceof GatewayError)
      assert.equal(who.type, 'Unauthenticated')
      assert.match(who.message, /Send a key .* X-Sallyport-Key/)
      assert.doesNotMatch(who.message, /ops-key|wrong/)
    })

  test('without callers everybody is local, with admin rights', () => {
    const none = createCallers([])
    assert.equal(none.configured, false)
    assert.deepEqual(none.identify({ headers: { 'x-sallyport-key': 'anything' }, socket: null }), {
      name: 'local',
      admin: true,
      may: null,
    })
    assert.equal(none.isKey('anything'), false)
  })
})

describe('finding keys in what is to be forwarded', () => {
  for (const [name, value, expected] of [
    ['the key itself', 'ops-key', true],
    ['as Bearer', 'Bearer ops-key', true],
    ['as password', basic('x:ops-key'), true],
    ['as username', basic('ops-key:'), true],
    ['as a username without colon', basic('ops-key'), true],
    ['behind a scheme of its own', 'Token ops-key', true],
    ['in a cookie', 'a=1; key=ops-key', true],
    ['as a quoted parameter', 'a=1, key="ops-key"', true],
    ['as one word of many', 'x y ops-key z', true],
    ['another value', 'application/json', false],
    ['another token', 'Bearer something', false],
    ['nothing', '', false],
  ] as const)
    test(`${name}: ${expected}`, () => {
      assert.equal(callers.isKey(value), expected)
      assert.equal(callers.isKey(value), expected, 'the same when asked again')
    })

  test('many values that are no key do not hide one that is', () => {
    for (let i = 0; i < 5000; i++) callers.isKey(`value-${i}`)
    assert.equal(callers.isKey('new-key'), true)
  })
})
