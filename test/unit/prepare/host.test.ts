import assert from 'node:assert/strict'
import { test } from 'node:test'
import { domainToASCII } from 'node:url'
import fc from 'fast-check'
import { judgeHost } from '../../../src/prepare/host.ts'

const HOSTS: readonly (readonly [given: string, host: string | RegExp])[] = [
  ['API.Example.com', 'api.example.com'],
  ['localhost', 'localhost'],
  ['example.com.', 'example.com.'],
  ['a_b.example', 'a_b.example'],
  ['xn--knig-5qa.de', 'xn--knig-5qa.de'],
  ['König.de', 'xn--knig-5qa.de'],
  ['ex%61mple.com', 'example.com'],
  ['127.0.0.1', '127.0.0.1'],
  ['127.1', '127.0.0.1'],
  ['0x7f000001', '127.0.0.1'],
  ['0177.0.0.1', '127.0.0.1'],
  ['2130706433', '127.0.0.1'],
  ['127.0.0.1.', '127.0.0.1'],
  ['%31%32%37.1', '127.0.0.1'],
  ['[::FFFF:127.0.0.1]', '[::ffff:7f00:1]'],
  ['1.2.3.4.5', /no IPv4/],
  ['256.1.1.1', /no IPv4/],
  ['[fe80::1%25lo]', /zone/],
  ['[1.2.3.4]', /no IPv6/],
  ['①②⑦.⓪.⓪.①', /IDNA/],
  ['example。com', /IDNA/],
  ['☃.net', /IDNA/],
  ['a\u00adb.com', /IDNA/],
  ['a%2fb', /character/],
  ['%2531', /character/],
  ['a b', /character/],
  ['a\nb', /character/],
  ['a..b', /empty/],
  ['a..', /empty/],
  [`${'a'.repeat(64)}.com`, /longer than 63/],
  [`${'ä'.repeat(60)}.com`, /longer than 63/],
  [Array(64).fill('abc').join('.'), /longer than 253/],
  ['ä'.repeat(100_000), /longer than 253/],
  ['.a', /starts with/],
  ['%2ea', /starts with/],
  ['*.a', /starts with/],
]

for (const [given, wanted] of HOSTS) {
  test(`the host ${JSON.stringify(given.slice(0, 40))} is ${wanted instanceof RegExp ? `refused: ${wanted.source}` : wanted}`, () => {
    const verdict = judgeHost(given)
    if (wanted instanceof RegExp) assert.match('fault' in verdict ? verdict.fault : `not refused: ${verdict.host}`, wanted)
    else assert.deepEqual(verdict, { host: wanted })
  })
}

test('a name that is let through without a parser is one that the parser leaves alone', () => {
  const label = fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/)
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 4 }), (labels) => {
      const verdict = judgeHost(labels.join('.'))
      assert.equal('host' in verdict ? verdict.host : '', domainToASCII(labels.join('.')))
    }),
    { numRuns: 1000 },
  )
})

test('an address in dotted form is one to the parser too', () => {
  const octet = fc.oneof(fc.nat(300), fc.constantFrom('00', '08', '010', '0x1', '')).map(String)
  fc.assert(
    fc.property(fc.array(octet, { minLength: 1, maxLength: 5 }), (octets) => {
      const host = octets.join('.')
      const verdict = judgeHost(host)
      if ('host' in verdict) assert.equal(verdict.host, domainToASCII(host))
    }),
    { numRuns: 1000 },
  )
})
