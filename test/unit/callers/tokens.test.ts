// Tokens of an issuer: which are taken, whose they are, and how the issuer's keys are followed.
import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, test } from 'node:test'
import { type JWTPayload, SignJWT } from 'jose'
import { sha256Of } from '../../../src/callers/api-key.ts'
import { createIssuerKeys } from '../../../src/callers/issuer-keys.ts'
import { createTokens, type TokenRule } from '../../../src/callers/tokens.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { Caller } from '../../../src/model/caller.ts'
import { createFakeClock, settle } from '../../support/fake-clock.ts'

const ISSUER = 'https://issuer.example'
const JWKS = 'https://issuer.example/jwks'
const SUB = 'system:serviceaccount:billing:api'
const caller = (name: string): Caller => ({ name, admin: false, may: [] })
const rule = (name: string, over: Partial<TokenRule> = {}): TokenRule => ({
  ...{ caller: caller(name), issuer: ISSUER, audience: 'sallyport', jwksUri: JWKS, claims: [['sub', SUB]], ...over },
})

interface SigningKey {
  readonly kid: string
  readonly alg: string
  readonly privateKey: KeyObject
  readonly jwk: object
}

function aKey(kid: string, alg = 'ES256'): SigningKey {
  const { publicKey, privateKey } =
    alg === 'RS256' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { kid, alg, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' } }
}

const FIRST = aKey('one')
const SECOND = aKey('two')

/** An issuer that can go away, change its keys and is counted. */
function anIssuer(rules: readonly TokenRule[] = [rule('billing')]) {
  const clock = createFakeClock()
  const state = { keys: [FIRST], away: false, fetches: 0, body: null as string | null }
  const tokens = createTokens(rules, { keysOf: () => keys, clock })
  const keys = createIssuerKeys(
    { uri: JWKS, onChange: () => tokens.forget(JWKS) },
    {
      clock,
      log: { log: () => {} },
      async fetch() {
        state.fetches++
        if (state.away) return { because: 'ConnectTimeout' }
        return { body: Buffer.from(state.body ?? JSON.stringify({ keys: state.keys.map(({ jwk }) => jwk) })) }
      },
    },
  )
  const sign = (claims: JWTPayload = {}, key: SigningKey = FIRST): Promise<string> => {
    const now = Math.floor(clock.date() / 1000)
    return new SignJWT({ iss: ISSUER, aud: 'sallyport', sub: SUB, iat: now, exp: now + 600, ...claims })
      .setProtectedHeader({ alg: key.alg, kid: key.kid })
      .sign(key.privateKey)
  }
  const who = async (token: string): Promise<string> => {
    const found = tokens.identify(token, sha256Of(token))
    const verdict = found instanceof Promise ? await found : found
    return typeof verdict === 'string' ? verdict : verdict instanceof GatewayError ? verdict.type : verdict.name
  }
  return { clock, state, tokens, keys, sign, who }
}

const seconds = (clock: { date(): number }): number => Math.floor(clock.date() / 1000)

test('a token says who its caller is by issuer, audience and claims', async () => {
  const { who, sign } = anIssuer()
  assert.equal(await who(await sign()), 'billing')
  assert.equal(await who(await sign({ aud: ['other', 'sallyport'] })), 'billing')
})

describe('a token that is not taken', () => {
  const CASES: readonly [name: string, claims: JWTPayload, because: RegExp][] = [
    ['of another issuer', { iss: 'https://issuer.example.evil' }, /issuer is none of those/],
    ['without issuer', { iss: undefined } as never, /issuer is none of those/],
    ['for another audience', { aud: 'somebody else' }, /audience is none/],
    ['without audience', { aud: undefined } as never, /audience is none/],
    ['of another subject', { sub: 'system:serviceaccount:billing:api2' }, /claims are those of no caller/],
    ['without end', { exp: undefined } as never, /no exp claim/],
    ['with an end that is no number', { exp: 'tomorrow' } as never, /exp claim does not hold/],
  ]
  for (const [name, claims, because] of CASES)
    test(name, async () => {
      const { who, sign } = anIssuer()
      assert.match(await who(await sign(claims)), because)
    })

  test('past its end, with 30 s for clocks that differ', async () => {
    const { who, sign, clock } = anIssuer()
    const ended = (ago: number) => sign({ exp: seconds(clock) - ago })
    assert.equal(await who(await ended(29)), 'billing')
    assert.match(await who(await ended(30)), /has expired/)
  })

  test('before its beginning, with 30 s for clocks that differ', async () => {
    const { who, sign, clock } = anIssuer()
    assert.equal(await who(await sign({ nbf: seconds(clock) + 29 })), 'billing')
    assert.match(await who(await sign({ nbf: seconds(clock) + 60 })), /nbf claim does not hold/)
  })

  test('signed by nobody, by a shared secret, or by the public key taken for one', async () => {
    const { who, sign } = anIssuer()
    const [, payload = ''] = (await sign()).split('.')
    const head = (alg: string) => Buffer.from(JSON.stringify({ alg, kid: 'one' })).toString('base64url')
    const hmac = (key: string) =>
      createHmac('sha256', key)
        .update(`${head('HS256')}.${payload}`)
        .digest('base64url')
    for (const forged of [
      `${head('none')}.${payload}.`,
      `${head('HS256')}.${payload}.${hmac('secret')}`,
      `${head('HS256')}.${payload}.${hmac(JSON.stringify(FIRST.jwk))}`,
    ])
      assert.match(await who(forged), /algorithm is none of/)
    assert.match(await who(`${head('ES256')}.${payload}.${Buffer.alloc(64).toString('base64url')}`), /signature is not that/)
  })

  test('signed by another key under the same id, or cut, or edited', async () => {
    const { who, sign } = anIssuer()
    assert.match(await who(await sign({}, { ...SECOND, kid: 'one' })), /signature is not that/)
    const token = await sign()
    for (const broken of [token.slice(0, -4), token.replace('.', '.x'), `${token}.x`, 'eyJ.eyJ.x', 'eyJhbGciOiJFUzI1NiJ9..'])
      assert.match(await who(broken), /signature is not that|no token that can be verified|issuer is none/, broken)
  })
})

test('of several callers of one issuer the claims choose; where two fit, nobody is known', async () => {
  const { who, sign } = anIssuer([
    rule('billing', { claims: [['sub', 'system:serviceaccount:billing:*']] }),
    rule('admins', { claims: [['groups', 'admins']] }),
    rule('numbered', { claims: [['level', '3']] }),
    rule('elsewhere', { audience: 'other', claims: [] }),
  ])
  assert.equal(await who(await sign({ sub: 'system:serviceaccount:billing:worker' })), 'billing')
  assert.equal(await who(await sign({ sub: 'ann', groups: ['staff', 'admins'] })), 'admins')
  assert.equal(await who(await sign({ sub: 'ann', level: 3 })), 'numbered')
  assert.equal(await who(await sign({ aud: 'other' })), 'elsewhere')
  assert.match(await who(await sign({ groups: ['admins'] })), /those of billing and admins, where one caller must be meant/)
  assert.match(await who(await sign({ sub: 'ann', groups: [['admins']] })), /no caller/)
})

describe('steady use', () => {
  test('a token is verified once, at the same moment or later, and until its end', async () => {
    const { tokens, who, sign, clock, state } = anIssuer()
    const token = await sign({ exp: seconds(clock) + 5 })
    const digest = sha256Of(token)
    const [one, two] = [tokens.identify(token, digest), tokens.identify(token, digest)]
    assert.equal(one, two, 'one verification for both')
    await one
    assert.ok(!(tokens.identify(token, digest) instanceof Promise), 'known at once from then on')
    state.away = true
    await clock.advance(34_000)
    assert.equal(await who(token), 'billing')
    await clock.advance(2000)
    assert.match(await who(token), /has expired/)
  })

  test('no more than ten thousand tokens are kept', async () => {
    const { tokens, sign, who } = anIssuer()
    const first = await sign({ jti: 'first' })
    await who(first)
    const token = await sign()
    // The digest is what a token is known by.
    for (let i = 0; i < 10_000; i++) await tokens.identify(token, `digest-${i}`)
    assert.ok(tokens.identify(first, sha256Of(first)) instanceof Promise, 'the oldest has made room')
    assert.ok(!(tokens.identify(token, 'digest-9999') instanceof Promise))
  })
})

describe("the issuer's keys", () => {
  test('are fetched ahead of the first token, and again every ten minutes', async () => {
    const { clock, state } = anIssuer()
    await clock.advance(0)
    assert.equal(state.fetches, 1)
    await clock.advance(600_000)
    assert.equal(state.fetches, 2)
  })

  test('are fetched at once for an id that is not known, though not for every made-up one', async () => {
    const { clock, state, who, sign } = anIssuer()
    await clock.advance(20_000)
    state.keys = [FIRST, SECOND]
    const [fresh, other] = [await sign({}, SECOND), await sign({ jti: 'x' }, SECOND)]
    assert.deepEqual(await Promise.all([who(fresh), who(other)]), ['billing', 'billing'])
    assert.equal(state.fetches, 2, 'one fetch for all who wait')
    for (let i = 0; i < 50; i++) assert.match(await who(await sign({}, aKeyLike(`made-up-${i}`))), /has no such key/)
    assert.equal(state.fetches, 2)
    await clock.advance(10_000)
    await who(await sign({}, aKeyLike('another')))
    assert.equal(state.fetches, 3)
  })

  test('that are withdrawn end their tokens, those known already too', async () => {
    const { clock, state, who, sign } = anIssuer()
    const token = await sign()
    assert.equal(await who(token), 'billing')
    state.keys = [SECOND]
    await clock.advance(600_000 - 1)
    assert.equal(await who(await sign({ exp: seconds(clock) + 900 })), 'billing', 'not seen yet')
    await clock.advance(1)
    assert.match(await who(await sign()), /has no such key/)
    assert.match(await who(token), /has no such key|has expired/)
  })

  test('serve on for a day while the issuer is away, or answers nonsense', async () => {
    const { clock, state, who, sign } = anIssuer()
    await clock.advance(0)
    state.away = true
    await clock.advance(3_600_000)
    state.away = false
    for (const body of ['', 'null', '{"keys": 7}', '<html>']) {
      state.body = body
      await clock.advance(600_000)
      assert.equal(await who(await sign()), 'billing', body)
    }
    state.away = true
    await clock.advance(24 * 3_600_000)
    assert.equal(await who(await sign()), 'Overloaded')
  })

  test('that never came make tokens Overloaded at once, and are asked for each second', async () => {
    const { clock, state, who, sign } = anIssuer()
    state.away = true
    assert.equal(await who(await sign()), 'Overloaded')
    const { fetches } = state
    for (let i = 0; i < 20; i++) assert.equal(await who(await sign({ jti: `${i}` })), 'Overloaded')
    assert.equal(state.fetches, fetches)
    await clock.advance(5000)
    assert.ok(state.fetches >= fetches + 4 && state.fetches <= fetches + 6, `${state.fetches - fetches} in 5 s`)
    state.away = false
    await clock.advance(1000)
    assert.equal(await who(await sign()), 'billing')
  })

  test('are not fetched any more once closed', async () => {
    const { clock, state, keys } = anIssuer()
    await clock.advance(0)
    keys.close()
    await clock.advance(3_600_000)
    assert.equal(state.fetches, 1)
    assert.equal(clock.pending, 0)
    await settle()
  })
})

test('what is, or says it is, a token for this gateway is recognised in what would be forwarded', async () => {
  const { tokens, sign } = anIssuer()
  assert.ok(tokens.isOwn(await sign()))
  assert.ok(tokens.isOwn(await sign({ sub: 'anybody', exp: 1 })), 'whoever it is of, and ended or not')
  assert.ok(!tokens.isOwn(await sign({ aud: 'somebody else' })))
  assert.ok(!tokens.isOwn(await sign({ iss: 'https://other.example' })))
  for (const text of ['', 'eyJ', 'eyJ.x.y', 'eyJhbGciOiJub25lIn0.bm8.x', 'a.b.c']) assert.ok(!tokens.isOwn(text), text)
})

function aKeyLike(kid: string): SigningKey {
  return { ...FIRST, kid }
}
