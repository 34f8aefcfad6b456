import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { matchesGlob } from '../../../src/policy/path-glob.ts'

const CASES: readonly [name: string, glob: string, path: string, matches: boolean][] = [
  ['a literal matches itself', '/repos', '/repos', true],
  ['a literal matches nothing longer', '/repos', '/repos/a', false],
  ['case counts', '/Repos', '/repos', false],
  ['** takes in everything below', '/repos/**', '/repos/a/b/c', true],
  ['** may be nothing', '/repos/**', '/repos/', true],
  ['the slash before ** is needed', '/repos/**', '/repos', false],
  ['* takes one segment', '/repos/*', '/repos/a', true],
  ['* does not cross a slash', '/repos/*', '/repos/a/b', false],
  ['* may be nothing', '/repos/*', '/repos/', true],
  ['* within a segment', '/v*/users', '/v2/users', true],
  ['** in the middle', '/a/**/z', '/a/b/c/z', true],
  ['** then a wrong end', '/a/**/z', '/a/b/c/y', false],
  ['* after ** still stops at a slash', '**/x*', '/a/xb/c', false],
  ['a late match after ** is found', '**/a*b', '/a/a/ab', true],
  ['characters of regular expressions mean themselves', '/a.b+(c)', '/a.b+(c)', true],
  ['a dot is no wildcard', '/a.b', '/axb', false],
  ['*** is ** and *', '/***', '/a/b', true],
]

for (const [name, glob, path, matches] of CASES) {
  test(`glob: ${name}`, () => assert.equal(matchesGlob(glob, path), matches))
}

test('a glob agrees with the regular expression it stands for', () => {
  const piece = fc.constantFrom('a', 'b', '/', '*', '**')
  const path = fc.array(fc.constantFrom('a', 'b', '/'), { maxLength: 12 }).map((chars) => chars.join(''))
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), path, (pieces, text) => {
      const glob = pieces.join('')
      const source = glob.replace(/\*\*|\*/g, (star) => (star === '**' ? '.*' : '[^/]*'))
      assert.equal(matchesGlob(glob, text), new RegExp(`^${source}$`).test(text))
    }),
  )
})

test('a pattern made to backtrack costs no more than its length times the path', () => {
  const path = `/${'a'.repeat(2000)}`
  const before = performance.now()
  assert.equal(matchesGlob(`/${'*a'.repeat(20)}**b`, path), false)
  assert.ok(performance.now() - before < 500)
})
