// Signatures of well-known vendors: GitHub's and Twilio's as published with their documentation, the others computed by hand
// with openssl.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createHmacScheme, hmac } from '../../../../src/credentials/schemes/hmac.ts'
import type { HopRequest } from '../../../../src/model/hop.ts'
import { aRequest, aUrl } from '../../../support/builders.ts'

const NOW = 1_492_774_577_123
const scheme = createHmacScheme({ now: () => NOW, nonce: () => 'n0nce' })

const post = (url: string, body: string, type = 'application/json'): HopRequest =>
  aRequest({ method: 'POST', url: aUrl(url), body: Buffer.from(body), headers: [['Content-Type', type]] })

const sign = (values: Record<string, string>, request: HopRequest): Record<string, string> =>
  Object.fromEntries(
    scheme
      .open(values)
      .inject(request)
      .headers.map(({ name, value, masked }) => {
        assert.equal(masked, '***')
        return [name, value]
      }),
  )

const ORDER = post('https://api.example.com/v1/orders?b=2&a=1', '{"id":7}')
const EVERYTHING =
  '{method}\\n{host}\\n{path}\\n{query}\\n{target}\\n{url}\\n{timestamp}\\n{nonce}\\n{keyId}\\n{bodyHash}\\n{{literal}\\\\'
const TWILIO_FORM = new URLSearchParams({
  CallSid: 'CA1234567890ABCDE',
  Caller: '+12349013030',
  Digits: '1234',
  From: '+12349013030',
  To: '+18005551212',
})

const CASES: [name: string, values: Record<string, string>, request: HopRequest, headers: Record<string, string>][] = [
  [
    'GitHub',
    { key: "It's a Secret to Everybody", text: '{body}', headers: 'X-Hub-Signature-256: sha256={signature}' },
    post('https://example.com/hook', 'Hello, World!'),
    { 'X-Hub-Signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17' },
  ],
  [
    'Twilio',
    {
      ...{ key: '12345', text: '{url}{form}', algorithm: 'sha1', encoding: 'base64' },
      headers: 'X-Twilio-Signature: {signature}',
    },
    post('https://mycompany.com/myapp.php?foo=1&bar=2', TWILIO_FORM.toString(), 'application/x-www-form-urlencoded'),
    { 'X-Twilio-Signature': '0/KCTR6DLpKmkAf8muzZqo1nDgQ=' },
  ],
  [
    'Stripe',
    { key: 'whsec_test', text: '{timestamp}.{body}', headers: 'Stripe-Signature: t={timestamp},v1={signature}' },
    ORDER,
    { 'Stripe-Signature': 't=1492774577,v1=2a9e70fb1a369642a01d6766ff1ac877483cefd85647c57097e4d6a927c54e99' },
  ],
  [
    'everything, as sha512 in base64 under a key in base64, in four headers',
    {
      ...{ key: 'c2VjcmV0', keyEncoding: 'base64', algorithm: 'sha512', encoding: 'base64', timestamp: 'iso', keyId: 'k-1' },
      text: EVERYTHING,
      headers: 'X-Sign: {keyId}:{signature}\nX-Time: {timestamp}\\nX-Nonce: {nonce}\r\nX-Hash: {bodyHash}',
    },
    ORDER,
    {
      'X-Sign': 'k-1:GDW66eEENe4uSowOWcPQ1XSMNOzYJvMhbtlkpFa12amMx5noMDpzYRteWlgkRvmPi7NAk6bXqZNG4+SBFQR/5Q==',
      'X-Time': '2017-04-21T11:36:17.123Z',
      'X-Nonce': 'n0nce',
      'X-Hash': 'K2GGn4/bqm/ed9txHS1z2L+LtUvZ+gkZk8Mj/Hcbv3EtnEjUsE2QH6Ols6dhEOwYjCPGhrzbCN8IFaojfvCH8w==',
    },
  ],
  [
    'no body, no query, a key in hex, time in milliseconds',
    {
      ...{ key: '736563726574', keyEncoding: 'hex', timestamp: 'unix-ms', encoding: 'base64url' },
      ...{ text: '{timestamp}{query}{body}{form}{path}', headers: 'X-Sign: {signature}' },
    },
    aRequest({ url: aUrl('https://api.example.com/x') }),
    { 'X-Sign': 'aPAMzXgvus_3if-AeOFlbzw_UKQFNkryi5lOKxdbyWw' },
  ],
  [
    'an HTTP date',
    { key: 's', timestamp: 'http-date', text: '{timestamp}', headers: 'X-Date: {timestamp}\nX-Sign: {signature}' },
    ORDER,
    { 'X-Date': 'Fri, 21 Apr 2017 11:36:17 GMT', 'X-Sign': '03ef94d76a93945be123d2fe8d0aca39389b5aebafdc033f63b78ed7a18407e2' },
  ],
]

describe('signatures', () => {
  for (const [name, values, request, headers] of CASES) test(name, () => assert.deepEqual(sign(values, request), headers))

  test('bytes that are no text are signed as they are', () => {
    const request = aRequest({ method: 'POST', body: new Uint8Array([0xff, 0x00, 0xfe]) })
    const values = { key: 'k', text: '{body}', headers: 'X-Sign: {signature}' }
    assert.deepEqual(sign(values, request), { 'X-Sign': 'dc6279e883af856b0e866aa12ea910fe93cdcccdfeb82a64293aff7318b82787' })
  })

  test('each try has a nonce of its own', () => {
    const credential = hmac.open({ key: 'k', text: '{nonce}', headers: 'X-Nonce: {nonce}\nX-Sign: {signature}' })
    const nonces = [1, 2, 3].map(() => credential.inject(ORDER).headers[0]?.value ?? '')
    assert.equal(new Set(nonces).size, 3)
    for (const nonce of nonces) assert.match(nonce, /^[0-9a-f]{32}$/)
  })
})

const GOOD = { key: 'canary', text: '{body}', headers: 'X-Sign: {signature}' }
const REFUSED: [name: string, values: Record<string, string>, message: RegExp][] = [
  ['an unknown placeholder', { ...GOOD, text: '{canary}' }, /text: takes the placeholders \{method\}/],
  ['a brace that opens nothing', { ...GOOD, text: '{body' }, /text: takes/],
  ['a lone backslash', { ...GOOD, text: 'canary\\t' }, /text: takes/],
  ['a placeholder that headers do not have', { ...GOOD, headers: 'X-Sign: {signature}{body}' }, /headers: takes/],
  ['headers without a signature', { ...GOOD, headers: 'X-Time: {timestamp}' }, /carry \{signature\}/],
  ['a header that Sallyport sets', { ...GOOD, headers: 'Host: {signature}' }, /one "Name: template" a line/],
  ['a header without a name', { ...GOOD, headers: '{signature}' }, /one "Name: template" a line/],
  ['a header value that cannot be one', { ...GOOD, headers: 'X-Sign: {signature}€' }, /no header may/],
  ['a key that is not hex', { ...GOOD, keyEncoding: 'hex' }, /key: must be hex/],
  ['a key that is not base64', { ...GOOD, key: 'canary!', keyEncoding: 'base64' }, /key: must be base64/],
  ['an algorithm that is none', { ...GOOD, algorithm: 'md5' }, /algorithm: must be one of sha256, sha512, sha1/],
]

describe('what is refused, without repeating it', () => {
  for (const [name, values, message] of REFUSED)
    test(name, () =>
      assert.throws(
        () => hmac.open(values),
        (error: Error) => {
          assert.match(error.message, message)
          assert.doesNotMatch(error.message, /canary/)
          return true
        },
      ),
    )
})
