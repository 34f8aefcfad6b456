import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseBatch } from '../../../src/descriptor/parse-batch.ts'
import { parseDescriptor } from '../../../src/descriptor/parse-descriptor.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'

const parse = (text: string) => parseBatch(Buffer.from(text))

test('each item keeps its own text, in order; eight run at once', () => {
  const { items, concurrency } = parse('{ "requests" : [ {"url": "a", "json": 1.0} , 2, "three", null ] }')
  assert.deepEqual(items.map(String), ['{"url": "a", "json": 1.0}', '2', '"three"', 'null'])
  assert.equal(concurrency, 8)
})

test('an empty batch is a batch', () =>
  assert.deepEqual(parse('{"requests":[],"concurrency":null}'), { items: [], concurrency: 8 }))

for (const concurrency of [1, 64]) {
  test(`${concurrency} at once`, () =>
    assert.equal(parse(`{"concurrency":${concurrency},"requests":[]}`).concurrency, concurrency))
}

test('a thousand items are taken', () => assert.equal(parse(`{"requests":[${'{},'.repeat(999)}{}]}`).items.length, 1000))

test("an item's faults are its own, repeated keys included", () => {
  const [item] = parse('{"requests":[{"url":"x","url":"y","foo":1}]}').items
  assert.throws(() => parseDescriptor(item as Buffer), { type: 'InvalidDescriptor' })
})

test('an item may be as deep as a descriptor alone', () => {
  const deep = (levels: number) => `{"url":"https://x/","json":${'['.repeat(levels)}${']'.repeat(levels)}}`
  const [item] = parse(`{"requests":[${deep(63)}]}`).items
  assert.equal(parseDescriptor(item as Buffer).url, 'https://x/')
  assert.throws(() => parse(`{"requests":[${deep(64)}]}`), { type: 'InvalidDescriptor' })
})

describe('a malformed batch', () => {
  const cases: [text: string, type: string, message: RegExp][] = [
    ['', 'InvalidDescriptor', /the body is empty/],
    ['[]', 'InvalidDescriptor', /must be a JSON object/],
    ['{}', 'InvalidDescriptor', /^requests: is missing/],
    ['{"requests":{}}', 'InvalidDescriptor', /^requests: must be a list/],
    ['{"requests":null}', 'InvalidDescriptor', /^requests: must be a list/],
    ['{"requests":[{]}', 'InvalidDescriptor', /not JSON at byte 14/],
    ['{"requests":[{"json":NaN}]}', 'InvalidJSONError', /NaN/],
    ['{"requests":[],"requests":[]}', 'InvalidDescriptor', /given more than once/],
    ['{"requests":[],"request":1}', 'InvalidDescriptor', /nearest known one is "requests"/],
    ['{"requests":[],"concurrency":0}', 'InvalidDescriptor', /^concurrency: must be a whole number from 1 to 64/],
    ['{"requests":[],"concurrency":65}', 'InvalidDescriptor', /^concurrency: must be a whole number from 1 to 64/],
    ['{"requests":[],"concurrency":"8"}', 'InvalidDescriptor', /^concurrency: must be a whole number from 1 to 64/],
    [`{"requests":[${'{},'.repeat(1000)}{}]}`, 'InvalidDescriptor', /^requests: must not hold more than 1000/],
  ]
  for (const [text, type, message] of cases) {
    test(text.slice(0, 60), () => {
      assert.throws(
        () => parse(text),
        (error) => error instanceof GatewayError && error.type === type && message.test(error.message),
      )
    })
  }
})
