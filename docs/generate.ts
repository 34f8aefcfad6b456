// `npm run docs`: writes every page and schema that follows from a table in the code. A test holds the files against it.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import wabt from 'wabt'
import { DASHBOARDS, grafanaJson } from '../deploy/observability/dashboards.ts'
import { buildConfigDocs, buildConfigSchema } from '../src/config/publish.ts'
import type { Scheme } from '../src/credentials/scheme.ts'
import { SCHEMES } from '../src/credentials/schemes/index.ts'
import { buildOpenApi } from '../src/descriptor/openapi.ts'
import { CATALOGUE, type CatalogueRow } from '../src/errors/catalogue.ts'
import { VERSION } from '../src/model/version.ts'
import { buildMetricsDocs } from '../src/telemetry/series.ts'
import { type Benchmark, withCosts, withFigures } from '../test/bench/figures.ts'
import { withSection } from './section.ts'

const ROOT = join(import.meta.dirname, '..')

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

function errorsDocs(): string {
  const rows = Object.entries<CatalogueRow>(CATALOGUE).map(
    ([name, { status, blame, meaning, remedy, parents }]) =>
      `| \`${name}\` | ${status} | ${blame} | ${meaning} | ${remedy} | ${parents.map((parent) => `\`${parent}\``).join(', ')} |`,
  )
  return `# Errors

Generated from \`src/errors/catalogue.ts\`; \`npm run docs\` writes it anew.

Every outcome has the same envelope. \`error.type\` names what happened, \`error.sent\` how far the request had got (\`no\`: not a byte of it was
handed to a connected socket; \`yes\`: a byte of an answer arrived; \`maybe\`: between), \`error.retryable\` whether the same call may succeed if
repeated and repeating it is safe, and \`source\` whether the upstream or the gateway produced the outcome. The names are Requests' own where it
has one; the last column says what else an error *is*, as in its tree of exceptions: a \`ConnectTimeout\` is a \`ConnectionError\` and a \`Timeout\`.

The four \`Invalid…\`/\`Missing…\` URL and header names come with 502 where it was the upstream's doing.

| \`error.type\` | HTTP status | whose doing | what happened | what to do | is also |
|---|---|---|---|---|---|
${rows.join('\n')}
`
}

/** The dashboards, and what the chart has of its own because it can read no file outside itself. */
function observability(): [path: string, content: string][] {
  const rules = readFileSync(join(ROOT, 'deploy/observability/sallyport.rules.yml'), 'utf8')
  const dashboards = DASHBOARDS.map((dashboard) => [`${dashboard.uid}.json`, json(grafanaJson(dashboard))] as const)
  return [
    ...dashboards.map(([name, text]): [string, string] => [`deploy/observability/dashboards/${name}`, text]),
    ...dashboards.map(([name, text]): [string, string] => [`helm/sallyport/observability/${name}`, text]),
    ['helm/sallyport/observability/sallyport.rules.yml', rules],
  ]
}

const { parseWat } = await wabt()

function scanWasm(): string {
  const module = parseWat('scan.wat', readFileSync(join(ROOT, 'src/json/scan.wat'), 'latin1'), { simd: true })
  const code = Buffer.from(module.toBinary({}).buffer).toString('base64')
  const lines = code.match(/.{1,120}/g) ?? []
  return `// Generated from scan.wat; \`npm run docs\` writes it anew. Base64, since this room reads no files.
export const SCAN_WASM =
${lines.map((line) => `  '${line}'`).join(' +\n')}
`
}

/** The page with what stands between its marks written anew. */
function credentialsDocs(page: string): string {
  const schemes = Object.values(SCHEMES)
  const valuesOf = ({ fields, optional, named }: Scheme): string => {
    if (named) return 'any names, such as token'
    const required = fields.filter((field) => !optional.has(field)).join(', ')
    return optional.size === 0 ? required : `${required}; ${fields.filter((field) => optional.has(field)).join(', ')}`
  }
  const rows = schemes.map((scheme) => `| \`${scheme.name}\` | ${valuesOf(scheme)} | ${scheme.about} |`)
  const examples = schemes.map(({ name, example }) => `| \`${name}\` | \`${JSON.stringify(example)}\` |`)
  const withSchemes = withSection(page, 'schemes', ['| scheme | values | what it does |', '|---|---|---|', ...rows])
  return withSection(withSchemes, 'examples', ['| scheme | values |', '|---|---|', ...examples])
}

function benchmarked(): [path: string, content: string][] {
  const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
  const benchmark: Benchmark = JSON.parse(read('docs/benchmark.json'))
  return [
    ['docs/performance.md', withFigures(read('docs/performance.md'), benchmark)],
    ['README.md', withCosts(read('README.md'), benchmark)],
  ]
}

/** Path from the root → content. */
export function generate(): Map<string, string> {
  return new Map([
    ['openapi.json', json(buildOpenApi(VERSION))],
    ['config/schema.json', json(buildConfigSchema())],
    ['docs/configuration.md', buildConfigDocs()],
    ['docs/credentials.md', credentialsDocs(readFileSync(join(ROOT, 'docs/credentials.md'), 'utf8'))],
    ['docs/errors.md', errorsDocs()],
    ['docs/metrics.md', buildMetricsDocs()],
    ...benchmarked(),
    ['src/json/scan-wasm.ts', scanWasm()],
    ...observability(),
  ])
}

if (import.meta.main) for (const [path, content] of generate()) writeFileSync(join(ROOT, path), content)
