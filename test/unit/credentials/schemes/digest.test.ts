import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseChallenges } from '../../../../src/credentials/challenge.ts'
import { createDigest } from '../../../../src/credentials/schemes/digest.ts'
import type { OpenCredential } from '../../../../src/model/credential-scheme.ts'
import type { HopRequest } from '../../../../src/model/hop.ts'
import type { UpstreamResponse } from '../../../../src/model/upstream-response.ts'
import { aRequest, aResponse, aUrl } from '../../../support/builders.ts'

function open(): OpenCredential {
  let made = 0
  return createDigest(() => `cnonce-${++made}`).open({ username: 'u', password: 'p' })
}

/** nonce, nc and cnonce of what is injected; null: nothing is. */
function injected(credential: OpenCredential, request: HopRequest = aRequest()): (string | undefined)[] | null {
  const header = credential.inject(request).headers[0]
  if (!header) return null
  assert.equal(header.masked, 'Digest ***')
  const params = parseChallenges(header.value)[0]?.params
  return ['nonce', 'nc', 'cnonce'].map((name) => params?.get(name))
}

const challenge = (nonce: string, more = ''): UpstreamResponse =>
  aResponse({ status: 401, rawHeaders: ['WWW-Authenticate', `Digest realm="r", qop="auth", nonce="${nonce}"${more}`] })

const challenged = (credential: OpenCredential, response: UpstreamResponse, answered: number): boolean | undefined =>
  credential.dialogue?.heard(aRequest(), response, answered) === 'challenge'

const accepted = (credential: OpenCredential, ...rawHeaders: string[]): void =>
  void credential.dialogue?.heard(aRequest(), aResponse({ rawHeaders }), 0)

describe('digest between requests', () => {
  test('a nonce serves on, counted up, without a further 401', () => {
    const credential = open()
    assert.equal(injected(credential), null)
    assert.equal(challenged(credential, challenge('n1'), 0), true)
    assert.deepEqual(injected(credential), ['n1', '00000001', 'cnonce-1'])
    assert.deepEqual(injected(credential), ['n1', '00000002', 'cnonce-1'])
  })

  test('another origin has its own', () => {
    const credential = open()
    challenged(credential, challenge('n1'), 0)
    assert.equal(injected(credential, aRequest({ url: aUrl('https://other.example.com/') })), null)
  })

  test('nextnonce takes its place, counted anew', () => {
    const credential = open()
    challenged(credential, challenge('n1'), 0)
    injected(credential)
    accepted(credential, 'Authentication-Info', 'nextnonce="n2", qop=auth')
    assert.deepEqual(injected(credential), ['n2', '00000001', 'cnonce-2'])
  })

  test('an answer without nextnonce, or with the same, changes nothing', () => {
    const credential = open()
    challenged(credential, challenge('n1'), 0)
    injected(credential)
    accepted(credential)
    accepted(credential, 'Authentication-Info', 'nextnonce="n1"')
    assert.deepEqual(injected(credential), ['n1', '00000002', 'cnonce-1'])
  })

  test('challenges in several headers are read together', () => {
    const credential = open()
    const headers = ['WWW-Authenticate', 'Basic realm="r"', 'www-authenticate', 'Digest realm="r", nonce="n1"']
    assert.equal(challenged(credential, aResponse({ status: 401, rawHeaders: headers }), 0), true)
  })
})

describe('when a 401 is answered', () => {
  const CASES: [name: string, response: UpstreamResponse, answered: number, expected: boolean][] = [
    ['the first', challenge('n'), 0, true],
    ['the second, whose nonce was merely too old', challenge('n', ', stale=true'), 1, true],
    ['the second, which says that the password is wrong', challenge('n'), 1, false],
    ['the third, stale as it may be', challenge('n', ', stale=TRUE'), 2, false],
    ['one without a challenge', aResponse({ status: 401 }), 0, false],
    ['one that wants something else', aResponse({ status: 401, rawHeaders: ['WWW-Authenticate', 'Basic realm="r"'] }), 0, false],
    ['one that cannot be answered', challenge('n', ', algorithm=unheard-of'), 0, false],
  ]
  for (const [name, response, answered, expected] of CASES)
    test(`${name}: ${expected ? 'yes' : 'no'}`, () => assert.equal(challenged(open(), response, answered), expected))

  test('a refusal is forgotten: the next request goes out bare, as a first one', () => {
    const credential = open()
    challenged(credential, challenge('n1'), 0)
    challenged(credential, challenge('n2'), 1)
    assert.equal(injected(credential), null)
  })
})
