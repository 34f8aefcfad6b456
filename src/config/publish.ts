// What is published of the configuration: its JSON Schema for editors, and docs/configuration.md. Both follow from schema.ts.
import { z } from 'zod'
import { GUIDE } from './guide.ts'
import { ROOT } from './schema.ts'

type Json = Record<string, unknown>

/** config/schema.json. `$defs.adapter` is that of a file in a folder of adapters. */
export function buildConfigSchema(): Json {
  const { $schema, properties, ...rest } = z.toJSONSchema(ROOT, { io: 'input' }) as Json & { properties: Json }
  const { adapters, ...others } = properties as Json & { adapters: Json }
  const { items, description, ...list } = adapters
  return {
    $schema,
    title: 'Configuration of Sallyport',
    ...rest,
    properties: {
      ...others,
      adapters: { description, anyOf: [{ ...list, items: { $ref: '#/$defs/adapter' } }, { type: 'string' }] },
    },
    $defs: { adapter: items },
  }
}

/** docs/configuration.md, whole. */
export function buildConfigDocs(): string {
  const root = z.toJSONSchema(ROOT, { io: 'input' }) as Json
  const sections = Object.entries(propertiesOf(root)).map(([key, schema]) => writeSection(key, schema, propertiesOf(root)))
  return `${GUIDE}\n## Every key\n\n${sections.join('\n')}`
}

function writeSection(key: string, schema: Json, all: Readonly<Record<string, Json>>): string {
  const common = key === 'adapters' ? rowsOf('', all.defaults ?? {}).map((row) => row.key) : []
  // A proxy is written whole or not at all: its keys are not taken over one by one.
  const inherited = new Set(common.filter((name) => !name.startsWith('proxy.')))
  const below = rowsOf('', schema)
  const rows = below.length > 0 ? below : [rowOf(key, schema, false)]
  const lines = rows.map(({ key: name, value, standard, meaning }) => {
    const shown = standard === '' && inherited.has(name) ? 'as `defaults`' : standard
    return `| \`${name}\` | ${value} | ${shown} | ${meaning} |`
  })
  const intro = below.length > 0 ? [String(schema.description), ''] : []
  return [`### ${key}`, '', ...intro, '| key | value | default | meaning |', '|---|---|---|---|', ...lines, ''].join('\n')
}

interface Row {
  readonly key: string
  readonly value: string
  readonly standard: string
  readonly meaning: string
}

/** One row for each key below `schema`, a section's own before those in it. */
function rowsOf(prefix: string, schema: Json): Row[] {
  const required = new Set((mappingOf(schema)?.required ?? []) as string[])
  return Object.entries(propertiesOf(schema)).flatMap(([name, child]) => {
    const key = prefix + name
    return [rowOf(key, child, required.has(name)), ...rowsOf(child.type === 'array' ? `${key}[].` : `${key}.`, child)]
  })
}

function rowOf(key: string, schema: Json, required: boolean): Row {
  const standard = required ? 'required' : standardOf(schema.default)
  return { key, value: kindOf(schema), standard, meaning: String(schema.description ?? '') }
}

/** The mapping that a value is, or may be, or is a list of. */
function mappingOf(schema: Json): Json | undefined {
  if (schema.properties !== undefined) return schema
  if (schema.type === 'array') return mappingOf(schema.items as Json)
  return (schema.anyOf as Json[] | undefined)?.map(mappingOf).find((mapping) => mapping !== undefined)
}

function propertiesOf(schema: Json): Record<string, Json> {
  return (mappingOf(schema)?.properties ?? {}) as Record<string, Json>
}

function kindOf(schema: Json): string {
  if (typeof schema.title === 'string') return schema.title
  if (schema.anyOf !== undefined) return [...new Set((schema.anyOf as Json[]).map(kindOf))].join(', or ')
  if (schema.type === 'array') return `list: ${kindOf(schema.items as Json)}`
  if (schema.type === 'null') return 'null'
  return schema.properties === undefined ? 'mapping of names to text' : 'mapping'
}

/** Sections that are empty by default say nothing: what is in them has defaults of its own. */
function standardOf(value: unknown): string {
  if (value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)) return ''
  if (Array.isArray(value)) return value.map((item) => `\`${item}\``).join(', ')
  return `\`${value}\``
}
