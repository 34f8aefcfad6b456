import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type JsonNode, jsonPointer, type ParsedJson, parseJson, splitJsonList } from '../../../src/json/parse-json.ts'

const OPTIONS = { maxDepth: 64, rawMember: 'json' }
const parse = (text: string | Buffer): ParsedJson => parseJson(Buffer.from(text as string), OPTIONS)

function value(text: string): JsonNode {
  const parsed = parse(text)
  assert.ok(parsed.ok, text)
  return parsed.value
}

function members(text: string): (readonly [string, unknown])[] {
  const node = value(text)
  assert.ok(typeof node === 'object' && node !== null && 'kind' in node && node.kind === 'object')
  return [...node.members]
}

function doubts(text: string): readonly unknown[] {
  const parsed = parse(text)
  assert.ok(parsed.ok, text)
  return parsed.doubts.map(({ pointer, message }) => `${pointer} ${message}`)
}

/** What JSON.parse would make of the tree; only for texts without repeated names. */
function plain(node: JsonNode): unknown {
  if (node === null || typeof node !== 'object') return node
  if (!('kind' in node)) return node.map(plain)
  if (node.kind === 'number') return Number(node.text)
  if (node.kind === 'raw') return JSON.parse(node.bytes.toString())
  return Object.fromEntries(node.members.map(([name, member]) => [name, plain(member)]))
}

describe('what JSON.parse would lose is kept', () => {
  test('members stand in the order of the text, integer-like names too', () => {
    assert.deepEqual(
      members('{"b":1,"10":2,"2":3,"a":4}').map(([name]) => name),
      ['b', '10', '2', 'a'],
    )
  })
  test('numbers keep their own text', () => {
    assert.deepEqual(value('[2.0, 9007199254740993, 1E5, -0]'), [
      { kind: 'number', text: '2.0' },
      { kind: 'number', text: '9007199254740993' },
      { kind: 'number', text: '1E5' },
      { kind: 'number', text: '-0' },
    ])
  })
  test('the raw member is its own text, white space inside and repeated names and all', () => {
    const raw = members('{ "json" : { "a": 1.0, "a" :[ ] } , "x": {"json": 1}}')[0]?.[1] as { bytes: Buffer }
    assert.equal(raw.bytes.toString(), '{ "a": 1.0, "a" :[ ] }')
  })
  test('only the root has a raw member', () => {
    assert.deepEqual(members('{"x": {"json": true}}')[0]?.[1], { kind: 'object', members: [['json', true]] })
  })
  test('__proto__ is a name like any other', () => {
    const [first] = members('{"__proto__": {"polluted": true}}')
    assert.equal(first?.[0], '__proto__')
    assert.equal(({} as Record<string, unknown>).polluted, undefined)
  })
})

describe('strings', () => {
  const cases: [text: string, value: string][] = [
    ['"plain"', 'plain'],
    ['"\\u0041\\n\\\\\\/"', 'A\n\\/'],
    ['"ä→😀"', 'ä→😀'],
    ['"\\ud83d\\ude00"', '😀'],
    ['""', ''],
  ]
  for (const [text, expected] of cases) test(text, () => assert.equal(value(text), expected))
})

test('a large input is read as a small one is', () => {
  const text = `{"a":"${'x'.repeat(5000)}","ä":[2.0,"b"]}`
  assert.deepEqual(members(text), [
    ['a', 'x'.repeat(5000)],
    ['ä', [{ kind: 'number', text: '2.0' }, 'b']],
  ])
})

describe('a repeated key is found, wherever it stands', () => {
  const cases: [text: string, pointers: string[]][] = [
    ['{"a":1,"a":2}', ['/a']],
    ['{"a":1,"\\u0061":2}', ['/a']],
    ['{"x":[0,{"k":1,"k":1}],"y":{"z":{"k":1,"k":2}}}', ['/x/1/k', '/y/z/k']],
    ['{"json":1,"json":2}', ['/json']],
    ['{"json":{"a":1,"a":2}}', []],
    ['{"a/b~":1,"a/b~":2}', ['/a~1b~0']],
    [`{${Array.from({ length: 20 }, (_, i) => `"k${i % 19}":1`).join()}}`, ['/k0']],
    [`{${Array.from({ length: 10 }, (_, i) => `"k${i % 9}":1`).join()}}`, ['/k0']],
    [`{${Array.from({ length: 9 }, (_, i) => `"k${i % 8}":1`).join()}}`, ['/k0']],
  ]
  for (const [text, pointers] of cases) {
    test(text, () =>
      assert.deepEqual(
        doubts(text),
        pointers.map((pointer) => `${pointer} the key is given more than once`),
      ),
    )
  }
  test('no more than a hundred are told', () =>
    assert.equal(doubts(`{${Array.from({ length: 500 }, () => '"a":1').join()}}`).length, 100))
})

describe('half of a surrogate pair', () => {
  const cases: [text: string, pointer: string][] = [
    ['{"a":["x","\\ud800"]}', '/a/1'],
    ['{"a":{"b":"\\udc00\\ud800"}}', '/a/b'],
    ['{"a":{"\\ud800":1}}', '/a'],
    ['{"\\ud800":1}', ''],
    ['"\\ud800"', ''],
  ]
  for (const [text, pointer] of cases) {
    test(`${text} is told at "${pointer}"`, () =>
      assert.deepEqual(doubts(text), [`${pointer} half of a surrogate pair stands alone and cannot be sent`]))
  }
  test('stands untouched in the raw member', () => assert.deepEqual(doubts('{"json":"\\ud800"}'), []))
})

describe('what is no JSON', () => {
  test('says so with the place', () =>
    assert.deepEqual(parse('{"a":'), { ok: false, at: 5, reason: 'it ends too early', nonFinite: false }))
  test('says so of NaN', () => assert.partialDeepStrictEqual(parse('{"json":[NaN]}'), { ok: false, at: 9, nonFinite: true }))
  test('says so of bytes that are no UTF-8', () =>
    assert.partialDeepStrictEqual(parse(Buffer.from('7b7d20ff', 'hex')), { ok: false }))
  test('may be nested too deep, inside the raw member too', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    for (const key of ['json', 'other']) {
      assert.equal(parse(`{"${key}":${nested(63)}}`).ok, true)
      assert.partialDeepStrictEqual(parse(`{"${key}":${nested(64)}}`), {
        ok: false,
        reason: 'it is nested more than 64 levels deep',
      })
    }
  })
})

describe('a list is split into the texts of its items', () => {
  const cases: [list: string, items: string[] | null][] = [
    ['[]', []],
    ['[ ]', []],
    ['[1]', ['1']],
    ['[ {"a": 1.0} , [2,3],"x,]" ,null ]', ['{"a": 1.0}', '[2,3]', '"x,]"', 'null']],
    ['{"a":1}', null],
    ['1', null],
  ]
  for (const [list, items] of cases) {
    test(list, () => assert.deepEqual(splitJsonList(Buffer.from(list), 64, 10)?.map(String) ?? null, items))
  }
})

test('a list is not split further than one item beyond what anybody wants', () => {
  assert.equal(splitJsonList(Buffer.from(`[${'1,'.repeat(100)}1]`), 64, 10)?.length, 11)
  assert.equal(splitJsonList(Buffer.from('[1,2]'), 64, 2)?.length, 2)
})

test('a pointer escapes and cuts its names', () => {
  assert.equal(jsonPointer(['a~/b', 3, 'x'.repeat(100)]), `/a~0~1b/3/${'x'.repeat(64)}…`)
  assert.equal(jsonPointer([]), '')
})

test('it reads any JSON as JSON.parse does', () => {
  fc.assert(
    fc.property(fc.json({ stringUnit: 'binary' }), (text) => {
      assert.deepEqual(plain(value(text)), JSON.parse(text))
    }),
    { numRuns: 500 },
  )
})

test('it takes exactly what JSON.parse takes, on text made of JSON tokens', () => {
  const token = fc.constantFrom('{', '}', '[', ']', ',', ':', '"a"', '"json"', '"\\', '1', '-', '.5', 'e3', 'true', 'null', ' ')
  fc.assert(
    fc.property(fc.array(token, { maxLength: 12 }), (tokens) => {
      const text = tokens.join('')
      let expected = true
      try {
        JSON.parse(text)
      } catch {
        expected = false
      }
      assert.equal(parse(text).ok, expected, text)
    }),
    { numRuns: 5000 },
  )
})

test('large and hostile texts take linear time', () => {
  const size = 3_000_000
  const texts = {
    brackets: '['.repeat(size),
    'open objects': '{"a":'.repeat(size / 5),
    'one long string': `"${'x'.repeat(size)}`,
    'one long number': '1'.repeat(size),
    escapes: `"${'\\u0041'.repeat(size / 6)}"`,
    names: `{${Array.from({ length: size / 12 }, (_, i) => `"${i}":1`).join()}}`,
    'one name again and again': `{${'"a":1,'.repeat(size / 6)}"a":1}`,
    scalars: `[${'1,'.repeat(size / 2)}1]`,
  }
  for (const [name, text] of Object.entries(texts)) {
    const bytes = Buffer.from(text)
    const started = performance.now()
    parseJson(bytes, OPTIONS)
    assert.ok(performance.now() - started < 5000, name)
  }
})
