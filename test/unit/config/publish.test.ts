import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { parse } from 'yaml'
import { buildConfigDocs, buildConfigSchema } from '../../../src/config/publish.ts'

const read = (...path: string[]): string => readFileSync(join(import.meta.dirname, '..', '..', '..', ...path), 'utf8')

type Json = Record<string, unknown>

/** Every key below a schema, with its own schema. */
function keysOf(schema: Json, path = ''): [string, Json][] {
  const branches = [...((schema.anyOf as Json[] | undefined) ?? []), ...(schema.items ? [schema.items as Json] : [])]
  const own = Object.entries((schema.properties ?? {}) as Record<string, Json>)
  return [
    ...own.flatMap(([key, child]): [string, Json][] => [[`${path}${key}`, child], ...keysOf(child, `${path}${key}.`)]),
    ...branches.flatMap((one) => keysOf(one, path)),
  ]
}

const schema = buildConfigSchema()
const adapter = (schema.$defs as Record<string, Json>).adapter as Json
const keys = [...keysOf(schema), ...keysOf(adapter, 'adapters.')]

describe('what is published', () => {
  test('is what the code would publish now', () => {
    assert.equal(read('config', 'schema.json'), `${JSON.stringify(schema, null, 2)}\n`)
    assert.equal(read('docs', 'configuration.md'), buildConfigDocs())
  })

  test('describes every key', () => {
    assert.ok(keys.length > 130)
    assert.deepEqual(
      keys.filter(([, { description }]) => typeof description !== 'string' || description.length < 10).map(([key]) => key),
      [],
    )
  })

  test('requires adapters alone of the root, and refuses unknown keys everywhere', () => {
    assert.deepEqual(schema.required, ['adapters'])
    assert.deepEqual(adapter.required, ['name', 'mount'])
    const mappings = [schema, adapter, ...keys.map(([, each]) => each)].filter(({ properties }) => properties !== undefined)
    assert.deepEqual(
      mappings.filter(({ additionalProperties }) => additionalProperties !== false),
      [],
    )
  })

  test('names every key of the two files that are given away', () => {
    const known = new Set(keys.map(([key]) => key))
    const unknown = ['sallyport.example.yaml', 'sample.yaml'].flatMap((file) => {
      const root = parse(read('config', file)) as Json
      const sections = Object.entries(root).flatMap(([key, value]) => [
        key,
        ...(key === 'adapters' ? (value as Json[]).flatMap((each) => Object.keys(each).map((one) => `adapters.${one}`)) : []),
      ])
      return sections.filter((key) => !known.has(key))
    })
    assert.deepEqual(unknown, [])
  })

  test('documents every key in a table of its section', () => {
    const docs = buildConfigDocs()
    for (const [key] of keys) {
      const [section = '', ...rest] = key.split('.')
      const table = docs.split(`\n### ${section}\n`)[1]?.split('\n### ')[0] ?? ''
      const named = rest.length === 0 ? '' : (rest.at(-1) ?? '')
      assert.ok(table.includes(named === '' ? '|---|' : `${named}\` |`), key)
    }
  })
})
