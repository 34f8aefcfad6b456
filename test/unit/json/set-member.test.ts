// One member set in a JSON text, and nothing else of it touched.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { setJsonMember } from '../../../src/json/set-member.ts'

const set = (text: string, steps: readonly string[], value = '"S"'): string => {
  const setting = setJsonMember(Buffer.from(text), steps, value, 64)
  return setting.ok ? setting.bytes.toString() : setting.fault
}

const CASES: [name: string, text: string, steps: string[], expected: string][] = [
  ['an empty object', '{}', ['k'], '{"k":"S"}'],
  ['an empty object with space in it', ' { } ', ['k'], ' {"k":"S" } '],
  ['behind the others', '{"a":1}', ['k'], '{"a":1,"k":"S"}'],
  ['behind the others, their space kept', '{\n  "a" : 1\n}\n', ['k'], '{\n  "a" : 1,"k":"S"\n}\n'],
  ['in place of what was there', '{"a":1,"k" : {"x":[1,2]} , "b":2}', ['k'], '{"a":1,"k" : "S" , "b":2}'],
  ['each time the name is there', '{"k":1,"a":2,"k":null}', ['k'], '{"k":"S","a":2,"k":"S"}'],
  ['a name written with escapes', '{"\\u006b":1}', ['k'], '{"\\u006b":"S"}'],
  ['a name beyond ASCII', '{"ключ":1}', ['ключ'], '{"ключ":"S"}'],
  ['a name that must be escaped', '{}', ['a"b\\'], '{"a\\"b\\\\":"S"}'],
  [
    'further in',
    '{"auth":{"user":"u"},"z":9007199254740993}',
    ['auth', 'key'],
    '{"auth":{"user":"u","key":"S"},"z":9007199254740993}',
  ],
  ['objects on the way made', '{"z":1.0}', ['auth', 'inner', 'key'], '{"z":1.0,"auth":{"inner":{"key":"S"}}}'],
  ['every object of that name', '{"o":{"k":1},"o":{}}', ['o', 'k'], '{"o":{"k":"S"},"o":{"k":"S"}}'],
  ['the empty name', '{"":1}', [''], '{"":"S"}'],
  ['the same name elsewhere is left alone', '{"a":{"k":1},"b":[{"k":1}]}', ['k'], '{"a":{"k":1},"b":[{"k":1}],"k":"S"}'],
  ['a list', '[1]', ['k'], 'is no JSON object'],
  ['a string', '"x"', ['k'], 'is no JSON object'],
  ['nothing', '', ['k'], 'is no JSON'],
  ['no JSON', '{"a":1,}', ['k'], 'is no JSON'],
  ['NaN', '{"a":NaN}', ['k'], 'is no JSON'],
  ['a list on the way', '{"o":[{}]}', ['o', 'k'], 'has something other than an object at "o"'],
  ['null on the way', '{"o":null}', ['o', 'k'], 'has something other than an object at "o"'],
  ['too deep', '['.repeat(65) + ']'.repeat(65), ['k'], 'is no JSON'],
]

describe('setting a member', () => {
  for (const [name, text, steps, expected] of CASES) test(name, () => assert.equal(set(text, steps), expected))

  test('says what JSON.parse then reads, and leaves the other members as they were', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.array(fc.string(), { minLength: 1, maxLength: 3 }),
        fc.string(),
        (object, steps, value) => {
          const setting = setJsonMember(Buffer.from(JSON.stringify(object)), steps, JSON.stringify(value), 64)
          if (!setting.ok) return
          const read = JSON.parse(setting.bytes.toString())
          assert.equal(
            steps.reduce((at, step) => Object.getOwnPropertyDescriptor(at, step)?.value, read),
            value,
          )
          const [first = ''] = steps
          const rest = (of: object) => JSON.stringify(Object.entries(of).filter(([name]) => name !== first))
          assert.equal(rest(read), rest(JSON.parse(JSON.stringify(object))))
        },
      ),
    )
  })
})
