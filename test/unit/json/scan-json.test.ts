import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { checkJson, skipJsonValue } from '../../../src/json/scan-json.ts'
import { someTokens } from '../../support/json-text.ts'

const check = (text: string | Buffer, maxDepth = 64) => checkJson(Buffer.from(text as string), maxDepth)

function parses(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

describe('text that is JSON', () => {
  const texts = [
    '0',
    '-0',
    '1.5e-7',
    '1E+2',
    '""',
    '"\\u00e9\\n\\/\\ud800"',
    ' \t\r\n[ ] ',
    '{}',
    '{"a":[1,{"b":null}],"a":true}',
    '[[],{}]',
  ]
  for (const text of texts) test(text.trim(), () => assert.deepEqual(check(text), { ok: true }))
  test('any UTF-8', () => assert.deepEqual(check('"ä→😀"'), { ok: true }))
})

describe('text that is no JSON says where and why', () => {
  const cases: [text: string | Buffer, at: number, reason: RegExp][] = [
    ['', 0, /ends too early/],
    ['  ', 2, /ends too early/],
    ['[1,2', 4, /ends too early/],
    ['"abc', 4, /ends too early/],
    ['{"a"', 4, /ends too early/],
    ['[1,]', 3, /unexpected \]/],
    ['[1}', 2, /unexpected }/],
    ['{"a":1,}', 7, /unexpected }/],
    ['{a:1}', 1, /unexpected a/],
    ['{"a" 1}', 5, /unexpected 1/],
    ['01', 1, /unexpected 1/],
    ['1.', 2, /ends too early/],
    ['-', 1, /ends too early/],
    ['+1', 0, /unexpected \+/],
    ['.5', 0, /unexpected \./],
    ['1e', 2, /ends too early/],
    ['nul', 3, /ends too early/],
    ['nuLl', 2, /unexpected L/],
    ["'a'", 0, /unexpected '/],
    ['"\\x"', 2, /unexpected x/],
    ['"\\u12g4"', 5, /unexpected g/],
    ['"a\nb"', 2, /unexpected byte 0x0a/],
    ['[1] 2', 4, /unexpected 2/],
    ['\ufeff{}', 0, /unexpected byte 0xef/],
    ['undefined', 0, /unexpected u/],
    [Buffer.from('22ff22', 'hex'), 0, /UTF-8/],
    [Buffer.from('22eda08022', 'hex'), 0, /UTF-8/],
  ]
  for (const [text, at, reason] of cases) {
    test(JSON.stringify(text.toString()), () => {
      const verdict = check(text)
      assert.ok(!verdict.ok)
      assert.equal(verdict.at, at)
      assert.match(verdict.reason, reason)
      assert.equal(verdict.nonFinite, false)
    })
  }
})

describe('NaN and Infinity', () => {
  for (const text of ['NaN', '[1, -Infinity]', '{"a":Infinity,"b":NaN}']) {
    test(`${text} would be JSON but for them`, () => assert.partialDeepStrictEqual(check(text), { ok: false, nonFinite: true }))
  }
  for (const text of [
    '[NaN',
    '+Infinity',
    'Infinit',
    'NaNa',
    '[NaN,]',
    'nan',
    '-NaN',
    Buffer.from('5b4e614e2c22ff225d', 'hex'),
  ]) {
    test(`${text} is no JSON for another reason`, () =>
      assert.partialDeepStrictEqual(check(text), { ok: false, nonFinite: false }))
  }
  test('the first one is where it points', () => assert.partialDeepStrictEqual(check('[1, NaN, Infinity]'), { at: 4 }))
})

describe('depth', () => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  test('as many open brackets as allowed are taken', () => assert.deepEqual(check(nested(64)), { ok: true }))
  test('one more is refused, saying how many are allowed', () => {
    assert.deepEqual(check(nested(65)), { ok: false, at: 64, reason: 'it is nested more than 64 levels deep', nonFinite: false })
  })
  test('a scalar has no depth', () => assert.deepEqual(check('1', 0), { ok: true }))
  test('brackets beside each other do not add up', () => assert.deepEqual(check(`[${'[],{},'.repeat(100)}[]]`, 2), { ok: true }))
  test('ten million open brackets are answered at once', () => {
    const before = process.cpuUsage()
    assert.equal(check('['.repeat(10_000_000)).ok, false)
    assert.equal(checkJson(Buffer.from('['.repeat(10_000_000)), 1e9).ok, false)
    assert.ok(process.cpuUsage(before).user < 4_000_000)
  })
})

describe('the end of a value', () => {
  const cases: [text: string, start: number, end: number][] = [
    ['{"a":"}"} ,', 0, 9],
    ['[1, "x]" ,3]', 4, 8],
    ['[1.5e3,3]', 1, 6],
    ['[true]', 1, 5],
    ['[tru]', 1, -1],
    ['[NaN]', 1, -1],
    ['[[[]]]', 1, -1],
  ]
  for (const [text, start, end] of cases) {
    test(`from ${start} in ${text}`, () => assert.equal(skipJsonValue(Buffer.from(text), start, 1), end))
  }
})

test('it agrees with JSON.parse on arbitrary text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => check(text).ok === parses(text)),
    { numRuns: 500 },
  )
})

test('it agrees with JSON.parse on text made of JSON tokens', () => {
  fc.assert(
    fc.property(someTokens, (text) => check(text).ok === parses(text)),
    { numRuns: 5000 },
  )
})

test('it agrees with JSON.parse on JSON with a byte changed, dropped or doubled', () => {
  fc.assert(
    fc.property(fc.json(), fc.nat(), fc.integer({ min: 0, max: 127 }), fc.constantFrom(0, 1, 2), (text, where, byte, deed) => {
      const bytes = Buffer.from(text)
      const at = where % (bytes.length + 1)
      const middle = deed === 0 ? [] : deed === 1 ? [byte] : [...bytes.subarray(at, at + 1), ...bytes.subarray(at, at + 1)]
      const mutated = Buffer.concat([bytes.subarray(0, at), Buffer.from(middle), bytes.subarray(at + 1)])
      if (mutated.toString().isWellFormed() && !mutated.toString().includes('\ufffd')) {
        assert.equal(checkJson(mutated, 64).ok, parses(mutated.toString()), mutated.toString())
      }
    }),
    { numRuns: 3000 },
  )
})

test('arbitrary bytes never make it throw', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => typeof checkJson(bytes, 3).ok === 'boolean'))
})
