// Signatures of well-known vendors: GitHub's and Twilio's as published with their documentation, the others computed by hand
// with openssl.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
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

const byHand = (key: string | Buffer, text: string, encoding: 'hex' | 'base64', algorithm = 'sha256'): string =>
  createHmac(algorithm, key).update(text).digest(encoding)

const SLACK_BODY =
  'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&' +
  'user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554' +
  '%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c'
const BINANCE_KEYS = {
  key: 'NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j',
  keyId: 'vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A',
}
const BINANCE_ORDER = 'symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000'
const BINANCE = {
  ...{ ...BINANCE_KEYS, timestamp: 'unix-ms', text: '{query}{body}' },
  ...{ headers: 'X-MBX-APIKEY: {keyId}', query: 'timestamp={timestamp}&signature={signature}' },
}
/** As the vendors' pages have them, each with its own time and nonce. */
const PUBLISHED: [
  name: string,
  at: { now: number; nonce: string },
  values: Record<string, string>,
  request: HopRequest,
  headers: Record<string, string>,
  target: string,
][] = [
  [
    'Slack',
    { now: 1_531_420_618_000, nonce: '' },
    {
      ...{ key: '8f742231b10e8888abcd99yyyzzz85a5', text: 'v0:{timestamp}:{body}' },
      headers: 'X-Slack-Request-Timestamp: {timestamp}\nX-Slack-Signature: v0={signature}',
    },
    post('https://example.com/slack', SLACK_BODY, 'application/x-www-form-urlencoded'),
    {
      'X-Slack-Request-Timestamp': '1531420618',
      'X-Slack-Signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
    },
    '/slack',
  ],
  [
    'Standard Webhooks (Svix)',
    { now: 1_614_265_330_000, nonce: 'msg_p5jXN8AQM9LWM0D4loKWxJek' },
    {
      ...{
        key: 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
        keyEncoding: 'base64',
        encoding: 'base64',
        text: '{nonce}.{timestamp}.{body}',
      },
      headers: 'webhook-id: {nonce}\nwebhook-timestamp: {timestamp}\nwebhook-signature: v1,{signature}',
    },
    post('https://example.com/hook', '{"test": 2432232314}'),
    {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    },
    '/hook',
  ],
  [
    'Binance, in the query',
    { now: 1_499_827_319_559, nonce: '' },
    BINANCE,
    aRequest({ method: 'POST', url: aUrl(`https://api.example.com/api/v3/order?${BINANCE_ORDER}`) }),
    { 'X-MBX-APIKEY': BINANCE_KEYS.keyId },
    `/api/v3/order?${BINANCE_ORDER}&timestamp=1499827319559&signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71`,
  ],
  [
    'Shopify',
    { now: 0, nonce: '' },
    { key: 'hush', encoding: 'base64', text: '{body}', headers: 'X-Shopify-Hmac-Sha256: {signature}' },
    post('https://example.com/hook', '{"id":820982911946154500}'),
    { 'X-Shopify-Hmac-Sha256': byHand('hush', '{"id":820982911946154500}', 'base64') },
    '/hook',
  ],
  [
    'Coinbase Exchange',
    { now: 1_492_774_577_900, nonce: '' },
    {
      ...{
        key: 'c2VjcmV0IGtleQ==',
        keyEncoding: 'base64',
        encoding: 'base64',
        keyId: 'k',
        text: '{timestamp}{method}{target}{body}',
      },
      headers:
        'CB-ACCESS-KEY: {keyId}\nCB-ACCESS-SIGN: {signature}\nCB-ACCESS-TIMESTAMP: {timestamp}\nCB-ACCESS-PASSPHRASE: phrase',
    },
    post('https://api.example.com/orders?x=1', '{"price":"1.0"}'),
    {
      ...{ 'CB-ACCESS-KEY': 'k', 'CB-ACCESS-TIMESTAMP': '1492774577', 'CB-ACCESS-PASSPHRASE': 'phrase' },
      'CB-ACCESS-SIGN': byHand(Buffer.from('secret key'), '1492774577POST/orders?x=1{"price":"1.0"}', 'base64'),
    },
    '/orders?x=1',
  ],
  [
    'Azure App Configuration and Communication Services',
    { now: 1_492_774_577_123, nonce: '' },
    {
      ...{ key: 'c2VjcmV0IGtleQ==', keyEncoding: 'base64', encoding: 'base64', timestamp: 'http-date', keyId: 'id' },
      text: '{method}\\n{target}\\n{timestamp};{host};{bodyHash}',
      headers:
        'x-ms-date: {timestamp}\nx-ms-content-sha256: {bodyHash}\n' +
        'Authorization: HMAC-SHA256 Credential={keyId}&SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}',
    },
    post('https://store.example.com/kv?api-version=1.0', '{}'),
    {
      'x-ms-date': 'Fri, 21 Apr 2017 11:36:17 GMT',
      'x-ms-content-sha256': 'RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=',
      Authorization: `HMAC-SHA256 Credential=id&SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=${byHand(Buffer.from('secret key'), 'POST\n/kv?api-version=1.0\nFri, 21 Apr 2017 11:36:17 GMT;store.example.com;RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=', 'base64')}`,
    },
    '/kv?api-version=1.0',
  ],
  [
    'OKX',
    { now: 1_492_774_577_123, nonce: '' },
    {
      ...{ key: 's', encoding: 'base64', timestamp: 'iso', text: '{timestamp}{method}{target}{body}' },
      headers: 'OK-ACCESS-SIGN: {signature}\nOK-ACCESS-TIMESTAMP: {timestamp}',
    },
    aRequest({ url: aUrl('https://api.example.com/api/v5/account/balance?ccy=BTC') }),
    {
      'OK-ACCESS-TIMESTAMP': '2017-04-21T11:36:17.123Z',
      'OK-ACCESS-SIGN': byHand('s', '2017-04-21T11:36:17.123ZGET/api/v5/account/balance?ccy=BTC', 'base64'),
    },
    '/api/v5/account/balance?ccy=BTC',
  ],
]

describe('more vendors', () => {
  for (const [name, { now, nonce }, values, request, expected, target] of PUBLISHED)
    test(name, () => {
      const { headers, query, rewritten } = createHmacScheme({ now: () => now, nonce: () => nonce })
        .open(values)
        .inject(request)
      assert.deepEqual(Object.fromEntries(headers.map((header) => [header.name, header.value])), expected)
      assert.equal(query, null)
      assert.equal((rewritten?.url ?? request.url).target, target)
      assert.deepEqual([...new Set(headers.map(({ masked }) => masked))], ['***'])
    })

  test('a signature in the query replaces what a caller put there, and is shown masked', () => {
    const request = aRequest({ url: aUrl('https://api.example.com/x?signature=mine&a=1&timestamp=5#f'), body: Buffer.from('b') })
    const { rewritten } = scheme.open(BINANCE).inject(request)
    const signature = byHand(BINANCE_KEYS.key, `a=1&timestamp=${NOW}b`, 'hex')
    assert.equal(rewritten?.url.href, `https://api.example.com/x?a=1&timestamp=${NOW}&signature=${signature}#f`)
    assert.equal(rewritten?.shown.url.href, 'https://api.example.com/x?a=1&timestamp=***&signature=***#f')
    assert.equal(rewritten?.body, request.body)
  })
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
  ['neither headers nor query', { key: 'canary', text: '{body}' }, /headers or query: one of them has to carry/],
  ['a query without names', { ...GOOD, query: 'canary' }, /query: write name=/],
  ['a placeholder that the query does not have', { ...GOOD, query: 's={body}' }, /query: takes/],
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
