import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { resolveLocation } from '../../../src/prepare/resolve-location.ts'
import { prepareUrl } from '../../../src/prepare/url.ts'
import { aUrlText, aWildText } from './wild-text.ts'

const base = prepareUrl('https://h.example:8443/a/b?x=1#frag', undefined).url

/** As a header arrives: one character a byte. */
const asReceived = (text: string): string => Buffer.from(text).toString('latin1')

describe('a Location', () => {
  const cases: readonly (readonly [location: string, href: string])[] = [
    ['/c', 'https://h.example:8443/c#frag'],
    ['c', 'https://h.example:8443/a/c#frag'],
    ['../c#own', 'https://h.example:8443/c#own'],
    ['?y', 'https://h.example:8443/a/b?y#frag'],
    ['#own', 'https://h.example:8443/a/b?x=1#own'],
    ['', 'https://h.example:8443/a/b?x=1#frag'],
    ['//other.example/x', 'https://other.example/x#frag'],
    ['http://user:pass@OTHER.example/%2e%2e/x y', 'http://other.example/x%20y#frag'],
    ['/ü?ü', 'https://h.example:8443/%C3%BC?%C3%BC#frag'],
    ['http://2130706433/', 'http://127.0.0.1/#frag'],
    ['\\\\other.example/x', 'https://h.example:8443/a/%5C%5Cother.example/x#frag'],
    ['/\\other.example', 'https://h.example:8443/%5Cother.example#frag'],
    ['https:other.example', 'https://h.example:8443/other.example#frag'],
  ]
  for (const [location, href] of cases) {
    test(`${JSON.stringify(location)} leads to ${href}`, () => {
      assert.equal(resolveLocation(base, asReceived(location)).href, href)
    })
  }

  const refused: readonly (readonly [location: string, type: string])[] = [
    ['ftp://other.example/', 'InvalidSchema'],
    ['javascript:alert(1)', 'InvalidSchema'],
    ['other:8080/x', 'InvalidSchema'],
    ['http:/x', 'InvalidURL'],
    ['http://other.example:x/', 'InvalidURL'],
    ['http://U53R:P455@/', 'InvalidURL'],
    ['http://a..b/', 'InvalidURL'],
    ['http://other.example\\@h.example/', 'InvalidURL'],
  ]
  for (const [location, type] of refused) {
    test(`${JSON.stringify(location)} is the upstream's ${type}`, () => {
      assert.throws(
        () => resolveLocation(base, location),
        (error) => {
          assert.ok(error instanceof GatewayError)
          assert.deepEqual([error.type, error.status, error.sent], [type, 502, 'yes'])
          assert.match(error.message, /^h\.example redirected/)
          assert.doesNotMatch(error.message, /U53R|P455/)
          return true
        },
      )
    })
  }

  test('that is not UTF-8 is refused', () => {
    assert.throws(() => resolveLocation(base, '/\xfc'), { name: 'InvalidURL', status: 502 })
  })

  test('whatever it is, gives a prepared URL or a 502', () => {
    fc.assert(
      fc.property(fc.oneof(aUrlText, aWildText), (text) => {
        try {
          const url = resolveLocation(base, asReceived(text))
          assert.deepEqual(prepareUrl(url.href, undefined).url, url)
          assert.equal(new URL(url.href).hostname, url.hostname)
        } catch (error) {
          if (!(error instanceof GatewayError)) throw error
          assert.equal(error.status, 502)
        }
      }),
      { numRuns: 1500 },
    )
  })

  test('without a scheme or two slashes never leaves the host', () => {
    const relative = fc.array(fc.constantFrom('a', '.', '..', '/', '\\', '?', '#', '%2f', '%5c', '@', ';', ' '), { maxLength: 8 })
    fc.assert(
      fc.property(relative, (pieces) => {
        const location = pieces.join('')
        if (/^\s*\/\//.test(location)) return
        assert.equal(resolveLocation(base, location).origin, base.origin)
      }),
      { numRuns: 1000 },
    )
  })
})
