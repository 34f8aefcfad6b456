// What holds for any input: one kind of error, bounded time, and agreement with the published schema.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parseBatch } from '../../../src/descriptor/parse-batch.ts'
import { parseDescriptor } from '../../../src/descriptor/parse-descriptor.ts'
import { descriptorSchema } from '../../../src/descriptor/schema.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { Descriptor } from '../../../src/model/descriptor.ts'

const KEYS = Object.keys(descriptorSchema.shape)
const REFUSALS = ['InvalidDescriptor', 'InvalidHeader', 'InvalidJSONError']

/** The refusal, or null where it is taken. Anything else that is thrown fails the test. */
function refusal(bytes: Buffer, parse: (bytes: Buffer) => unknown = parseDescriptor): GatewayError | null {
  try {
    parse(bytes)
    return null
  } catch (error) {
    assert.ok(error instanceof GatewayError, String(error))
    assert.ok(REFUSALS.includes(error.type), error.type)
    assert.ok(Array.isArray(error.detail) && error.detail.length > 0)
    return error
  }
}

/** Values that come near to what some key wants, besides any JSON. */
const nearly = fc.oneof(
  fc.constantFrom<unknown>(0, 1, 3.05, -1, 5000, '3.05s', '64KiB', 'GET', 'auto', 'a=1', '', 'name', true, false, null, 1e21),
  fc.constantFrom<unknown>(
    [1000, 2000],
    [1000],
    ['a', 'b'],
    [['a', 'b']],
    [['a', null]],
    [['a', 1]],
    [['a', ['b']]],
    [[]],
    [],
    {},
  ),
  fc.constantFrom<unknown>(
    { a: 'b' },
    { a: 1 },
    { a: [1, 'x', true] },
    { a: null },
    { secret: 'name' },
    { connect: 5, read: '1s' },
    { total: 2 },
  ),
  fc.constantFrom<unknown>(
    { type: 'basic', username: 'u', password: 'p' },
    { type: 'bearer', token: 't' },
    { statusForcelist: [500] },
  ),
  fc.jsonValue({ maxDepth: 4 }),
)

describe('nothing but the three refusals is ever thrown', () => {
  test('for arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        refusal(Buffer.from(bytes))
        refusal(Buffer.from(bytes), parseBatch)
      }),
      { numRuns: 1000 },
    )
  })
  test('for arbitrary JSON', () => {
    fc.assert(
      fc.property(fc.json({ stringUnit: 'binary' }), (text) => {
        refusal(Buffer.from(text))
        refusal(Buffer.from(text), parseBatch)
      }),
      { numRuns: 1000 },
    )
  })
  test('for objects with the known keys', () => {
    const record = fc.dictionary(fc.constantFrom(...KEYS), nearly, { maxKeys: 8 })
    fc.assert(
      fc.property(record, (descriptor) => void refusal(Buffer.from(JSON.stringify({ url: 'https://x/', ...descriptor })))),
      { numRuns: 3000 },
    )
  })
  test('for text that was a descriptor until something was cut out or put in', () => {
    const good =
      '{"url":"https://x/","params":{"a":[1,2.0]},"headers":[["A","b"]],"auth":{"type":"basic","username":"u","password":"p"},"timeout":["1s",5]}'
    fc.assert(
      fc.property(fc.nat(good.length), fc.nat(6), fc.string({ maxLength: 3 }), (at, cut, put) => {
        refusal(Buffer.from(good.slice(0, at) + put + good.slice(at + cut)))
      }),
      { numRuns: 2000 },
    )
  })
})

describe('the published schema and the parser take the same values', () => {
  /** Judged beyond the schema: what may become bytes, and which member of a part excludes which. */
  const beyond = new Set(['content', 'base64', 'files', 'json'])
  for (const key of KEYS.filter((name) => !beyond.has(name))) {
    test(key, () => {
      fc.assert(
        fc.property(nearly, (value) => {
          const text = JSON.stringify({ url: 'https://x/', [key]: value })
          fc.pre(!text.includes('__proto__') && !/\\ud[89a-f]/.test(text))
          // null is absent, which the schema does not advertise where it means nothing else.
          fc.pre(!text.includes('null') || ((key === 'headers' || key === 'params' || key === 'data') && value !== null))
          fc.pre(key === 'headers' || !/\[([^[\]]*,)?null/.test(text) || text.includes('[["a",null]]'))
          const expected = descriptorSchema.safeParse(JSON.parse(text)).success
          const found = refusal(Buffer.from(text))
          assert.equal(found === null || found.type === 'InvalidHeader', expected, text)
        }),
        { numRuns: 500 },
      )
    })
  }
})

test('the schema has the keys of a Descriptor, and no others', () => {
  const fields: Record<Exclude<keyof Descriptor, 'body' | 'warnings'>, true> = {
    method: true,
    url: true,
    params: true,
    headers: true,
    cookies: true,
    auth: true,
    timeout: true,
    maxRetries: true,
    maxResponseSize: true,
    allowRedirects: true,
    maxRedirects: true,
    verify: true,
    cert: true,
    session: true,
    encoding: true,
    decode: true,
    idempotencyKey: true,
    inspect: true,
    tags: true,
  }
  const bodyKeys = ['json', 'data', 'content', 'base64', 'files']
  assert.deepEqual(KEYS.toSorted(), [...Object.keys(fields), ...bodyKeys].toSorted())
})

test('what was read is what was written, for any params, headers and JSON', () => {
  const params = fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' })))
  const name = fc.stringMatching(/^X-[a-z0-9]{1,8}$/)
  const headers = fc.array(fc.tuple(name, fc.stringMatching(/^[!-~\xa1-\xff]([ -~\xa1-\xff]*)$/)), { maxLength: 20 })
  fc.assert(
    fc.property(params, headers, fc.json(), (pairs, lines, json) => {
      const text = `{"url":"https://x/","params":${JSON.stringify(pairs)},"headers":${JSON.stringify(lines)},"json":${json}}`
      const parsed = parseDescriptor(Buffer.from(text))
      assert.deepEqual(parsed.params, pairs)
      assert.deepEqual(parsed.headers, lines)
      assert.ok(parsed.body?.kind === 'json' && Buffer.from(parsed.body.bytes).toString() === json)
    }),
    { numRuns: 300 },
  )
})

describe('a mebibyte of anything is answered in time', () => {
  const MIB = 1 << 20
  const names = (count: number, value: string): string => Array.from({ length: count }, (_, i) => `"n${i}":${value}`).join()
  const texts: Record<string, string> = {
    'unknown keys': `{${names(MIB / 11, '1')}}`,
    'one key again and again': `{${'"a":1,'.repeat(MIB / 6)}"a":1}`,
    'params by name': `{"url":"x","params":{${names(MIB / 11, '1')}}}`,
    'params by pair': `{"url":"x","params":[${'["",1],'.repeat(MIB / 7)}["",1]]}`,
    'a long list in params': `{"url":"x","params":{"a":[${'1,'.repeat(MIB / 2)}1]}}`,
    'pairs that are none': `{"url":"x","data":[${'[],'.repeat(MIB / 3)}[]]}`,
    headers: `{"url":"x","headers":{${names(MIB / 12, '""')}}}`,
    'a long header': `{"url":"x","headers":{"a":"${'a'.repeat(MIB)}→"}}`,
    cookies: `{"url":"x","cookies":{${names(MIB / 12, '""')}}}`,
    tags: `{"url":"x","tags":{${names(MIB / 12, '""')}}}`,
    files: `{"url":"x","files":[${'["",{"text":""}],'.repeat(MIB / 17)}["",{"text":""}]]}`,
    'keys in auth': `{"url":"x","auth":{"type":"basic",${names(MIB / 11, '1')}}}`,
    statuses: `{"url":"x","maxRetries":{"statusForcelist":[${'"",'.repeat(MIB / 3)}1]}}`,
    'a long method': `{"url":"x","method":"${'A'.repeat(MIB)} "}`,
    'a long key': `{"${'k'.repeat(MIB)}":1}`,
    'content that is no base64': `{"url":"x","content":"${'A'.repeat(MIB - 1)}!"}`,
    'half pairs': `{"url":"x","params":[${'"\\ud800",'.repeat(MIB / 9)}1]}`,
    'digits in a duration': `{"url":"x","timeout":"${'1'.repeat(MIB)}"}`,
    'digits in a number': `{"url":"x","maxRetries":${'1'.repeat(MIB)}}`,
    brackets: `{"url":"x","json":${'['.repeat(MIB)}`,
    'white space': `${' '.repeat(MIB)}x`,
  }
  /** Ten times what is promised: the machine may be busy. */
  const BOUND_MS = 2000
  for (const [name, text] of Object.entries(texts)) {
    test(name, () => {
      const bytes = Buffer.from(text)
      const before = process.cpuUsage()
      const error = refusal(bytes)
      assert.ok(process.cpuUsage(before).user < BOUND_MS * 1000)
      assert.ok(JSON.stringify(error?.detail ?? '').length < 100_000)
    })
  }
})
