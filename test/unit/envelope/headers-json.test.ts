import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { mergeHeaders, objectText, requestHeaders } from '../../../src/envelope/headers-json.ts'

const CASES: Readonly<Record<string, readonly [raw: readonly string[], text: string]>> = {
  'nothing is an empty object': [[], '{}'],
  'names are in lower case, in order of arrival': [['X-B', '1', 'A', '2'], '{"x-b":"1","a":"2"}'],
  'repeats are joined where the first stood': [['Via', 'a', 'x', '1', 'via', 'b'], '{"via":"a, b","x":"1"}'],
  'set-cookie is a list even where there is one': [['Set-Cookie', 'a=1'], '{"set-cookie":["a=1"]}'],
  'set-cookies are never joined': [['Set-Cookie', 'a=1', 'set-cookie', 'b=2, c'], '{"set-cookie":["a=1","b=2, c"]}'],
  'an empty value joins as RFC 9110 says': [['A', '', 'A', 'x'], '{"a":", x"}'],
  '__proto__ and constructor are names like any other': [
    ['__proto__', 'x', 'constructor', 'y', '__proto__', 'z'],
    '{"__proto__":"x, z","constructor":"y"}',
  ],
  'names that look like indices keep their place': [['b', '1', '7', '2', '1', '3'], '{"b":"1","7":"2","1":"3"}'],
  'bytes beyond ASCII are latin-1': [['x', Buffer.from([0xe9]).toString('latin1')], '{"x":"é"}'],
}

for (const [name, [raw, text]] of Object.entries(CASES)) {
  test(`headers: ${name}`, () => assert.equal(objectText(mergeHeaders(raw)), text))
}

test('a request shows its headers in the case and order they went out, a repeated name as a list', () => {
  const headers = requestHeaders([
    ['X-Two', '1'],
    ['Accept', '*/*'],
    ['X-Two', '2'],
    ['X-Two', '3'],
  ])
  assert.equal(objectText(headers), '{"X-Two":["1","2","3"],"Accept":"*/*"}')
})

test('whatever the names and values, the text is JSON with each name once', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string(), fc.string())), (pairs) => {
      const merged = mergeHeaders(pairs.flat())
      assert.deepEqual(Object.keys(JSON.parse(objectText(merged))).sort(), merged.names.toSorted())
    }),
  )
})
