import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { type Challenge, parseChallenges } from '../../../src/credentials/challenge.ts'
import { chooseChallenge, type DigestUse, digestAuthorization } from '../../../src/credentials/digest-answer.ts'

type Asked = Partial<Omit<DigestUse, 'challenge'>>

/** The parameters of the answer to `header`. */
function answer(header: string, asked: Asked = {}): ReadonlyMap<string, string> {
  const challenge = chooseChallenge(parseChallenges(header))
  assert.ok(challenge, 'no challenge was chosen')
  const value = digestAuthorization({
    challenge,
    username: 'Mufasa',
    password: 'Circle of Life',
    method: 'GET',
    target: '/dir/index.html',
    body: null,
    nonceCount: 1,
    cnonce: '0a4f113b',
    ...asked,
  })
  const [found] = parseChallenges(value)
  assert.equal(found?.scheme, 'digest')
  return (found as Challenge).params
}

const RFC_7616 =
  'realm="http-auth@example.org", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
const RFC_7616_CNONCE = 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ'
const RFC_2617 =
  'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'

describe('published examples', () => {
  test('RFC 7616 §3.9.1, MD5', () => {
    const params = answer(`Digest ${RFC_7616}, algorithm=MD5`, { cnonce: RFC_7616_CNONCE })
    assert.equal(params.get('response'), '8ca523f5e9506fed4657c9700eebdbec')
  })
  test('RFC 7616 §3.9.1, SHA-256', () => {
    const params = answer(`Digest ${RFC_7616}, algorithm=SHA-256`, { cnonce: RFC_7616_CNONCE })
    assert.equal(params.get('response'), '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1')
  })
  test('RFC 7616 §3.9.2 as erratum 4897 corrects it: SHA-512-256, userhash, UTF-8', () => {
    const header =
      'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true'
    const params = answer(header, {
      username: 'Jäsøn Doe',
      password: 'Secret, or not?',
      target: '/doe.json',
      cnonce: 'NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v',
    })
    assert.equal(params.get('username'), '793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b')
    assert.equal(params.get('response'), '3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5')
    assert.equal(params.get('userhash'), 'true')
  })
  test('RFC 2617 §3.5', () => {
    const params = answer(`${RFC_2617}, qop="auth,auth-int"`, { password: 'Circle Of Life' })
    assert.equal(params.get('response'), '6629fae49393a05397450978507c4ef1')
  })
  test('RFC 2069: no qop, no nonce count, no cnonce', () => {
    const params = answer(RFC_2617, { password: 'Circle Of Life' })
    assert.equal(params.get('response'), '670fd8c2df070c60b045671b8b24ff02')
    for (const name of ['qop', 'nc', 'cnonce', 'algorithm']) assert.equal(params.has(name), false, name)
  })
})

describe('what the response is made of', () => {
  const md5 = (text: string): string => createHash('md5').update(text).digest('hex')

  test('-sess hangs the key on nonce and cnonce', () => {
    const params = answer('Digest realm=r, nonce=n, qop=auth, algorithm=MD5-sess', { username: 'u', password: 'p', target: '/x' })
    const key = md5(`${md5('u:r:p')}:n:0a4f113b`)
    assert.equal(params.get('response'), md5(`${key}:n:00000001:0a4f113b:auth:${md5('GET:/x')}`))
    assert.equal(params.get('algorithm'), 'MD5-sess')
  })
  test('-sess without qop still tells its cnonce', () => {
    assert.equal(answer('Digest realm=r, nonce=n, algorithm=SHA-256-sess').get('cnonce'), '0a4f113b')
  })
  test('auth-int covers the body', () => {
    const header = 'Digest realm=r, nonce=n, qop="auth-int"'
    const params = answer(header, { username: 'u', password: 'p', method: 'POST', target: '/x', body: Buffer.from('héllo') })
    const a2 = md5(`POST:/x:${md5('héllo')}`)
    assert.equal(params.get('response'), md5(`${md5('u:r:p')}:n:00000001:0a4f113b:auth-int:${a2}`))
    assert.equal(params.get('qop'), 'auth-int')
  })
  test('auth-int of no body covers the empty one', () => {
    const params = answer('Digest realm=r, nonce=n, qop="auth-int"', { username: 'u', password: 'p', target: '/x' })
    assert.equal(params.get('response'), md5(`${md5('u:r:p')}:n:00000001:0a4f113b:auth-int:${md5(`GET:/x:${md5('')}`)}`))
  })
  test("SHA-512 is Requests' own name and the whole hash", () => {
    assert.equal(answer('Digest realm=r, nonce=n, qop=auth, algorithm=SHA-512').get('response')?.length, 128)
    assert.equal(answer('Digest realm=r, nonce=n, qop=auth, algorithm=SHA').get('response')?.length, 40)
  })
  test('a realm beyond ASCII is hashed as the bytes that came', () => {
    const realm = Buffer.from('Zürich').toString('latin1')
    const params = answer(`Digest realm="${realm}", nonce=n`, { username: 'u', password: 'p', target: '/x' })
    assert.equal(params.get('response'), md5(`${md5('u:Zürich:p')}:n:${md5('GET:/x')}`))
    assert.equal(params.get('realm'), realm)
  })
  test('the nonce count is eight hexadecimal digits', () => {
    assert.equal(answer('Digest realm=r, nonce=n, qop=auth', { nonceCount: 255 }).get('nc'), '000000ff')
  })
  test('quotes and backslashes in what is quoted are escaped', () => {
    const params = answer('Digest realm="a\\"b", nonce="n", opaque="\\\\"', { username: 'x"y\\z' })
    assert.equal(params.get('realm'), 'a"b')
    assert.equal(params.get('username'), 'x"y\\z')
    assert.equal(params.get('opaque'), '\\')
  })
})

describe('user names beyond ASCII', () => {
  const usernameOf = (header: string, username: string): [string | undefined, string | undefined] => {
    const params = answer(header, { username })
    return [params.get('username'), params.get('username*')]
  }
  test('latin-1 goes as it is', () => assert.deepEqual(usernameOf('Digest realm=r, nonce=n', 'José'), ['José', undefined]))
  test('latin-1 where UTF-8 is asked for', () =>
    assert.deepEqual(usernameOf('Digest realm=r, nonce=n, charset=UTF-8', 'José'), [
      undefined,
      "UTF-8''Jos%c3%a9".replace('%c3%a9', '%C3%A9'),
    ]))
  test('anything else', () => assert.deepEqual(usernameOf('Digest realm=r, nonce=n', "Ł'"), [undefined, "UTF-8''%C5%81%27"]))
})

describe('the challenge that is chosen', () => {
  const CASES: [name: string, header: string, algorithm: string | null | undefined, qop?: string | null][] = [
    [
      'the strongest of several',
      'Digest realm=r, nonce=a, algorithm=MD5, Digest realm=r, nonce=b, algorithm=SHA-256, Basic realm=r',
      'SHA-256',
    ],
    ['the first of equals', 'Digest realm=r, nonce=a, algorithm=MD5, Digest realm=r, nonce=b', 'MD5'],
    ['none named is MD5', 'Digest realm=r, nonce=a', null],
    [
      'an unknown algorithm is passed over',
      'Digest realm=r, nonce=a, algorithm=SHA3-999, Digest realm=r, nonce=b, algorithm=md5',
      'md5',
    ],
    ['only unknown ones', 'Digest realm=r, nonce=a, algorithm=token', undefined],
    ['no nonce', 'Digest realm=r', undefined],
    ['another scheme', 'Basic realm=r, nonce=a', undefined],
    ['auth before auth-int', 'Digest realm=r, nonce=a, qop="auth-int,auth"', null, 'auth'],
    ['auth-int where there is nothing else', 'Digest realm=r, nonce=a, qop="auth-int"', null, 'auth-int'],
    ['an empty qop is none', 'Digest realm=r, nonce=a, qop=""', null, null],
    ['an unknown qop cannot be answered', 'Digest realm=r, nonce=a, qop="auth-conf"', undefined],
  ]
  for (const [name, header, algorithm, qop] of CASES)
    test(name, () => {
      const chosen = chooseChallenge(parseChallenges(header))
      assert.equal(chosen ? chosen.algorithm : undefined, algorithm)
      if (qop !== undefined) assert.equal(chosen?.qop, qop)
    })
})
