import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { judgeHead, judgeJsonHead, judgeLocal } from '../../../src/server/door.ts'

for (const [host, address, passes] of [
  ['localhost', '127.0.0.1', true],
  ['localhost', '::1', true],
  ['[::1]:8080', '::ffff:127.0.0.1', true],
  ['localhost', '192.0.2.1', false],
  ['localhost', undefined, false],
  ['localhost:8080x', '127.0.0.1', false],
  ['localhost.', '127.0.0.1', false],
  [undefined, '127.0.0.1', false],
] as const)
  test(`local: Host ${host} from ${address} ${passes ? 'passes' : 'is Forbidden'}`, () => {
    assert.equal(judgeLocal(host, address)?.type ?? null, passes ? null : 'Forbidden')
  })

test('own origin follows Host, whatever its case and port', () => {
  const verdict = (host: string, origin: string) => judgeHead({ host, origin }, '1.1')?.type ?? null
  assert.equal(verdict('Gateway.internal:8080', 'http://gateway.internal:8080'), null)
  assert.equal(verdict('gateway.internal', 'https://gateway.internal'), null)
  assert.equal(verdict('gateway.internal:8080', 'http://gateway.internal:9090'), 'Forbidden')
  assert.equal(verdict('gateway.internal', 'http://other.internal'), 'Forbidden')
  assert.equal(verdict('gateway.internal', ''), 'Forbidden')
})

test('no origin but the own one passes', () => {
  fc.assert(
    fc.property(fc.oneof(fc.webUrl(), fc.string()), (origin) => {
      fc.pre(!/^https?:\/\/gateway$/.test(origin))
      assert.equal(judgeHead({ host: 'gateway', origin }, '1.1')?.type, 'Forbidden')
    }),
  )
})

test('a body at the limit passes, one byte more does not', () => {
  const verdict = (length: string) => judgeJsonHead({ 'content-type': 'application/json', 'content-length': length }, 1000)?.type
  assert.equal(verdict('1000'), undefined)
  assert.equal(verdict('1001'), 'RequestTooLarge')
  assert.equal(verdict('9'.repeat(400)), 'RequestTooLarge')
})

test('two Hosts, which Node joins, are malformed', () => {
  assert.equal(judgeHead({ host: 'gateway, evil.example' }, '1.1')?.type, 'InvalidDescriptor')
})

test('a Content-Type is read in time that grows with its length alone', () => {
  const before = performance.now()
  assert.equal(judgeJsonHead({ 'content-type': `application/json;${' '.repeat(200_000)}x` }, 1)?.type, 'UnsupportedMediaType')
  assert.ok(performance.now() - before < 500)
})

for (const [type, passes] of [
  ['application/json', true],
  ['Application/JSON', true],
  ['application/json;', true],
  ['application/json ; ', true],
  ['application/json; charset=utf-8', true],
  ['application/json;charset="UTF-8" ', true],
  ['application/json; charset=utf8', true],
  ['application/json; charset=latin1', false],
  ['application/json; charset=', false],
  ['application/json, application/json', false],
  ['application/jsonp', false],
  ['text/json', false],
] as const)
  test(`Content-Type ${type} is ${passes ? 'taken' : 'refused'}`, () => {
    assert.equal(judgeJsonHead({ 'content-type': type }, 1) === null, passes)
  })
