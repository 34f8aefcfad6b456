// What each scheme puts into a request, what it shows instead, and what it refuses; and what holds for all of them.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SCHEMES } from '../../../../src/credentials/schemes/index.ts'
import { GatewayError } from '../../../../src/errors/gateway-error.ts'
import type { Injection } from '../../../../src/model/credential-scheme.ts'
import type { SecretScheme } from '../../../../src/model/ports.ts'
import { credentialSchemeSuite } from '../../../suites/credential-scheme.ts'
import { aRequest } from '../../../support/builders.ts'
import { CANARY_TOKEN } from '../../../support/canary.ts'
import { certificates } from '../../../support/certificates.ts'

const {
  client: { ...TRUSTED },
  good: OTHER,
} = certificates()

const inject = (scheme: SecretScheme, values: Record<string, string>): Injection =>
  SCHEMES[scheme].open(values).inject(aRequest())

/** A whole secret of each scheme; what must be secret is the canary, but for keys, which have a form. */
const WHOLE: Readonly<Record<SecretScheme, Readonly<Record<string, string>>>> = {
  basic: { username: 'u', password: CANARY_TOKEN },
  bearer: { token: CANARY_TOKEN },
  digest: { username: 'u', password: CANARY_TOKEN },
  header: { name: 'X-Api-Key', value: CANARY_TOKEN },
  query: { name: 'key', value: CANARY_TOKEN },
  'proxy-basic': { username: 'u', password: CANARY_TOKEN },
  mtls: TRUSTED,
  'aws-sigv4': {
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: CANARY_TOKEN,
    sessionToken: CANARY_TOKEN,
    region: 'eu-west-1',
    service: 's3',
    payload: 'unsigned',
  },
  hmac: {
    ...{ key: CANARY_TOKEN, keyEncoding: 'utf8', algorithm: 'sha512', encoding: 'base64', timestamp: 'iso', keyId: CANARY_TOKEN },
    ...{ text: '{method}{target}{body}', headers: 'X-Sign: {keyId}:{signature}', query: 'k={keyId}&s={signature}' },
  },
  'oauth2-client-credentials': {
    tokenUrl: 'https://auth.example.com/token',
    ...{ clientId: 'c', clientSecret: CANARY_TOKEN, clientAuth: 'body', scope: 'a b', audience: 'x', params: 'resource=y' },
  },
  'oauth2-refresh-token': {
    ...{ tokenUrl: 'https://auth.example.com/token', clientId: 'c', clientSecret: CANARY_TOKEN, clientAuth: 'body' },
    ...{ scope: 'a b', refreshToken: CANARY_TOKEN },
  },
  'jwt-bearer': {
    ...{ tokenUrl: 'https://auth.example.com/token', issuer: 'c', key: TRUSTED.key, algorithm: 'ES256', keyId: 'k' },
    ...{ subject: 's', audience: 'a', use: 'grant', scope: 'a b', params: 'resource=y' },
  },
  placeholder: { value: CANARY_TOKEN },
}

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
  ...[
    'ftp://auth.example.com/t',
    'auth.example.com/canary',
    'https://canary@auth.example.com/t',
    'https://auth.example.com/t#canary',
    'https://auth.example.com/ canary',
    'https:///canary',
  ].map((tokenUrl): [string, SecretScheme, Record<string, string>, RegExp] => [
    `the token URL ${tokenUrl}`,
    'oauth2-client-credentials',
    { ...WHOLE['oauth2-client-credentials'], tokenUrl },
    /tokenUrl: must be/,
  ]),
  [
    'an extra parameter that another field says',
    'oauth2-client-credentials',
    { ...WHOLE['oauth2-client-credentials'], params: 'a=1&client_secret=canary' },
    /params: must not/,
  ],
  [
    'a client authentication that is none',
    'oauth2-client-credentials',
    { ...WHOLE['oauth2-client-credentials'], clientAuth: 'canary' },
    /clientAuth: must be one of basic, body/,
  ],
  [
    'a key for another algorithm',
    'jwt-bearer',
    { ...WHOLE['jwt-bearer'], algorithm: 'RS256' },
    /RS256 needs a key of the kind rsa/,
  ],
  ['a key that cannot be read', 'jwt-bearer', { ...WHOLE['jwt-bearer'], key: 'canary PRIVATE KEY-----' }, /key: cannot be read/],
  ['a slash in a region', 'aws-sigv4', { ...WHOLE['aws-sigv4'], region: 'canary/x' }, /region: must be/],
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

test('every scheme is in the list under its own name', () => {
  for (const [name, scheme] of Object.entries(SCHEMES)) assert.equal(scheme.name, name)
})

for (const scheme of Object.values(SCHEMES)) credentialSchemeSuite(scheme, WHOLE[scheme.name])
