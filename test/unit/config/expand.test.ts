// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references to variables are what is tested
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { expandVariables } from '../../../src/config/expand.ts'

const env = { HOST: 'h.example', EMPTY: '', TRICKY: 'a: ${HOST}\n- b', _x9: 'nine' }

describe('expandVariables', () => {
  const filled: [name: string, text: string, expected: string][] = [
    ['text without a reference stays', 'plain $HOST $', 'plain $HOST $'],
    ['a whole reference', '${HOST}', 'h.example'],
    ['references amid text', 'https://${HOST}:1/${_x9}', 'https://h.example:1/nine'],
    ['a set but empty variable is empty', '<${EMPTY}>', '<>'],
    ['a default for an unset variable', '${NOPE:-8081}', '8081'],
    ['a default for an empty variable', '${EMPTY:-8081}', '8081'],
    ['an empty default', '<${NOPE:-}>', '<>'],
    ['no default where the variable is set', '${HOST:-other}', 'h.example'],
    ['a default may hold anything but a brace', '${NOPE:-a:-b $HOST "}', 'a:-b $HOST "'],
    ['an escaped reference stands for itself', '$${HOST}', '${HOST}'],
    ['what a variable holds is not expanded again', '${TRICKY}', 'a: ${HOST}\n- b'],
  ]
  for (const [name, text, expected] of filled) {
    test(name, () => assert.deepEqual(expandVariables(text, env), { ok: true, text: expected }))
  }

  const refused: [name: string, text: string, fault: RegExp][] = [
    ['an unset variable is named', 'x ${NOPE} y', /variable NOPE is not set.*\$\{NOPE:-default\}/],
    ['every unset variable is named', '${A}${B}', /variable A is not set.*variable B is not set/],
    ['an unclosed reference', '${HOST', /\$\{HOST is no variable/],
    ['an empty name', '${}', /is no variable/],
    ['a name that is none', '${9a}', /is no variable/],
    ["a shell's other forms", '${HOST:?no}', /is no variable/],
  ]
  for (const [name, text, fault] of refused) {
    test(`refused: ${name}`, () => {
      const expansion = expandVariables(text, env)
      assert.ok(!expansion.ok)
      assert.match(expansion.fault, fault)
    })
  }

  test('an inherited property of the environment object is no variable', () => {
    assert.equal(expandVariables('${toString}', env).ok, false)
  })

  test('never throws, and leaves text without "${" as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('$', '{', '}', ':', '-', 'A', 'b', ' ') }), (text) => {
        const expansion = expandVariables(text, { A: '1' })
        if (!text.includes('${')) assert.deepEqual(expansion, { ok: true, text })
      }),
    )
  })
})
