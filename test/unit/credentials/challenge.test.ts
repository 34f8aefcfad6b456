import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parseChallenges, parseParams } from '../../../src/credentials/challenge.ts'

const CASES: [name: string, header: string, expected: [scheme: string, params: Record<string, string>][]][] = [
  ['one challenge', 'Digest realm="a", nonce="b"', [['digest', { realm: 'a', nonce: 'b' }]]],
  [
    'commas and equals signs in quotes',
    'Digest realm="a, b=c", qop="auth,auth-int"',
    [['digest', { realm: 'a, b=c', qop: 'auth,auth-int' }]],
  ],
  ['escapes in quotes', 'Digest realm="say \\"hi\\" \\\\"', [['digest', { realm: 'say "hi" \\' }]]],
  [
    'several challenges in one header',
    'Basic realm="x", Digest realm="y", nonce=n, Bearer',
    [
      ['basic', { realm: 'x' }],
      ['digest', { realm: 'y', nonce: 'n' }],
      ['bearer', {}],
    ],
  ],
  [
    'token68 beside parameters',
    'Negotiate YII=, Digest realm=r',
    [
      ['negotiate', {}],
      ['digest', { realm: 'r' }],
    ],
  ],
  [
    'a scheme word beside another without commas between',
    'Negotiate, NTLM',
    [
      ['negotiate', {}],
      ['ntlm', {}],
    ],
  ],
  ['names in any case, space around equals signs', 'DIGEST Realm = "a" , NONCE=b', [['digest', { realm: 'a', nonce: 'b' }]]],
  ['empty list elements', ', ,Digest realm=a,, nonce=b,', [['digest', { realm: 'a', nonce: 'b' }]]],
  ['the first of a repeated name counts', 'Digest nonce=a, nonce=b', [['digest', { nonce: 'a' }]]],
  ['an empty value', 'Digest realm="", opaque=', [['digest', { realm: '', opaque: '' }]]],
  [
    'an unclosed quote',
    'Digest nonce=a, realm="b',
    [
      ['digest', { nonce: 'a', realm: '' }],
      ['b', {}],
    ],
  ],
  ['parameters of no scheme', 'realm="x"', []],
  ['nothing', '', []],
]

describe('parseChallenges', () => {
  for (const [name, header, expected] of CASES)
    test(name, () => {
      const found = parseChallenges(header).map(({ scheme, params }) => [scheme, Object.fromEntries(params)])
      assert.deepEqual(found, expected)
    })

  test('never throws, and ends, whatever it is given', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => Array.isArray(parseChallenges(text))))
    const hostile = fc.array(fc.constantFrom('"', '\\', ',', '=', ' ', 'a', 'Digest ', 'é')).map((parts) => parts.join(''))
    fc.assert(fc.property(hostile, (text) => Array.isArray(parseChallenges(text))))
  })

  test('16 KiB of quotes and backslashes take no time to speak of', () => {
    const began = performance.now()
    for (const piece of ['"', '\\"', '"\\', '=,"', 'a="']) parseChallenges(`Digest a="${piece.repeat(16_384 / piece.length)}`)
    assert.ok(performance.now() - began < 1000)
  })

  test('any value survives quoting', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab "\\,=é') }), (value) => {
        const quoted = value.replace(/["\\]/g, '\\$&')
        assert.equal(parseChallenges(`Digest a=b, realm="${quoted}", c=d`)[0]?.params.get('realm'), value)
      }),
    )
  })
})

test('parseParams reads Authentication-Info', () => {
  assert.deepEqual(
    [...parseParams('nextnonce="n2", qop=auth, rspauth="1,2"')],
    [
      ['nextnonce', 'n2'],
      ['qop', 'auth'],
      ['rspauth', '1,2'],
    ],
  )
})
