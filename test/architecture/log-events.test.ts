// Log events are names in our own code: what is limited by its name, and looked for by it, is never made from what came in.
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '..', '..')

test('each log line has a fixed name, and stands in the documentation', () => {
  const broken: string[] = []
  const seen = new Set<string>()
  for (const file of globSync('src/**/*.ts', { cwd: ROOT })) {
    for (const [, given = ''] of readFileSync(join(ROOT, file), 'utf8').matchAll(/\blog\.log\(([^\n]*)/g)) {
      const name = /^(?:'\w+'|.* \? '\w+' : '\w+'), '([^'$]+)'/.exec(given)?.[1]
      if (name === undefined) broken.push(`${file}: ${given}`)
      else seen.add(name)
    }
  }
  assert.deepEqual(broken, [])
  const logs = readFileSync(join(ROOT, 'docs/observability.md'), 'utf8').split('\n## Logs\n')[1] ?? ''
  const told = [...logs.matchAll(/^\| (`[^|]*) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name),
  )
  assert.deepEqual(told.toSorted(), [...seen].toSorted())
})
