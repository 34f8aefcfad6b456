import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parseJsonPath } from '../../../src/model/json-path.ts'

const step = (name: string | number | null, deep = false) => ({ deep, name })

describe('a path', () => {
  for (const [text, steps] of [
    ['$.card.number', [step('card'), step('number')]],
    ["$['card number']", [step('card number')]],
    ['$["a.b"].c', [step('a.b'), step('c')]],
    ["$['it\\'s']", [step("it's")]],
    ['$[0]', [step(0)]],
    ['$.items[-1].secret', [step('items'), step(-1), step('secret')]],
    ['$.items[*].secret', [step('items'), step(null), step('secret')]],
    ['$.*', [step(null)]],
    ['$..password', [step('password', true)]],
    ["$..['pass word']", [step('pass word', true)]],
    ['$..*', [step(null, true)]],
    ['$.a..b[0]', [step('a'), step('b', true), step(0)]],
    ['$.größe', [step('größe')]],
  ] as const)
    test(`${text} is read`, () => assert.deepEqual(parseJsonPath(text), { ok: true, value: steps }))

  for (const text of [
    '',
    '$',
    'card',
    '$card',
    '$.',
    '$..',
    '$...a',
    '$.[0]',
    '$[',
    '$[]',
    '$[a]',
    '$[0:2]',
    '$[?@.a]',
    '$.a b',
    "$['a",
    '$.a..',
    '$[(1)]',
    '$.1',
  ])
    test(`${JSON.stringify(text)} is none`, () => assert.equal(parseJsonPath(text).ok, false))

  test('reading ends for any text', () => {
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom(...'$.[]*\'"\\a0-?') }), (text) => void parseJsonPath(`$${text}`)))
  })
})
