import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { VERSION } from '../../../src/model/version.ts'

test('the version that upstreams are shown is the package’s', () => {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
  assert.equal(VERSION, (JSON.parse(text) as { version: string }).version)
})
