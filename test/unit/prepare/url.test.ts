import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { ErrorType } from '../../../src/errors/catalogue.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { Pairs } from '../../../src/model/descriptor.ts'
import { originOf } from '../../../src/model/mount.ts'
import { type PreparedUrlParts, prepareUrl } from '../../../src/prepare/url.ts'
import { aUrlText, aWildText } from './wild-text.ts'

function refusal(url: string, params?: Pairs | string): GatewayError {
  try {
    prepareUrl(url, params)
  } catch (error) {
    if (error instanceof GatewayError) return error
    throw error
  }
  throw new assert.AssertionError({ message: `${JSON.stringify(url)} was not refused` })
}

/** undefined where it is refused as it should be; anything but a GatewayError goes on. */
function attempt(url: string, params?: Pairs | string): PreparedUrlParts | undefined {
  try {
    return prepareUrl(url, params)
  } catch (error) {
    if (error instanceof GatewayError) return undefined
    throw error
  }
}

test('a host of millions of characters is InvalidURL, in no time', () => {
  for (const host of ['a'.repeat(5_000_000), '%61'.repeat(1_000_000), '.'.repeat(5_000_000), `[${':'.repeat(5_000_000)}]`]) {
    assert.equal(refusal(`http://${host}/`).type, 'InvalidURL')
    assert.equal(refusal(`http://u:p@${host}:80/`).type, 'InvalidURL')
  }
})

test('a URL that needs no change is prepared as if it were looked at part by part', () => {
  const host = fc.stringMatching(/^[a-z0-9._-]{1,12}$/)
  const some = fc.constantFrom('api.example.com', '127.0.0.1', '2130706433', 'xn--bcher-kva.example', 'h.example.', 'localhost')
  const port = fc.constantFrom('', ':80', ':443', ':8080', ':0', ':65535', ':65536', ':')
  const path = fc.stringMatching(/^(?:\/[\w.~!$&'()*+,;=:@-]{0,4}){0,3}$/)
  const query = fc.stringMatching(/^(?:\?[\w.~!$&'()*+,;=:@/?-]{0,6})?$/)
  fc.assert(
    fc.property(fc.constantFrom('http', 'https'), fc.oneof(host, some), port, path, query, (scheme, ...parts) => {
      const url = `${scheme}://${parts.join('')}`
      // White space in front is ignored, and is a change.
      assert.deepEqual(attempt(url), attempt(` ${url}`), url)
    }),
    { numRuns: 3000 },
  )
})

describe('a prepared URL', () => {
  test('has every part of it, with the default port made explicit', () => {
    assert.deepEqual(prepareUrl('HTTPS://us%20er:p%40ss@API.example.com/a b?x=1#top', [['y', 'ä z']]), {
      url: {
        href: 'https://api.example.com/a%20b?x=1&y=%C3%A4+z#top',
        scheme: 'https',
        hostname: 'api.example.com',
        port: 443,
        origin: 'https://api.example.com',
        target: '/a%20b?x=1&y=%C3%A4+z',
        path: '/a%20b',
        fragment: 'top',
      },
      userinfo: { username: 'us er', password: 'p@ss' },
      loginIgnored: false,
    })
  })

  const origins: readonly (readonly [url: string, origin: string, port: number])[] = [
    ['http://h.example:80/', 'http://h.example', 80],
    ['http://h.example./', 'http://h.example', 80],
    ['http://h.example.:8080/', 'http://h.example:8080', 8080],
    ['https://h.example:443/', 'https://h.example', 443],
    ['http://h.example:443/', 'http://h.example:443', 443],
    ['https://h.example:0/', 'https://h.example', 443],
    ['http://h.example:/', 'http://h.example', 80],
    ['http://[::1]:8080/', 'http://[::1]:8080', 8080],
    ['http://2130706433:81/', 'http://127.0.0.1:81', 81],
  ]
  for (const [url, origin, port] of origins) {
    test(`${url} has the origin ${origin}`, () => {
      const { url: prepared } = prepareUrl(url, undefined)
      assert.deepEqual([prepared.origin, prepared.port], [origin, port])
    })
  }

  test('says where a user without a password was left out', () => {
    assert.equal(prepareUrl('http://user@h.example/', undefined).loginIgnored, true)
    assert.equal(prepareUrl('http://user:@h.example/', undefined).loginIgnored, false)
    assert.equal(prepareUrl('http://:@h.example/', undefined).loginIgnored, false)
    assert.equal(prepareUrl('http://@h.example/', undefined).loginIgnored, false)
  })
})

describe('a URL that cannot be called', () => {
  const cases: readonly (readonly [url: string, type: ErrorType, says: RegExp])[] = [
    ['', 'MissingSchema', /No scheme supplied/],
    ['api.example.com/v1', 'MissingSchema', /Perhaps you meant https:\/\/api\.example\.com\?/],
    ['//api.example.com/v1', 'MissingSchema', /https:\/\/api\.example\.com\?/],
    ['api.example.com:8080/v1', 'InvalidSchema', /only http:\/\/ and https:\/\//],
    ['ftp://h.example/', 'InvalidSchema', /"ftp:…"/],
    ['http://', 'InvalidURL', /No host supplied/],
    ['http://h.example:65536/', 'InvalidURL', /"http:\/\/h\.example:65536": the port is greater than 65535/],
    ['http://h.example:x/', 'InvalidURL', /no host with an optional port/],
    ['http://*.example/', 'InvalidURL', /invalid label/],
    ['http://a..example/', 'InvalidURL', /invalid label: empty/],
    ['http://ｅxample.com/', 'InvalidURL', /IDNA/],
    ['http://1.2.3.4.5/', 'InvalidURL', /no IPv4 address/],
    ['http://[::1%25eth0]/', 'InvalidURL', /zone identifier/],
    ['http://[::g]/', 'InvalidURL', /no IPv6 address/],
    ['http://h.example/\ud800', 'InvalidURL', /surrogate/],
  ]
  for (const [url, type, says] of cases) {
    test(`${JSON.stringify(url)} is ${type}`, () => {
      const error = refusal(url)
      assert.equal(error.type, type)
      assert.match(error.message, says)
      assert.equal(error.status, 400)
      assert.deepEqual(error.detail, [{ pointer: '/url', message: error.message }])
    })
  }

  const logins = ['U53R:P455@', 'U53R:P/455@', 'U53R:P?455@', 'U53R:P#455@', 'U53R:P\\455@', 'U53R:P%40455@', 'U53R:P＠455@']
  for (const login of logins) {
    test(`a refusal never shows the login of ${JSON.stringify(login)}`, () => {
      const urls = [
        'http://{}..example/',
        '{}h.example',
        'ftp://{}h.example/',
        '{}h.example:80/',
        'http://{}h.example:x/',
        'http://{}',
      ]
      for (const url of urls) {
        const { message } = refusal(url.replace('{}', login))
        assert.doesNotMatch(message, /U53R|455/)
      }
    })
  }

  test('a refusal shows neither path nor query', () => {
    assert.doesNotMatch(refusal('hooks.example/T0KEN?key=S3CRET#F').message, /T0KEN|S3CRET|#F/)
  })

  test('params that are no text are a fault of the params', () => {
    assert.deepEqual(refusal('http://h.example/', [['a', '\ud800']]).type, 'InvalidDescriptor')
    assert.match(JSON.stringify(refusal('http://h.example/', '\udc00').detail), /"\/params"/)
  })
})

describe('for whatever text', () => {
  test('preparing gives a URL or a GatewayError', () => {
    fc.assert(fc.property(aWildText, fc.option(aWildText, { nil: undefined }), (url, params) => void attempt(url, params)))
    fc.assert(fc.property(aUrlText, fc.option(aWildText, { nil: undefined }), (url, params) => void attempt(url, params)))
  })

  test('what is sent is visible ASCII and begins with a slash', () => {
    fc.assert(
      fc.property(aUrlText, fc.option(aWildText, { nil: undefined }), (text, params) => {
        const url = attempt(text, params)?.url
        if (url === undefined) return
        assert.match(url.href, /^[!-~]+$/)
        assert.match(url.target, /^\/[!-~]*$/)
        assert.doesNotMatch(url.target, /#/)
      }),
      { numRuns: 1000 },
    )
  })

  test('a URL parser of another make sees the same scheme, host, port and path, and no login', () => {
    fc.assert(
      fc.property(aUrlText, fc.option(aWildText, { nil: undefined }), (text, params) => {
        const url = attempt(text, params)?.url
        if (url === undefined) return
        const other = new URL(url.href)
        assert.equal(other.hostname, url.hostname)
        assert.equal(other.protocol, `${url.scheme}:`)
        assert.equal(Number(other.port) || (url.scheme === 'http' ? 80 : 443), url.port)
        assert.equal(originOf(other), url.origin)
        assert.equal(other.pathname, url.path)
        assert.equal(other.username + other.password, '')
      }),
      { numRuns: 1500 },
    )
  })

  test('preparing what was prepared changes nothing', () => {
    const pairs = fc.array(fc.tuple(fc.string(), fc.option(fc.string(), { nil: null })), { maxLength: 3 })
    fc.assert(
      fc.property(aUrlText, fc.option(pairs, { nil: undefined }), (text, params) => {
        const url = attempt(text, params)?.url
        if (url !== undefined) assert.deepEqual(prepareUrl(url.href, undefined).url, url)
      }),
      { numRuns: 1500 },
    )
  })

  test('no dot segment is left in a path, encoded or not', () => {
    fc.assert(
      fc.property(aUrlText, (text) => {
        const path = attempt(text)?.url.path ?? '/'
        assert.doesNotMatch(path, /\/(?:\.|%2e){1,2}(?:\/|$)/i)
      }),
      { numRuns: 1500 },
    )
  })

  test('pairs come back out of the query as they went in', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }))), (given) => {
        const pairs = given.map(([name, value]) => [name.toWellFormed(), value.toWellFormed()] as const)
        const { target } = prepareUrl('http://h.example/', pairs).url
        assert.deepEqual([...new URLSearchParams(target.slice(2))], pairs)
      }),
      { numRuns: 1000 },
    )
  })
})
