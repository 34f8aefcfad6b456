import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Pairs } from '../../../src/model/descriptor.ts'
import { prepareCall, withAdapterParams } from '../../../src/prepare/prepare-call.ts'
import { aDescriptor, anAdapter } from '../../support/builders.ts'

const boundary = (): string => 'b'

describe('a call', () => {
  test('carries everything that does not depend on the adapter', () => {
    const descriptor = aDescriptor({
      method: 'POST',
      url: 'https://user:pass@api.example.com/v1',
      params: [['q', 'a b']],
      headers: [['X-Team', null]],
      body: { kind: 'form', pairs: [['a', '1']] },
      cookies: [['c', 'd']],
      idempotencyKey: 'k-1',
    })
    const { outbound, userinfo, warnings } = prepareCall(descriptor, boundary)
    assert.deepEqual(
      { ...outbound, url: outbound.url.href },
      {
        hop: 0,
        method: 'POST',
        url: 'https://api.example.com/v1?q=a+b',
        headers: [['X-Team', null]],
        body: Buffer.from('a=1'),
        contentType: 'application/x-www-form-urlencoded',
        cookies: [['c', 'd']],
        idempotencyKey: 'k-1',
      },
    )
    assert.deepEqual(userinfo, { username: 'user', password: 'pass' })
    assert.deepEqual(warnings, [])
  })

  test('warns of a user without a password, and does not name the user', () => {
    const { userinfo, warnings } = prepareCall(aDescriptor({ url: 'https://U53R@api.example.com/' }), boundary)
    assert.equal(userinfo, null)
    assert.equal(warnings.length, 1)
    assert.doesNotMatch(warnings.join(), /U53R/)
  })
})

describe("an adapter's params", () => {
  const persisted: readonly (readonly [string, string])[] = [
    ['v', '1'],
    ['w', '2'],
  ]
  const cases: readonly (readonly [name: string, given: Pairs | string | undefined, query: string])[] = [
    ['stand alone', undefined, 'v=1&w=2'],
    ['come before the caller’s', [['a', '3']], 'v=1&w=2&a=3'],
    [
      'are replaced where they stand',
      [
        ['a', '3'],
        ['w', '9'],
      ],
      'v=1&w=9&a=3',
    ],
    [
      'are replaced by all of a list',
      [
        ['v', '8'],
        ['a', '3'],
        ['v', '9'],
      ],
      'v=8&v=9&w=2&a=3',
    ],
    ['are removed by null', [['v', null]], 'w=2'],
    ['give way to a string altogether', 'a=3', 'a=3'],
  ]
  for (const [name, params, query] of cases) {
    test(name, () => {
      const descriptor = aDescriptor({ url: 'https://h.example/?u=0#f', ...(params !== undefined && { params }) })
      const { outbound } = prepareCall(descriptor, boundary)
      const { url } = withAdapterParams(descriptor, outbound, anAdapter({ params: persisted }))
      assert.equal(url.href, `https://h.example/?u=0&${query}#f`)
    })
  }

  test('where there are none, the request stays the very same', () => {
    const descriptor = aDescriptor()
    const { outbound } = prepareCall(descriptor, boundary)
    assert.equal(withAdapterParams(descriptor, outbound, anAdapter()), outbound)
  })

  test('given twice, both are sent unless the caller has that name', () => {
    const descriptor = aDescriptor({ params: [['b', '1']] })
    const { outbound } = prepareCall(descriptor, boundary)
    const adapter = anAdapter({
      params: [
        ['a', '1'],
        ['b', '8'],
        ['a', '2'],
        ['b', '9'],
      ],
    })
    assert.equal(withAdapterParams(descriptor, outbound, adapter).url.target, '/?a=1&b=1&a=2')
  })
})
