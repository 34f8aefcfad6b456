import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { HeaderPair } from '../../../src/model/header-list.ts'
import { maskedView, withQueryPair } from '../../../src/model/outgoing-view.ts'
import { aRequest, aUrl } from '../../support/builders.ts'

describe('headers that a caller gave', () => {
  const CASES: [given: HeaderPair, shown: string][] = [
    [['Authorization', 'Basic dXNlcjpwYXNz'], 'Basic ***'],
    [['authorization', 'bearer canary'], 'bearer ***'],
    [['AUTHORIZATION', 'Digest username="u", response="canary"'], 'Digest ***'],
    [['Authorization', 'Token canary'], 'Token ***'],
    [['Authorization', 'AWS4-HMAC-SHA256 Credential=canary'], 'AWS4-HMAC-SHA256 ***'],
    [['Authorization', 'canary'], '***'],
    [['Authorization', 'canary and more'], '***'],
    [['Authorization', ''], '***'],
    [['Proxy-Authorization', 'Basic dXNlcjpwYXNz'], 'Basic ***'],
    [['Cookie', 'a=canary; b="x=y"'], 'a=***; b=***'],
    [['cookie', 'canary'], '***'],
    [['Cookie', 'a=1;b=2'], 'a=***; b=***'],
    [['X-Cookie', 'a=1'], 'a=1'],
    [['Accept', '*/*'], '*/*'],
  ]
  for (const [given, shown] of CASES)
    test(`${given[0]}: ${given[1]}`, () =>
      assert.deepEqual(maskedView(aRequest({ headers: [['X-A', '1'], given, ['X-B', '2']] })).headers, [
        ['X-A', '1'],
        [given[0], shown],
        ['X-B', '2'],
      ]))

  test('repeated ones are all masked', () => {
    const headers: HeaderPair[] = [
      ['Authorization', 'Basic a'],
      ['Authorization', 'Bearer b'],
    ]
    assert.deepEqual(
      maskedView(aRequest({ headers })).headers.map(([, value]) => value),
      ['Basic ***', 'Bearer ***'],
    )
  })

  test('where nothing is to be masked, nothing is copied', () => {
    const request = aRequest({ headers: [['Accept', '*/*']] })
    assert.equal(maskedView(request).headers, request.headers)
  })
})

describe('withQueryPair', () => {
  const CASES: [url: string, name: string, value: string, href: string][] = [
    ['https://a.example/x', 'k', 'v', 'https://a.example/x?k=v'],
    ['https://a.example/x?a=1', 'k', 'v', 'https://a.example/x?a=1&k=v'],
    ['https://a.example/x?a=1&&b#frag?', 'k', 'v', 'https://a.example/x?a=1&&b&k=v#frag?'],
    [
      'https://a.example/',
      'api key',
      "a&b=c d+e/?#%é'(*)!",
      'https://a.example/?api%20key=a%26b%3Dc%20d%2Be%2F%3F%23%25%C3%A9%27%28%2A%29%21',
    ],
    ['https://a.example/?k=mine&a=1&k=again', 'k', 'v', 'https://a.example/?a=1&k=v'],
    ['https://a.example/?%6b=mine&api+key=mine', 'k', 'v', 'https://a.example/?api+key=mine&k=v'],
    ['https://a.example/?api+key=mine&api%20key=mine', 'api key', 'v', 'https://a.example/?api%20key=v'],
    ['https://a.example/?%zz=1&k', 'k', 'v', 'https://a.example/?%zz=1&k=v'],
    ['https://a.example/x', 'k', '***', 'https://a.example/x?k=***'],
  ]
  for (const [url, name, value, href] of CASES)
    test(`${url} + ${name}`, () => {
      const made = withQueryPair(aUrl(url), name, value)
      assert.equal(made.href, href)
      assert.equal(made.target, href.slice('https://a.example'.length).split('#')[0])
      assert.equal(made.path, aUrl(url).path)
    })

  test('an href that is written otherwise than its origin keeps its own writing', () => {
    const url = { ...aUrl('https://a.example/x'), href: 'https://a.example:443/x' }
    assert.equal(withQueryPair(url, 'k', 'v').href, 'https://a.example:443/x?k=v')
  })
})
