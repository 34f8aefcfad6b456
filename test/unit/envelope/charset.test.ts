import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeText, isUtf8Charset } from '../../../src/envelope/charset.ts'

const bytes = (...values: number[]) => Buffer.from(values)

// Expected texts are what CPython 3.13 makes of the same bytes with errors='replace'.
const CASES: readonly (readonly [name: string, charset: string, bytes: Buffer, text: string])[] = [
  ['ISO-8859-1 is true latin-1, not windows-1252', 'ISO-8859-1', bytes(0x80, 0x93, 0xe9), '\x80\x93é'],
  ['latin1 by another name', 'latin-1', bytes(0x80), '\x80'],
  ['windows-1252 has the quotation marks', 'windows-1252', bytes(0x80, 0x93, 0x81), '€“\ufffd'],
  ['US-ASCII has no byte above 0x7f', 'us-ascii', bytes(0x61, 0xe9), 'a\ufffd'],
  ['UTF-8 keeps its BOM', 'utf-8', bytes(0xef, 0xbb, 0xbf, 0x61), '\ufeffa'],
  ['utf-8-sig takes its BOM', 'utf-8-sig', bytes(0xef, 0xbb, 0xbf, 0x61), 'a'],
  [
    'a broken UTF-8 sequence is one replacement a maximal part',
    'utf-8',
    bytes(0xf0, 0x90, 0x41, 0xed, 0xa0, 0x80),
    '\ufffdA\ufffd\ufffd\ufffd',
  ],
  ['UTF-16 with a little-endian BOM', 'utf-16', bytes(0xff, 0xfe, 0x61, 0), 'a'],
  ['UTF-16 with a big-endian BOM', 'UTF-16', bytes(0xfe, 0xff, 0, 0x61), 'a'],
  ['UTF-16 without a BOM is little-endian', 'utf16', bytes(0x61, 0), 'a'],
  ['UTF-16LE keeps its BOM', 'utf-16le', bytes(0xff, 0xfe, 0x61, 0), '\ufeffa'],
  ['UTF-16BE', 'utf-16be', bytes(0, 0x61), 'a'],
  ['UTF-32 with a big-endian BOM', 'utf-32', bytes(0, 0, 0xfe, 0xff, 0, 0, 0, 0x61), 'a'],
  ['UTF-32LE cut off in the middle of a unit', 'utf-32le', bytes(0x61, 0, 0, 0, 0x62, 0), 'a\ufffd'],
  ['half a surrogate pair in UTF-32', 'utf-32le', bytes(0, 0xd8, 0, 0), '\ufffd'],
  ['Shift_JIS', 'Shift_JIS', bytes(0x83, 0x65), 'テ'],
  ['ISO-8859-9 is not windows-1254', 'iso-8859-9', bytes(0x80, 0xf0), '\x80ğ'],
  ['ISO-2022-JP', 'iso-2022-jp', bytes(0x1b, 0x24, 0x42, 0x46, 0x7c, 0x1b, 0x28, 0x42), '日'],
  ['KOI8-R', 'koi8-r', bytes(0xf0), 'П'],
]

for (const [name, charset, body, text] of CASES) {
  test(`charset: ${name}`, () => assert.equal(decodeText(body, charset), text))
}

for (const charset of ['', 'nonsense', 'base64', 'hex', 'binary', 'constructor', '__proto__', 'ucs2', 'x'.repeat(5000)]) {
  test(`an unknown charset is read as UTF-8: ${charset.slice(0, 20)}`, () => {
    assert.equal(decodeText(Buffer.from('é'), charset), 'é')
    assert.equal(isUtf8Charset(charset), true)
  })
}

test('no charset name and no bytes make it throw', () => {
  fc.assert(
    fc.property(fc.string(), fc.uint8Array({ maxLength: 40 }), (charset, body) => {
      assert.equal(typeof decodeText(Buffer.from(body), charset), 'string')
    }),
  )
})

test('UTF-8 is read as the platform reads it, whatever the bytes', () => {
  const platform = new TextDecoder('utf-8', { ignoreBOM: true })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (body) => {
      assert.equal(decodeText(Buffer.from(body), 'UTF-8'), platform.decode(body))
    }),
  )
})
