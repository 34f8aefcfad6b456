// What is deployed fits together: the compose file mounts what is there, and the chart carries the same rules and dashboards, and asks
// for no value that it does not have.
import assert from 'node:assert/strict'
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { parse } from 'yaml'

const ROOT = join(import.meta.dirname, '../..')
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

interface Compose {
  readonly services: Readonly<
    Record<string, { readonly volumes?: string[]; readonly command?: string[]; readonly depends_on?: string[] }>
  >
  readonly secrets: Readonly<Record<string, { readonly file: string }>>
  readonly volumes: Readonly<Record<string, null>>
}

describe('the compose file', () => {
  const compose = parse(read('deploy/compose.yaml')) as Compose
  /** Of whoever installs it, as its head says. */
  const theirs = ['./sallyport.yaml', './sallyport.key']
  const mounts = Object.entries(compose.services).flatMap(([service, { volumes = [] }]) =>
    volumes.map((volume) => {
      const [from = '', to = ''] = volume.split(':')
      return { service, from, to }
    }),
  )

  test('mounts files that are there, and volumes that it names', () => {
    const files = [...mounts.map(({ from }) => from), ...Object.values(compose.secrets).map(({ file }) => file)]
    for (const from of files.filter((path) => !theirs.includes(path)))
      assert.ok(from.startsWith('.') ? existsSync(join(ROOT, 'deploy', from)) : from in compose.volumes, from)
    for (const path of theirs)
      assert.ok(files.includes(path) && read('deploy/compose.yaml').includes(`deploy/${path.slice(2)}`), path)
  })

  test('gives Prometheus and Grafana what their settings ask for', () => {
    const at = (service: string) => mounts.filter((mount) => mount.service === service).map(({ to }) => to)
    const prometheus = parse(read('deploy/observability/prometheus.yml')) as {
      rule_files: string[]
      scrape_configs: { dns_sd_configs: { names: string[] }[] }[]
    }
    for (const path of prometheus.rule_files) assert.ok(at('prometheus').includes(path), path)
    for (const option of compose.services.prometheus?.command ?? [])
      if (option.startsWith('--config.file=')) assert.ok(at('prometheus').includes(option.slice('--config.file='.length)), option)
    for (const name of prometheus.scrape_configs.flatMap((job) => job.dns_sd_configs.flatMap(({ names }) => names)))
      assert.ok(name in compose.services, name)
    const { providers } = parse(read('deploy/observability/grafana/dashboards.yml')) as {
      providers: { options: { path: string } }[]
    }
    for (const { options } of providers) assert.ok(at('grafana').includes(options.path), options.path)
    const { datasources } = parse(read('deploy/observability/grafana/datasource.yml')) as { datasources: { url: string }[] }
    for (const { url } of datasources) assert.ok(new URL(url).hostname in compose.services, url)
  })
})

describe('the chart', () => {
  const templates = globSync('helm/sallyport/templates/*', { cwd: ROOT }).map((path) => ({ path, text: read(path) }))
  const values = parse(read('helm/sallyport/values.yaml')) as Record<string, unknown>

  test('carries the rules and dashboards of deploy/observability, all of them', () => {
    const names = readdirSync(join(ROOT, 'deploy/observability/dashboards'))
    assert.deepEqual(
      readdirSync(join(ROOT, 'helm/sallyport/observability')).toSorted(),
      [...names, 'sallyport.rules.yml'].toSorted(),
    )
    for (const name of names)
      assert.equal(read(`helm/sallyport/observability/${name}`), read(`deploy/observability/dashboards/${name}`), name)
    const rules = read('helm/sallyport/observability/sallyport.rules.yml')
    assert.equal(rules, read('deploy/observability/sallyport.rules.yml'))
    assert.deepEqual(Object.keys(parse(rules) as object), ['groups'], 'it is the whole spec of a PrometheusRule')
  })

  test('installs what it carries', () => {
    const { text = '' } = templates.find(({ path }) => path.endsWith('monitoring.yaml')) ?? {}
    assert.match(text, /kind: PodMonitor/)
    assert.match(text, /kind: PrometheusRule[\s\S]*\.Files\.Get "observability\/sallyport\.rules\.yml"/)
    assert.match(text, /\.Files\.Glob "observability\/\*\.json"/)
  })

  test('mounts whole folders, since a file mounted by subPath never changes', () => {
    for (const { path, text } of templates) assert.doesNotMatch(text, /subPath:/, path)
  })

  test('asks for no value that it does not have, and has none that nobody asks for', () => {
    const asked = new Set(templates.flatMap(({ text }) => [...text.matchAll(/\.Values\.([\w.]+)/g)].map(([, path = '']) => path)))
    for (const path of asked) {
      let at: unknown = values
      for (const key of path.split('.')) {
        assert.ok(typeof at === 'object' && at !== null && key in at, path)
        at = (at as Record<string, unknown>)[key]
      }
    }
    const used = [...asked]
    for (const [key, value] of Object.entries(values)) {
      const paths = key === 'monitoring' ? Object.keys(value as object).map((inner) => `${key}.${inner}`) : [key]
      for (const path of paths)
        assert.ok(
          used.some((each) => each === path || each.startsWith(`${path}.`)),
          path,
        )
    }
  })
})
