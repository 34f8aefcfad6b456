// Every configuration that docs/callers.md shows is one that the gateway takes.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { certificates } from '../../support/certificates.ts'
import { load } from './support.ts'

const PAGE = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'callers.md'), 'utf8')
const blocks = [...PAGE.matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml = '']) => yaml)

for (const [index, yaml] of blocks.entries())
  test(`example ${index + 1} is taken without a warning`, async () => {
    const { ca, good } = certificates()
    const local = yaml.replaceAll(/(?<=[ "])\/[a-z0-9./_-]*\/([a-z0-9_.-]+\.(?:key|crt|pem))/g, './$1')
    const names = [...local.matchAll(/\.\/([a-z0-9_.-]+\.(?:key|crt|pem))/g)].map(([, name = '']) => name)
    const contentOf = (name: string): string => (name.endsWith('.key') ? good.key : name.includes('ca') ? ca : good.cert)
    const files = Object.fromEntries(names.map((name) => [name, contentOf(name)]))
    const { warnings } = await load(local, { BILLING_KEY: 'k'.repeat(32) }, files)
    assert.deepEqual(
      warnings.filter((warning) => !warning.includes('sallyport callers create')),
      [],
    )
  })

test('there are examples', () => assert.ok(blocks.length >= 2))
