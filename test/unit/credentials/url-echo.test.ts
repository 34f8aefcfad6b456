// A value found in URL text however it is percent-encoded there, and nothing else of the text touched.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { cleanUrlHeaders, maskInUrl } from '../../../src/credentials/url-echo.ts'

const CASES: [name: string, text: string, secrets: string[], expected: string][] = [
  ['as it is', '/a/s3cret/b?c=s3cret', ['s3cret'], '/a/***/b?c=***'],
  ['every character encoded', '/%73%33%63%72%65%74', ['s3cret'], '/***'],
  ['some of them, in either case of hex', '/s%33cre%74x%3Ay%3a', ['s3cret', 'x:y:'], '/******'],
  ['a space as a plus', '?k=a+secret', ['a secret'], '?k=***'],
  ['a plus as %2B', '?k=a%2Bsecret', ['a+secret'], '?k=***'],
  ['a letter beyond ASCII, in UTF-8 and in latin-1', '?k=%c3%a9clat&l=%e9clat&r=\xe9clat', ['éclat'], '?k=***&l=***&r=***'],
  ['a URL within a URL within a URL', '?u=%252Fs%25253Acret', ['s:cret'], '?u=%252F***'],
  ['what only resembles it', '/s3cre/t?s3cre', ['s3cret'], '/s3cre/t?s3cre'],
  ['less than four characters', '/abc/abc', ['abc'], '/abc/abc'],
  ['two that overlap', '/abcdef', ['abcd', 'cdef'], '/***'],
  ['an escape that is none', '/100%/s3cret%', ['s3cret'], '/100%/***%'],
] // biome-ignore format: one a line

describe('masking in URLs', () => {
  for (const [name, text, secrets, expected] of CASES) test(name, () => assert.equal(maskInUrl(text, secrets), expected))

  test('whatever is encoded, at whatever depth', () => {
    const encoded = fc.tuple(
      fc.string({ minLength: 4, maxLength: 8, unit: 'grapheme-ascii' }),
      fc.array(fc.boolean(), { minLength: 64, maxLength: 64 }),
      fc.nat(2),
    )
    fc.assert(
      fc.property(encoded, ([secret, choices, depth]) => {
        let text = secret
        for (let layer = 0; layer <= depth; layer++) {
          text = [...text]
            .map((char, at) =>
              choices[(at + layer) % 64] || char === '%' ? `%${char.charCodeAt(0).toString(16).padStart(2, '0')}` : char,
            )
            .join('')
        }
        assert.equal(maskInUrl(`/<>/${text}/<>`, [secret]), '/<>/***/<>')
      }),
    )
  })

  test('headers that hold no URL are left alone, and nothing is copied in vain', () => {
    const rawHeaders = ['Location', '/x', 'X-Echo', 'secret', 'LINK', '<secret>']
    assert.equal(
      cleanUrlHeaders(rawHeaders, (value) => value),
      rawHeaders,
    )
    assert.deepEqual(
      cleanUrlHeaders(rawHeaders, (value) => maskInUrl(value, ['secret'])),
      ['Location', '/x', 'X-Echo', 'secret', 'LINK', '<***>'],
    )
  })
})
