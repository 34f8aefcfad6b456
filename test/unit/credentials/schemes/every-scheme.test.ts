// What each scheme puts into a request, what it shows instead, and what it refuses; and what holds for all of them.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { SCHEMES } from '../../../../src/credentials/schemes/index.ts'
import { GatewayError } from '../../../../src/errors/gateway-error.ts'
import type { Injection } from '../../../../src/model/credential-scheme.ts'
import type { SecretScheme } from '../../../../src/model/ports.ts'
import { aRequest } from '../../../support/builders.ts'
import { certificates } from '../../../support/certificates.ts'

const {
  client: { ...TRUSTED },
  good: OTHER,
} = certificates()

const inject = (scheme: SecretScheme, values: Record<string, string>): Injection =>
  SCHEMES[scheme].open(values).inject(aRequest())

const authorization = (value: string, masked: string): Injection => ({
  headers: [{ name: 'Authorization', value, masked }],
  query: null,
})
const base64 = (text: string, encoding: BufferEncoding): string => Buffer.from(text, encoding).toString('base64')

const CASES: [name: string, scheme: SecretScheme, values: Record<string, string>, expected: Injection][] = [
  ['basic', 'basic', { username: 'u', password: 'p:q' }, authorization(`Basic ${base64('u:p:q', 'utf8')}`, 'Basic ***')],
  [
    'basic, latin-1 where it fits',
    'basic',
    { username: 'José', password: 'ñ' },
    authorization(`Basic ${base64('José:ñ', 'latin1')}`, 'Basic ***'),
  ],
  [
    'basic, UTF-8 where latin-1 does not',
    'basic',
    { username: 'José', password: '€' },
    authorization(`Basic ${base64('José:€', 'utf8')}`, 'Basic ***'),
  ],
  ['basic, both empty', 'basic', { username: '', password: '' }, authorization('Basic Og==', 'Basic ***')],
  ['bearer', 'bearer', { token: 'abc.def' }, authorization('Bearer abc.def', 'Bearer ***')],
  [
    'header',
    'header',
    { name: 'X-Api-Key', value: 'k é' },
    { headers: [{ name: 'X-Api-Key', value: 'k é', masked: '***' }], query: null },
  ],
  ['query', 'query', { name: 'api key', value: 'a&b=c' }, { headers: [], query: { name: 'api key', value: 'a&b=c' } }],
  ['digest, before a challenge', 'digest', { username: 'u', password: 'p' }, { headers: [], query: null }],
  [
    'proxy-basic',
    'proxy-basic',
    { username: 'u', password: 'p' },
    { headers: [{ name: 'Proxy-Authorization', value: 'Basic dTpw', masked: 'Basic ***' }], query: null },
  ],
  ['mtls adds nothing to a request', 'mtls', TRUSTED, { headers: [], query: null }],
]

describe('what is injected', () => {
  for (const [name, scheme, values, expected] of CASES) test(name, () => assert.deepEqual(inject(scheme, values), expected))
})

const REFUSED: [name: string, scheme: SecretScheme, values: Record<string, string>, message: RegExp][] = [
  ['a line end in a token', 'bearer', { token: 'canary\r\nX: y' }, /bearer: token/],
  ['a character beyond latin-1 in a token', 'bearer', { token: 'canary€' }, /token/],
  ['an empty token', 'bearer', { token: '' }, /token: must not be empty/],
  ['a missing token', 'bearer', {}, /token/],
  ['a header value that begins with a space', 'header', { name: 'X-Key', value: ' canary' }, /value/],
  ['a header name that is none', 'header', { name: 'X Key', value: 'canary' }, /name/],
  ...[
    'Host',
    'content-length',
    'Transfer-Encoding',
    'Connection',
    'TE',
    'Proxy-Authorization',
    'proxy-x',
    'Expect',
    'Upgrade',
    'Trailer',
    'Keep-Alive',
  ].map((name): [string, SecretScheme, Record<string, string>, RegExp] => [
    `the header ${name}`,
    'header',
    { name, value: 'canary' },
    /name: is a header/,
  ]),
  ['an empty parameter name', 'query', { name: '', value: 'canary' }, /name/],
  ['a lone surrogate', 'query', { name: 'k', value: 'canary\ud800' }, /value/],
  ['a line end in a digest user', 'digest', { username: 'canary\n', password: 'p' }, /username/],
  ['a key that is not the certificate’s', 'mtls', { cert: TRUSTED.cert, key: OTHER.key }, /does not belong/],
  [
    'a certificate that cannot be read',
    'mtls',
    { cert: '-----BEGIN CERTIFICATE-----\ncanary', key: TRUSTED.key },
    /cannot be read/,
  ],
]

describe('what is refused, without repeating it', () => {
  for (const [name, scheme, values, message] of REFUSED)
    test(name, () =>
      assert.throws(
        () => SCHEMES[scheme].open(values),
        (error) => {
          assert.ok(error instanceof GatewayError && error.type === 'InvalidHeader')
          assert.match(error.message, message)
          assert.doesNotMatch(error.message, /canary/)
          return true
        },
      ),
    )
})

describe('every scheme', () => {
  test('is in the list under its own name, with a field at least', () => {
    for (const [name, scheme] of Object.entries(SCHEMES)) {
      assert.equal(scheme.name, name)
      assert.ok(scheme.fields.length > 0)
    }
  })

  test('takes no value that it does not know', () => {
    for (const scheme of Object.values(SCHEMES)) {
      const values = scheme.name === 'mtls' ? TRUSTED : Object.fromEntries(scheme.fields.map((field) => [field, 'x']))
      assert.equal(scheme.values.safeParse(values).success, true, scheme.name)
      assert.equal(scheme.values.safeParse({ ...values, extra: 'x' }).success, false, scheme.name)
    }
  })

  test('either refuses values or injects header text', () => {
    const text = fc.string({
      unit: fc.oneof(fc.constantFrom('\r', '\n', '\0', ' ', '€', 'é', '"', '\\', 'a'), fc.string({ minLength: 1, maxLength: 1 })),
    })
    fc.assert(
      fc.property(fc.constantFrom<SecretScheme>('basic', 'bearer', 'header', 'digest', 'query'), text, text, (scheme, a, b) => {
        const values = Object.fromEntries(SCHEMES[scheme].fields.map((field, at) => [field, at === 0 ? a : b]))
        try {
          for (const { value } of inject(scheme, values).headers) assert.match(value, /^[\t\x20-\x7e\x80-\xff]*$/)
        } catch (error) {
          if (!(error instanceof GatewayError)) throw error
        }
      }),
    )
  })
})
