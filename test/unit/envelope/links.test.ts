import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { linksJson } from '../../../src/envelope/links.ts'

// Expected values are what Requests 2.34 gives in Response.links for the same header.
const CASES: Readonly<Record<string, readonly [header: string, text: string]>> = {
  'pages keyed by rel': [
    '<https://h/?page=2>; rel="next", <https://h/?page=9>; rel=last',
    '{"next":{"url":"https://h/?page=2","rel":"next"},"last":{"url":"https://h/?page=9","rel":"last"}}',
  ],
  'further parameters in order': [
    "<a.jpeg>; rel=front; type='image/jpeg'",
    '{"front":{"url":"a.jpeg","rel":"front","type":"image/jpeg"}}',
  ],
  'without rel the URL is the key': ['<a>', '{"a":{"url":"a"}}'],
  'an empty rel does not count as one': ['<a>; rel=""', '{"a":{"url":"a","rel":""}}'],
  'a comma inside a URL does not part links': ['<a,b>; rel=x', '{"x":{"url":"a,b","rel":"x"}}'],
  'a parameter with two equals signs ends the link': ['<a>; x=1=2; rel=next', '{"a":{"url":"a"}}'],
  'a parameter without a value ends the link': ['<a>; async; rel=next', '{"a":{"url":"a"}}'],
  'a later link of the same rel replaces the earlier one': ['<a>; rel=x, <b>; rel=x', '{"x":{"url":"b","rel":"x"}}'],
  'a rel called __proto__ is a key like any other': ['<a>; rel=__proto__', '{"__proto__":{"url":"a","rel":"__proto__"}}'],
  'nothing but quotes is no link': [' "" ', '{}'],
}

for (const [name, [header, text]] of Object.entries(CASES)) {
  test(`links: ${name}`, () => assert.equal(linksJson(header), text))
}

test('no Link header makes it throw, and the text is always JSON', () => {
  const unit = fc.constantFrom('<', '>', ';', ',', '=', '"', "'", ' ', 'a', 'rel', '\\', '\n')
  fc.assert(fc.property(fc.string({ unit }), (header) => void JSON.parse(linksJson(header))))
})
