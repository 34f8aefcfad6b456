// Log events are names in our own code: what is limited by its name, and looked for by it, is never made from what came in.
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '..', '..')

test('each log line has a fixed name', () => {
  const broken: string[] = []
  let seen = 0
  for (const file of globSync('src/**/*.ts', { cwd: ROOT })) {
    for (const [, given = ''] of readFileSync(join(ROOT, file), 'utf8').matchAll(/\blog\.log\(([^\n]*)/g)) {
      seen++
      if (!/^(?:'\w+'|.* \? '\w+' : '\w+'), '[^'$]+'/.test(given)) broken.push(`${file}: ${given}`)
    }
  }
  assert.deepEqual(broken, [])
  assert.ok(seen > 20, `${seen} lines found`)
})
