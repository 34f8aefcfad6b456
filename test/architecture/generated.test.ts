// What is generated from tables stands in the repository as it would be generated now: no page may lag behind the code.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { generate } from '../../docs/generate.ts'

for (const [path, content] of generate()) {
  test(`${path} is as \`npm run docs\` would write it`, () => {
    assert.equal(readFileSync(join(import.meta.dirname, '..', '..', path), 'utf8'), content)
  })
}
