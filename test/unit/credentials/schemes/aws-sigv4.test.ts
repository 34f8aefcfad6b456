// The vendor's published vectors: the Signature Version 4 test suite, the S3 reference's worked examples, and the signing
// guide's. Those of the suite have no counterpart here that put a path on the wire which is not percent-encoded, or that sign
// headers of no meaning to the vendor (My-Header1): only what it wants signed is.
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { describe, test } from 'node:test'
import { createAwsSigV4 } from '../../../../src/credentials/schemes/aws-sigv4.ts'
import type { Injection } from '../../../../src/model/credential-scheme.ts'
import type { HeaderList } from '../../../../src/model/header-list.ts'
import { prepareUrl } from '../../../../src/prepare/url.ts'
import { aRequest } from '../../../support/builders.ts'

interface Sent {
  readonly method?: string
  readonly url: string
  readonly headers?: HeaderList
  readonly body?: string
}

const SUITE = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  region: 'us-east-1',
  service: 'service',
}
const SUITE_TIME = Date.UTC(2015, 7, 30, 12, 36)
const S3 = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  region: 'us-east-1',
  service: 's3',
}
const S3_TIME = Date.UTC(2013, 4, 24)
const SESSION_TOKEN =
  'AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI' +
  '/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT' +
  '38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=='

function sign(values: Record<string, string>, time: number, { method = 'GET', url, headers = [], body }: Sent): Injection {
  const request = aRequest({
    method,
    url: prepareUrl(url, undefined).url,
    headers,
    body: body === undefined ? null : Buffer.from(body),
  })
  return createAwsSigV4(() => time)
    .open(values)
    .inject(request)
}

const injected = ({ headers }: Injection, name: string): string | undefined =>
  headers.find((header) => header.name === name)?.value
const authorization = (injection: Injection): string => injected(injection, 'Authorization') ?? ''

const HOST = 'https://example.amazonaws.com'
const UNRESERVED = '-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const VECTORS: [name: string, values: Record<string, string>, time: number, sent: Sent, signedHeaders: string, signature: string][] = [
  ['get-vanilla', SUITE, SUITE_TIME, { url: `${HOST}/` }, 'host;x-amz-date', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
  ['get-vanilla-query', SUITE, SUITE_TIME, { url: `${HOST}/?Param1=value1` }, 'host;x-amz-date', 'a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb'],
  ['get-vanilla-query-order-key', SUITE, SUITE_TIME, { url: `${HOST}/?Param1=value2&Param1=Value1` }, 'host;x-amz-date', 'eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1'],
  ['get-vanilla-query-order-value', SUITE, SUITE_TIME, { url: `${HOST}/?Param1=value2&Param1=value1` }, 'host;x-amz-date', '5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694'],
  ['get-vanilla-utf8-query', SUITE, SUITE_TIME, { url: `${HOST}/?ሴ=bar` }, 'host;x-amz-date', '2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04'],
  ['get-unreserved', SUITE, SUITE_TIME, { url: `${HOST}/${UNRESERVED}` }, 'host;x-amz-date', '07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f'],
  ['get-relative', SUITE, SUITE_TIME, { url: `${HOST}/example/..` }, 'host;x-amz-date', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
  ['get-relative-relative', SUITE, SUITE_TIME, { url: `${HOST}/example1/example2/../..` }, 'host;x-amz-date', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
  ['get-slash', SUITE, SUITE_TIME, { url: `${HOST}//` }, 'host;x-amz-date', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
  ['get-slash-dot-slash', SUITE, SUITE_TIME, { url: `${HOST}/./` }, 'host;x-amz-date', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
  ['get-slashes', SUITE, SUITE_TIME, { url: `${HOST}//example//` }, 'host;x-amz-date', '9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84'],
  ['get-slash-pointless-dot', SUITE, SUITE_TIME, { url: `${HOST}/./example` }, 'host;x-amz-date', 'ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5'],
  ['post-x-www-form-urlencoded-parameters', SUITE, SUITE_TIME, { method: 'POST', url: `${HOST}/`, headers: [['Content-Type', 'application/x-www-form-urlencoded; charset=utf8']], body: 'Param1=value1' }, 'content-type;host;x-amz-date', '1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe'],
  ['get-vanilla-query-order-key-case', SUITE, SUITE_TIME, { url: `${HOST}/?Param2=value2&Param1=value1` }, 'host;x-amz-date', 'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500'],
  ['get-vanilla-query-unreserved', SUITE, SUITE_TIME, { url: `${HOST}/?${UNRESERVED}=${UNRESERVED}` }, 'host;x-amz-date', '9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197'],
  ['post-vanilla', SUITE, SUITE_TIME, { method: 'POST', url: `${HOST}/` }, 'host;x-amz-date', '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
  ['post-vanilla-query', SUITE, SUITE_TIME, { method: 'POST', url: `${HOST}/?Param1=value1` }, 'host;x-amz-date', '28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11'],
  ['post-x-www-form-urlencoded', SUITE, SUITE_TIME, { method: 'POST', url: `${HOST}/`, headers: [['Content-Type', 'application/x-www-form-urlencoded']], body: 'Param1=value1' }, 'content-type;host;x-amz-date', 'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a'],
  ['post-sts-header-before', { ...SUITE, sessionToken: SESSION_TOKEN }, SUITE_TIME, { method: 'POST', url: `${HOST}/` }, 'host;x-amz-date;x-amz-security-token', '85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead'],
  ['the signing guide, ListUsers', { ...SUITE, service: 'iam' }, SUITE_TIME, { url: 'https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08', headers: [['Content-Type', 'application/x-www-form-urlencoded; charset=utf-8']] }, 'content-type;host;x-amz-date', '5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7'],
  ['S3, PUT object', S3, S3_TIME, { method: 'PUT', url: 'https://examplebucket.s3.amazonaws.com/test$file.text', headers: [['Date', 'Fri, 24 May 2013 00:00:00 GMT'], ['x-amz-storage-class', 'REDUCED_REDUNDANCY']], body: 'Welcome to Amazon S3.' }, 'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class', '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd'],
  ['S3, GET bucket lifecycle', S3, S3_TIME, { url: 'https://examplebucket.s3.amazonaws.com/?lifecycle' }, 'host;x-amz-content-sha256;x-amz-date', 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
  ['S3, GET bucket', S3, S3_TIME, { url: 'https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J' }, 'host;x-amz-content-sha256;x-amz-date', '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'],
] // biome-ignore format: one vector a line

describe('published vectors', () => {
  for (const [name, values, time, sent, signedHeaders, signature] of VECTORS)
    test(name, () => {
      const scope = `${new Date(time).toISOString().slice(0, 10).replaceAll('-', '')}/us-east-1/${values.service}/aws4_request`
      assert.equal(
        authorization(sign(values, time, sent)),
        `AWS4-HMAC-SHA256 Credential=${values.accessKeyId}/${scope}, SignedHeaders=${signedHeaders}, Signature=${signature}`,
      )
    })
})

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** The vendor's "Create a signed AWS API request", step by step. */
function byHand(
  { secretAccessKey, region, service }: Readonly<typeof SUITE>,
  [method, path, query]: readonly [string, string, string],
  headers: readonly [string, string][],
  payload: string,
): string {
  const names = headers.map(([name]) => name).join(';')
  const canonical = [method, path, query, ...headers.map(([name, value]) => `${name}:${value}`), '', names, payload].join('\n')
  const scope = `20150830/${region}/${service}/aws4_request`
  const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
  const key = ['20150830', region, service, 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secretAccessKey}`)
  return hmac(key, `AWS4-HMAC-SHA256\n20150830T123600Z\n${scope}\n${sha256(canonical)}`).toString('hex')
}

describe('what goes out beside the signature', () => {
  const names = (injection: Injection): string[] => injection.headers.map(({ name }) => name)

  test('the time, the session token, and for S3 the hash of the body, each shown masked', () => {
    const s3 = sign({ ...S3, sessionToken: 'canary' }, S3_TIME, { method: 'PUT', url: 'https://b.s3.amazonaws.com/k', body: 'x' })
    assert.deepEqual(names(s3), ['X-Amz-Date', 'X-Amz-Content-Sha256', 'X-Amz-Security-Token', 'Authorization'])
    assert.equal(injected(s3, 'X-Amz-Date'), '20130524T000000Z')
    assert.equal(injected(s3, 'X-Amz-Content-Sha256'), '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881')
    assert.equal(injected(s3, 'X-Amz-Security-Token'), 'canary')
    assert.deepEqual([...new Set(s3.headers.map(({ masked }) => masked))], ['***', 'AWS4-HMAC-SHA256 ***'])
    assert.deepEqual(names(sign({ ...SUITE, sessionToken: '' }, SUITE_TIME, { url: `${HOST}/` })), [
      'X-Amz-Date',
      'Authorization',
    ])
  })

  test("a caller's own of these takes no part", () => {
    const plain = sign(S3, S3_TIME, { url: 'https://b.s3.amazonaws.com/k' })
    const own: HeaderList = [
      ['x-amz-date', '19990101T000000Z'],
      ['X-AMZ-Content-SHA256', 'UNSIGNED-PAYLOAD'],
    ]
    assert.deepEqual(sign(S3, S3_TIME, { url: 'https://b.s3.amazonaws.com/k', headers: own }), plain)
  })

  test('headers that change on the way are not signed; a Host that the caller may set is', () => {
    const headers: HeaderList = [['User-Agent', 'x'], ['Accept', '*/*'], ['Accept-Encoding', 'gzip'], ['Range', 'bytes=0-9']] // biome-ignore format: pairs
    assert.deepEqual(sign(SUITE, SUITE_TIME, { url: `${HOST}/`, headers }), sign(SUITE, SUITE_TIME, { url: `${HOST}/` }))
    const elsewhere = sign(SUITE, SUITE_TIME, { url: 'https://127.0.0.1:8443/', headers: [['Host', 'example.amazonaws.com']] })
    assert.equal(authorization(elsewhere), authorization(sign(SUITE, SUITE_TIME, { url: `${HOST}/` })))
  })

  test('each try has a signature of its own time', () => {
    let now = SUITE_TIME
    const credential = createAwsSigV4(() => now).open(SUITE)
    const request = aRequest({ url: prepareUrl(`${HOST}/`, undefined).url })
    const first = credential.inject(request)
    now += 1000
    const second = credential.inject(request)
    assert.equal(injected(second, 'X-Amz-Date'), '20150830T123601Z')
    assert.notEqual(authorization(first), authorization(second))
  })

  test('the path is encoded once more for every service but S3, and an unsigned payload is said to be so', () => {
    const unsigned = { ...SUITE, service: 's3', payload: 'unsigned' }
    const cases: [values: typeof SUITE, path: string, payload: string][] = [
      [SUITE, '/a%2520b/%252B', sha256('x')],
      [{ ...SUITE, service: 's3' }, '/a%20b/%2B', sha256('x')],
      [unsigned, '/a%20b/%2B', 'UNSIGNED-PAYLOAD'],
    ]
    for (const [values, path, payload] of cases) {
      const signed = sign(values, SUITE_TIME, { method: 'PUT', url: `${HOST}/a%20b/%2B?b=%2F&a=`, body: 'x' })
      const headers: [string, string][] = [
        ['host', 'example.amazonaws.com'],
        ...(values.service === 's3' ? [['x-amz-content-sha256', payload] as [string, string]] : []),
        ['x-amz-date', '20150830T123600Z'],
      ]
      assert.equal(injected(signed, 'X-Amz-Content-Sha256'), values.service === 's3' ? payload : undefined)
      assert.match(authorization(signed), new RegExp(`Signature=${byHand(values, ['PUT', path, 'a=&b=%2F'], headers, payload)}$`))
    }
  })

  test('a path that S3 could not read is refused', () => {
    assert.throws(() => sign(S3, S3_TIME, { url: 'https://b.s3.amazonaws.com/%ff' }), { type: 'InvalidURL' })
  })
})
