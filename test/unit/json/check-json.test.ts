// The fast check says what scan-json.ts says, which is held against JSON.parse, for every text, wherever the pieces are cut.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { endOfJson, isJson, isJsonInTurns } from '../../../src/json/check-json.ts'
import { checkJson, skipJsonValue } from '../../../src/json/scan-json.ts'
import { someTokens } from '../../support/json-text.ts'

/** Bytes that are copied to the scanner at once. */
const PIECE = 32 * 1024
const TURN = 512 * 1024

function agrees(text: Buffer, maxDepth = 64): boolean {
  const expected = checkJson(text, maxDepth).ok
  assert.equal(isJson(text, maxDepth), expected, text.subarray(0, 200).toString('latin1'))
  return expected
}

/** White space before the text, so that the end of the first piece comes after `before` bytes of it. */
const cutAfter = (text: Buffer, before: number): Buffer => Buffer.concat([Buffer.alloc(PIECE - before, 0x20), text])

function agreesHoweverCut(text: Buffer): void {
  for (let before = 0; before <= Math.min(text.length, PIECE); before++) agrees(cutAfter(text, before))
}

const SAMPLE =
  '{"n\\u00e9\\"":[-0.5E+10,1e9,-0,true,false,null,"\\ud83d\\ude00",{},[ ]],"x":{"long enough for two loads":"\\\\\\n"}} \t'

describe('a text is cut anywhere', () => {
  test('good', () => agreesHoweverCut(Buffer.from(SAMPLE)))
  const bad = [
    '[tru]',
    '[nulL]',
    '["\\x"]',
    '["\\u00g0"]',
    '["a\u0001"]',
    '[1.]',
    '[1e+]',
    '[-]',
    '[01]',
    '{"a":1,}',
    '[1,]',
    '{"a"1}',
    '[}',
  ]
  for (const text of [...bad, '[1]]', '[1] 2', '{"a', '[1', '"', '"\\', '"\\u12', 'tru', '-', '', '[\u0000]', '\u0000']) {
    test(`not JSON: ${JSON.stringify(text)}`, () => agreesHoweverCut(Buffer.from(text)))
  }
  for (const text of ['1', '-0.1e1', 'true', 'null', '"a"', '{}', '[]', '"\\n"', ' [ 1 , { } ] '])
    test(`good: ${text}`, () => agreesHoweverCut(Buffer.from(text)))
})

test('a byte of the sample changed, dropped or doubled, cut anywhere', () => {
  const sample = Buffer.from(SAMPLE)
  const where = fc.nat({ max: sample.length - 1 })
  fc.assert(
    fc.property(where, where, fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 1, 2), (at, before, byte, deed) => {
      const there = sample.subarray(at, at + 1)
      const middle = deed === 0 ? Buffer.alloc(0) : deed === 1 ? Buffer.of(byte) : Buffer.concat([there, there])
      agrees(cutAfter(Buffer.concat([sample.subarray(0, at), middle, sample.subarray(at + 1)]), before))
    }),
    { numRuns: 3000 },
  )
})

test('text made of JSON tokens', () => {
  fc.assert(
    fc.property(someTokens, (text) => {
      agrees(Buffer.from(text))
    }),
    { numRuns: 5000 },
  )
})

test('any JSON, and any bytes', () => {
  fc.assert(fc.property(fc.json({ stringUnit: 'binary' }), (text) => agrees(Buffer.from(text))))
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      agrees(Buffer.from(bytes))
    }),
    { numRuns: 2000 },
  )
})

describe('what is longer than a piece', () => {
  const long = 3 * PIECE + 7
  const texts: Record<string, [text: string, good: boolean]> = {
    'a number': [`[${'1'.repeat(long)}]`, true],
    'a number alone': ['9'.repeat(long), true],
    'a number that breaks off': [`[${'1'.repeat(long)}.]`, false],
    'a string': [`"${'x'.repeat(long)}"`, true],
    'a string of escapes': [`"${'\\u00e9\\n'.repeat(long / 8)}"`, true],
    'a string without an end': [`"${'x'.repeat(long)}`, false],
    'a name': [`{"${'x'.repeat(long)}":1}`, true],
    'white space': [`[${' \n'.repeat(long / 2)}]${'\t'.repeat(long)}`, true],
    'white space and no more': [' '.repeat(long), false],
    'many brackets': [`[${'[],{},'.repeat(long / 6)}1]`, true],
  }
  for (const [name, [text, good]] of Object.entries(texts)) test(name, () => assert.equal(agrees(Buffer.from(text)), good))
})

describe('depth', () => {
  const nested = (depth: number) => Buffer.from(`${'{"a":['.repeat(depth / 2)}${']}'.repeat(depth / 2)}`)
  test('as many open brackets as allowed', () => assert.equal(agrees(nested(64)), true))
  test('one more', () => assert.equal(agrees(nested(66)), false))
  test('a depth for which the scanner has no room', () => {
    assert.equal(agrees(nested(6000), 6000), true)
    assert.equal(agrees(nested(6000), 5999), false)
    assert.equal(endOfJson(nested(6000), 0, 6000), nested(6000).length)
  })
})

test('bytes that are no UTF-8', () => {
  for (const hex of ['22ff22', '22eda08022', '5b22c3225d']) assert.equal(agrees(Buffer.from(hex, 'hex')), false)
})

test('the end of a value is where the slow scan sees it', () => {
  fc.assert(
    fc.property(fc.json(), fc.constantFrom('', ' ', ',1', ']', '}', '"', '\u0000'), (json, rest) => {
      const text = Buffer.from(`[${json}${rest}`)
      assert.equal(endOfJson(text, 1, 64), skipJsonValue(text, 1, 64))
    }),
  )
  assert.equal(endOfJson(Buffer.from('[1'), 2, 64), -1)
})

describe('in several turns', () => {
  const rows = (count: number, end = '') =>
    Buffer.from(JSON.stringify({ rows: Array.from({ length: count }, (_, id) => ({ id, s: 'é"' })) }) + end)

  test('several at once, each with its own end', async () => {
    let turns = 0
    const nextTurn = async (): Promise<void> => {
      turns++
      await new Promise(setImmediate)
    }
    const texts = [
      rows(100_000),
      rows(80_000, ']'),
      Buffer.from(`[${'['.repeat(40)}${'1,'.repeat(1e6)}1${']'.repeat(41)}`),
      rows(90_000, ' \n'),
    ]
    const verdicts = await Promise.all(texts.map((text) => isJsonInTurns(text, 64, nextTurn)))
    assert.deepEqual(verdicts, [true, false, true, true])
    assert.ok(turns > texts.reduce((sum, { length }) => sum + Math.floor(length / TURN), 0) - texts.length, String(turns))
  })
  test('characters may be cut between two turns anywhere, and a byte that is none is found in any of them', async () => {
    const nextTurn = async (): Promise<void> => {}
    for (const character of ['\u00e9', '\u20ac', '\ud83d\ude00'])
      for (let shift = 0; shift < 4; shift++) {
        const text = Buffer.from(JSON.stringify('x'.repeat(shift) + character.repeat(TURN)))
        assert.equal(await isJsonInTurns(text, 64, nextTurn), true, `${character} ${shift}`)
        for (const at of [100, TURN - 1, TURN, TURN + 1, text.length - 2]) {
          const broken = Buffer.from(text)
          broken[at] = 0xff
          assert.equal(await isJsonInTurns(broken, 64, nextTurn), false, `${character} ${shift} ${at}`)
        }
      }
  })
  test('no turn is waited for where one is enough, or the text is wrong', async () => {
    const never = (): Promise<void> => assert.fail('waited')
    assert.equal(await isJsonInTurns(rows(10), 64, never), true)
    assert.equal(await isJsonInTurns(Buffer.from(`[}${' '.repeat(2 * TURN)}`), 64, never), false)
    assert.equal(await isJsonInTurns(Buffer.from('22ff22', 'hex'), 64, never), false)
  })
})
