import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type BodyView, readBody, readLargeBody } from '../../../src/envelope/read-body.ts'
import type { Decode } from '../../../src/model/descriptor.ts'
import { aResponse } from '../../support/builders.ts'

interface Case {
  readonly type?: string
  readonly body: Buffer | string
  readonly decode?: Decode
  readonly encoding?: string
  readonly is: readonly [kind: BodyView['kind'], encoding: string | null, content: string | null]
}

const utf16 = (text: string) => Buffer.from(text, 'utf16le')
const utf16be = (text: string) => utf16(text).swap16()
const utf32 = (text: string, bigEndian: boolean) => {
  const bytes = Buffer.alloc(4 * text.length)
  for (let i = 0; i < text.length; i++) {
    if (bigEndian) bytes.writeUInt32BE(text.charCodeAt(i), 4 * i)
    else bytes.writeUInt32LE(text.charCodeAt(i), 4 * i)
  }
  return bytes
}
const JSON_TYPE = 'application/json'

const CASES: Readonly<Record<string, Case>> = {
  'JSON is spliced as it came, white space, big numbers and repeated keys included': {
    type: JSON_TYPE,
    body: ' {"a":9007199254740993, "b":1.0,"a":1}\n',
    is: ['json', 'utf-8', ' {"a":9007199254740993, "b":1.0,"a":1}\n'],
  },
  'a +json type is JSON': { type: 'application/problem+json', body: '{}', is: ['json', 'utf-8', '{}'] },
  'the media type is read without regard to case': { type: 'Application/JSON ; x=y', body: '1', is: ['json', 'utf-8', '1'] },
  'JSON that does not parse is text': { type: JSON_TYPE, body: '{"a":', is: ['text', 'utf-8', '{"a":'] },
  'NaN is no JSON': { type: JSON_TYPE, body: '[NaN]', is: ['text', 'utf-8', '[NaN]'] },
  'JSON that is not UTF-8 is text': { type: JSON_TYPE, body: Buffer.from([0x22, 0xe9, 0x22]), is: ['text', 'utf-8', '"\ufffd"'] },
  'JSON of 64 levels is JSON': {
    type: JSON_TYPE,
    body: '['.repeat(64) + ']'.repeat(64),
    is: ['json', 'utf-8', '['.repeat(64) + ']'.repeat(64)],
  },
  'JSON of 65 levels is text': {
    type: JSON_TYPE,
    body: '['.repeat(65) + ']'.repeat(65),
    is: ['text', 'utf-8', '['.repeat(65) + ']'.repeat(65)],
  },
  'a BOM before JSON is dropped': { type: JSON_TYPE, body: '\ufeff{}', is: ['json', 'utf-8', '{}'] },
  'a BOM before a declared UTF-8 is dropped': {
    type: 'application/json; charset=UTF-8',
    body: '\ufeff{}',
    is: ['json', 'UTF-8', '{}'],
  },
  'UTF-16 with a BOM is found out': { type: JSON_TYPE, body: utf16('\ufeff["é"]'), is: ['json', 'utf-8', '["é"]'] },
  'UTF-16BE with a BOM is found out': { type: JSON_TYPE, body: utf16be('\ufeff["é"]'), is: ['json', 'utf-8', '["é"]'] },
  'UTF-16 without a BOM is found out': { type: JSON_TYPE, body: utf16('["é"]'), is: ['json', 'utf-8', '["é"]'] },
  'UTF-16BE without a BOM is found out': { type: JSON_TYPE, body: utf16be('["é"]'), is: ['json', 'utf-8', '["é"]'] },
  'a single digit in UTF-16 is found out': { type: JSON_TYPE, body: utf16('7'), is: ['json', 'utf-8', '7'] },
  'UTF-32LE is found out': { type: JSON_TYPE, body: utf32('[1]', false), is: ['json', 'utf-8', '[1]'] },
  'UTF-32BE is found out': { type: JSON_TYPE, body: utf32('[1]', true), is: ['json', 'utf-8', '[1]'] },
  'UTF-32 with a BOM is found out': { type: JSON_TYPE, body: utf32('\ufeff[1]', false), is: ['json', 'utf-8', '[1]'] },
  'UTF-32BE with a BOM is found out': { type: JSON_TYPE, body: utf32('\ufeff[1]', true), is: ['json', 'utf-8', '[1]'] },
  'a declared charset is not second-guessed': {
    type: 'application/json; charset=utf-8',
    body: utf16('[1]'),
    is: ['text', 'utf-8', '[\x001\x00]\x00'],
  },
  'JSON in a declared charset is transcoded': {
    type: 'application/json; charset=ISO-8859-1',
    body: Buffer.from('["é\\u00e9"]', 'latin1'),
    is: ['json', 'ISO-8859-1', '["é\\u00e9"]'],
  },
  'JSON with a byte that its charset lacks is text': {
    type: 'application/json; charset=us-ascii',
    body: Buffer.from('["é"]', 'latin1'),
    is: ['text', 'us-ascii', '["\ufffd"]'],
  },
  'UTF-16 cut off in the middle is no JSON': {
    type: 'application/json; charset=utf-16le',
    body: Buffer.concat([utf16('[1]'), Buffer.from([0x20])]),
    is: ['text', 'utf-16le', '[1]\ufffd'],
  },
  'text/* without a charset is latin-1': {
    type: 'text/html',
    body: Buffer.from([0xe9, 0x80]),
    is: ['text', 'ISO-8859-1', 'é\x80'],
  },
  'a declared charset is given as declared, without quotes': {
    type: 'text/plain; Charset="UTF-8"',
    body: 'é',
    is: ['text', 'UTF-8', 'é'],
  },
  'an unknown charset is read as UTF-8 and named as declared': {
    type: 'text/plain; charset=klingon',
    body: 'é',
    is: ['text', 'klingon', 'é'],
  },
  'a BOM stays in text': { type: 'text/plain; charset=utf-8', body: '\ufeffa', is: ['text', 'utf-8', '\ufeffa'] },
  'XML is text': { type: 'application/xml', body: '<é/>', is: ['text', 'utf-8', '<é/>'] },
  '+xml is text': { type: 'image/svg+xml', body: '<svg/>', is: ['text', 'utf-8', '<svg/>'] },
  'JavaScript is text': { type: 'application/javascript', body: 'f()', is: ['text', 'utf-8', 'f()'] },
  'a form is text': { type: 'application/x-www-form-urlencoded', body: 'a=1', is: ['text', 'utf-8', 'a=1'] },
  'ndjson is text': { type: 'application/x-ndjson', body: '{}\n{}', is: ['text', 'utf-8', '{}\n{}'] },
  'text/json is text': { type: 'text/json', body: '{}', is: ['text', 'ISO-8859-1', '{}'] },
  'any other type is base64': { type: 'application/octet-stream', body: 'a', is: ['base64', null, 'a'] },
  'no type is base64': { body: '{}', is: ['base64', null, '{}'] },
  'a charset makes no text of a binary type': { type: 'image/png; charset=utf-8', body: 'a', is: ['base64', null, 'a'] },
  'an empty body is none': { type: JSON_TYPE, body: '', is: ['none', null, null] },
  'encoding overrides the declared charset': {
    type: 'text/plain; charset=utf-8',
    body: Buffer.from([0xe9]),
    encoding: 'latin1',
    is: ['text', 'latin1', 'é'],
  },
  'encoding overrides what JSON seems to be in': {
    type: JSON_TYPE,
    body: utf16('[1]'),
    encoding: 'utf-16',
    is: ['json', 'utf-16', '[1]'],
  },
  'decode none shows nothing': { type: JSON_TYPE, body: '{}', decode: 'none', is: ['none', null, null] },
  'decode base64 shows bytes': { type: JSON_TYPE, body: '{}', decode: 'base64', is: ['base64', null, '{}'] },
  'decode text makes text of JSON': { type: JSON_TYPE, body: '{}', decode: 'text', is: ['text', 'utf-8', '{}'] },
  'decode text makes text without a type': { body: 'é', decode: 'text', is: ['text', 'utf-8', 'é'] },
  'decode json reads JSON of any type': { type: 'text/html', body: '{}', decode: 'json', is: ['json', 'utf-8', '{}'] },
}

for (const [name, { type, body, decode = 'auto', encoding, is }] of Object.entries(CASES)) {
  test(`body: ${name}`, async () => {
    const rawHeaders = type === undefined ? [] : ['Content-Type', type]
    const wishes = { decode, url: 'https://api.example.com/', ...(encoding !== undefined && { encoding }) }
    const response = aResponse({ rawHeaders, body: Buffer.from(body) })
    for (const read of [readBody(response, wishes), await readLargeBody(response, wishes, async () => {})]) {
      assert.equal(read.error, null)
      assert.deepEqual(shown(read.body), is)
    }
  })
}

function shown(view: BodyView): readonly [string, string | null, string | null] {
  if (view.kind === 'none') return [view.kind, null, null]
  if (view.kind === 'text') return [view.kind, view.encoding, view.text]
  if (view.kind === 'quoted') return ['text', view.encoding, JSON.parse(`"${view.quoted}"`)]
  return [view.kind, view.kind === 'json' ? view.encoding : null, view.bytes.toString()]
}

for (const [name, body, words] of [
  ['does not parse', '<html>', /^api\.example\.com answered 404 with a body that is not JSON/],
  ['is empty', '', /^api\.example\.com answered 404 with a body that is empty/],
] as const) {
  test(`decode json on a body that ${name} is InvalidJSONError of the upstream, status kept`, () => {
    const rawHeaders = ['Content-Type', 'text/html']
    const response = aResponse({ status: 404, reason: 'Not Found', rawHeaders, body: Buffer.from(body) })
    const { error } = readBody(response, { decode: 'json', url: 'https://api.example.com/secret?token=1' })
    assert.equal(error?.type, 'InvalidJSONError')
    assert.equal(error.status, 502)
    assert.equal(error.sent, 'yes')
    assert.deepEqual(error.response, { status: 404, reason: 'Not Found', rawHeaders })
    assert.match(error.message, words)
    assert.doesNotMatch(error.message, /secret|token|<html>/)
  })
}

test('the text of a body that decode json refuses is shown all the same', () => {
  const { body } = readBody(aResponse({ body: Buffer.from('oops') }), { decode: 'json', url: null })
  assert.deepEqual(body, { kind: 'text', encoding: 'utf-8', text: 'oops' })
})

test('a large body that is no JSON after all is shown as text, and refused where JSON is asked for', async () => {
  const body = Buffer.from(`[${'1,'.repeat(1_000_000)}]`)
  let turns = 0
  const nextTurn = async (): Promise<void> => void turns++
  const response = aResponse({ rawHeaders: ['content-type', JSON_TYPE], body })
  const auto = await readLargeBody(response, { decode: 'auto', url: null }, nextTurn)
  assert.deepEqual([shown(auto.body), auto.error], [['text', 'utf-8', body.toString()], null])
  assert.equal((await readLargeBody(response, { decode: 'json', url: null }, nextTurn)).error?.type, 'InvalidJSONError')
  assert.ok(turns >= 4)
})

test('UTF-8 JSON is not copied', () => {
  const body = Buffer.from('{"a":1}')
  const view = readBody(aResponse({ rawHeaders: ['content-type', JSON_TYPE], body }), { decode: 'auto', url: null }).body
  assert.ok(view.kind === 'json' && view.bytes === body)
})

test('whatever is shown as json parses, and no bytes make it throw', () => {
  const pieces = fc.constantFrom('{', '}', '[', ']', '"', ':', ',', '1', ' ', 'null', '\\', 'é', '\x00', '\ufeff')
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 30 }),
    fc.string({ unit: pieces, maxLength: 12 }).map((text) => Buffer.from(text)),
  )
  fc.assert(
    fc.property(
      bodies,
      fc.constantFrom(JSON_TYPE, `${JSON_TYPE};charset=utf-16`, `${JSON_TYPE};charset=latin1`),
      (body, type) => {
        const response = aResponse({ rawHeaders: ['content-type', type], body: Buffer.from(body) })
        const view = readBody(response, { decode: 'auto', url: null }).body
        if (view.kind === 'json') JSON.parse(view.bytes.toString())
        else assert.equal(view.kind, body.length === 0 ? 'none' : 'text')
      },
    ),
  )
})
