import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMediaType } from '../../../src/envelope/media-type.ts'

const CHARSETS: readonly [contentType: string, declared: string | null][] = [
  ['text/html', null],
  ['text/html; charset=utf-8', 'utf-8'],
  ['text/html; charset="utf-8"', 'utf-8'],
  ["text/html;charset='utf-8' ", 'utf-8'],
  ['text/html; "charset"=utf-8', 'utf-8'],
  ['text/html; charset=a; charset=b', 'b'],
  ['text/html; charset=""', ''],
  ['text/html; charset="\'\'"', ''],
  ['text/html; charset=a"b', 'a"b'],
]

for (const [contentType, declared] of CHARSETS) {
  test(`the charset of ${contentType}`, () => assert.equal(parseMediaType(contentType).declared, declared))
}

test('a run of quotes is read in time that grows with its length alone', () => {
  const before = performance.now()
  parseMediaType(`text/html; charset=a${'"'.repeat(200_000)}b`)
  assert.ok(performance.now() - before < 500)
})
