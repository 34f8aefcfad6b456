import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type CallItems, parseCallItems } from '../../../src/cli/call-items.ts'
import { CliError } from '../../../src/cli/ports.ts'

const URL = 'http://h/p'
const parse = (words: readonly string[]): CallItems => parseCallItems(words, { hasFiles: false })

const METHODS: [name: string, words: string[], hasFiles: boolean, method: string, url: string][] = [
  ['a URL alone is a GET', [URL], false, 'GET', URL],
  ['with a field it is a POST', [URL, 'a=b'], false, 'POST', URL],
  ['with a JSON field too', [URL, 'a:=1'], false, 'POST', URL],
  ['and with a file', [URL], true, 'POST', URL],
  ['a header and a parameter make no body', [URL, 'A:b', 'c==d'], false, 'GET', URL],
  ['a method that is given stands', ['get', URL, 'a=b'], false, 'get', URL],
  ['also one with a hyphen', ['VERSION-CONTROL', URL], false, 'VERSION-CONTROL', URL],
  ['a single word is the URL, whatever it looks like', ['localhost'], false, 'GET', 'localhost'],
  ['a host with a dot is no method', ['example.com', 'a==b'], false, 'GET', 'example.com'],
]
describe('method and URL', () => {
  for (const [name, words, hasFiles, method, url] of METHODS)
    test(name, () => {
      const parsed = parseCallItems(words, { hasFiles })
      assert.deepEqual([parsed.method, parsed.url], [method, url])
    })
})

const ITEMS: [name: string, item: string, expected: Partial<CallItems>][] = [
  ['a header', 'X-A:b', { headers: [['X-A', 'b']] }],
  ['a header as one writes it, with a blank', 'X-A: b c ', { headers: [['X-A', 'b c']] }],
  ['a header without a value is removed', 'Accept:', { headers: [['Accept', null]] }],
  ['a header whose value has separators', 'X-A:b=c:=d==e', { headers: [['X-A', 'b=c:=d==e']] }],
  ['a parameter', 'q==a=b', { params: [['q', 'a=b']] }],
  ['an empty parameter', 'q==', { params: [['q', '']] }],
  ['a text field', 'a=b', { fields: [{ name: 'a', text: 'b' }] }],
  ['a text field that is a URL', 'next=http://x/?a==b', { fields: [{ name: 'next', text: 'http://x/?a==b' }] }],
  ['a text field keeps its blanks and lines', 'a= b\n', { fields: [{ name: 'a', text: ' b\n' }] }],
  ['a JSON field as it was typed', 'n:=2.0', { fields: [{ name: 'n', json: '2.0' }] }],
  ['a JSON list', 'n:=["a=b", 1]', { fields: [{ name: 'n', json: '["a=b", 1]' }] }],
  ['an escaped colon', 'a\\:b=c', { fields: [{ name: 'a:b', text: 'c' }] }],
  ['an escaped equals sign', 'a\\=b:c', { headers: [['a=b', 'c']] }],
  ['an escaped backslash', 'a\\\\=c', { fields: [{ name: 'a\\', text: 'c' }] }],
  ['any other backslash', 'C\\D=c', { fields: [{ name: 'C\\D', text: 'c' }] }],
]
describe('items', () => {
  for (const [name, item, expected] of ITEMS)
    test(name, () => {
      const { headers, params, fields } = parse(['GET', URL, item])
      assert.deepEqual({ headers, params, fields }, { headers: [], params: [], fields: [], ...expected })
    })

  test('what is given more than once keeps its order', () => {
    assert.deepEqual(parse([URL, 'b==1', 'a==2', 'b==3']).params, [
      ['b', '1'],
      ['a', '2'],
      ['b', '3'],
    ])
  })
})

const REFUSED: [name: string, item: string, message: RegExp][] = [
  ['no separator', 'canary', /^item 1 after the URL has no name or no separator; write Header:Value, param==value, /],
  ['no name', '=canary', /has no name/],
  ['no JSON', 'a:={"canary"', /^the value of "a:=" is not JSON; write /],
  ['NaN', 'a:=NaN', /not JSON/],
  ['text that would end the descriptor', 'a:=1,"canary":2', /not JSON/],
]
describe('what is not understood is said without its value', () => {
  for (const [name, item, message] of REFUSED)
    test(name, () => {
      assert.throws(
        () => parse([URL, item]),
        (error) =>
          error instanceof CliError && error.exitCode === 2 && message.test(error.message) && !/canary/.test(error.message),
      )
    })
})

test('any name and value come back as they were given, whatever they hold', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.string({ unit: 'binary' }), (name, value) => {
      const escaped = name.replace(/[\\:=]/g, '\\$&')
      assert.deepEqual(parse([URL, `${escaped}==${value}`]).params, [[name, value]])
    }),
  )
})
