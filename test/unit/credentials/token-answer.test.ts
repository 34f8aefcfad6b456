// What is taken from a token endpoint's answer, and what of its own words may be told.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { errorCode, readRefreshToken, readToken } from '../../../src/credentials/token-answer.ts'
import type { TokenAnswer } from '../../../src/model/credential-scheme.ts'

const answer = (fields: object, status = 200): TokenAnswer => ({
  kind: 'answer',
  status,
  body: Buffer.from(JSON.stringify(fields)),
})

describe('reading an answer', () => {
  const CASES: [name: string, given: TokenAnswer, expected: object][] = [
    ['whole', answer({ access_token: 'a', token_type: 'Bearer', expires_in: 60 }), { value: 'a', lifeMs: 60_000 }],
    ['the life as text', answer({ access_token: 'a', token_type: 'bearer', expires_in: '60' }), { value: 'a', lifeMs: 60_000 }],
    ['a life that is none', answer({ access_token: 'a', expires_in: 'soon' }), { value: 'a', lifeMs: 300_000 }],
    ['a negative life', answer({ access_token: 'a', expires_in: -5 }), { value: 'a', lifeMs: 0 }],
    ['no token', answer({ token: 'canary' }), { because: 'its token endpoint answered without an access token' }],
    ['an empty token', answer({ access_token: '' }), { because: 'its token endpoint answered without an access token' }],
    ['a token of another kind', answer({ access_token: 'canary', token_type: 'mac' }), { because: 'its token endpoint gave a token of another type than bearer' }],
    ['a token with a line end', answer({ access_token: 'canary\r\nX: y' }), { because: 'its token endpoint gave a token that no header can carry' }],
    ['an error that is known', answer({ error: 'invalid_scope' }, 400), { because: 'its token endpoint answered 400 (invalid_scope)' }],
    ['an error that is not', answer({ error: 'canary' }, 400), { because: 'its token endpoint answered 400' }],
    ['a redirect', answer({}, 302), { because: 'its token endpoint answered 302' }],
    ['null', { kind: 'answer', status: 200, body: Buffer.from('null') }, { because: 'its token endpoint answered without an access token' }],
    ['no JSON', { kind: 'answer', status: 200, body: Buffer.from('<canary>') }, { because: 'its token endpoint answered without an access token' }],
  ] // biome-ignore format: one case a line
  for (const [name, given, expected] of CASES) test(name, () => assert.deepEqual(readToken(given), expected))
})

describe('a refresh token', () => {
  const CASES: [name: string, given: TokenAnswer, expected: string | null][] = [
    ['one', answer({ access_token: 'a', refresh_token: 'r' }), 'r'],
    ['beside an access token that cannot be used', answer({ access_token: 'a\n', refresh_token: 'r' }), 'r'],
    ['none', answer({ access_token: 'a' }), null],
    ['an empty one', answer({ refresh_token: '' }), null],
    ['one that is no text', answer({ refresh_token: 7 }), null],
    ['in a refusal', answer({ refresh_token: 'r' }, 400), null],
    ['where there was no answer', { kind: 'none', because: '', privateDetail: '', sent: 'no' }, null],
  ]
  for (const [name, given, expected] of CASES) test(name, () => assert.equal(readRefreshToken(given), expected))
})

describe('the code of a refusal', () => {
  const CASES: [name: string, given: TokenAnswer, expected: string | null][] = [
    ['registered', answer({ error: 'invalid_grant' }, 400), 'invalid_grant'],
    ['of its own making', answer({ error: 'canary' }, 400), null],
    ['beside a token', answer({ error: 'invalid_grant', access_token: 'a' }), null],
    ['none', answer({}, 503), null],
  ]
  for (const [name, given, expected] of CASES) test(name, () => assert.equal(errorCode(given), expected))
})
