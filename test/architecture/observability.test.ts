// What is read at night names only what there is: series, labels and values of dashboards, rules and runbooks are held against the
// tables they come from, and every alert has its page and its test.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { parse } from 'yaml'
import { DASHBOARDS, queriesOf } from '../../deploy/observability/dashboards.ts'
import { ADMIN_ENTRANCES } from '../../src/descriptor/admin-entrances.ts'
import { CATALOGUE } from '../../src/errors/catalogue.ts'
import { REFUSAL_RULES } from '../../src/errors/refusal-rules.ts'
import { SERIES, type Series } from '../../src/telemetry/series.ts'
import { seriesIn } from '../support/promql.ts'

interface Rule {
  readonly alert?: string
  readonly record?: string
  readonly expr: string
  readonly annotations?: Readonly<Record<string, string>>
}

const ROOT = join(import.meta.dirname, '../..')
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const rules = (parse(read('deploy/observability/sallyport.rules.yml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
)
const alerts = [...new Set(rules.flatMap(({ alert }) => alert ?? []))]
const recorded = new Set(rules.flatMap(({ record }) => record ?? []))
const known = new Map(Object.values<Series>(SERIES).map((series) => [series.name, series]))
const pages = readdirSync(join(ROOT, 'docs/runbooks')).filter((name) => name !== 'README.md')
const expressions = [
  ...DASHBOARDS.flatMap((dashboard) => queriesOf(dashboard).map(({ panel, expr }) => ({ where: panel, expr }))),
  ...rules.map(({ alert, record, expr }) => ({ where: alert ?? record ?? '', expr })),
]

/** The series behind a sample's name; null: none of ours. */
function seriesOf(name: string): Series | null {
  const found = known.get(name)
  if (found) return found.type === 'histogram' ? null : found
  const histogram = known.get(name.replace(/_(?:bucket|sum|count)$/, ''))
  return histogram?.type === 'histogram' ? histogram : null
}

function unknownSeries(text: string): string[] {
  return seriesIn(text).filter((name) => name.startsWith('sallyport') && !recorded.has(name) && seriesOf(name) === null)
}

describe('dashboards and rules', () => {
  for (const { where, expr } of expressions)
    test(`"${where}" names series that exist, by labels that they have: ${expr.slice(0, 60)}`, () => {
      assert.deepEqual(unknownSeries(expr), [])
      for (const [, name = '', matchers = ''] of expr.matchAll(/(sallyport_\w+)\{([^}]*)\}/g)) {
        const labels = [...matchers.matchAll(/(\w+)\s*[=!]/g)].map(([, label]) => label)
        const has = seriesOf(name)?.labels ?? []
        assert.deepEqual(
          labels.filter((label) => !has.includes(label ?? '')),
          [],
          name,
        )
      }
      for (const [, values = ''] of expr.matchAll(/sallyport_refusals_total\{[^}]*rule=~?"([^"]*)"/g))
        for (const value of values.split('|')) assert.ok(value in REFUSAL_RULES, value)
      for (const [, value = ''] of expr.matchAll(/sallyport_\w+\{[^}]*error="(\w+)"/g)) assert.ok(value in CATALOGUE, value)
    })
})

describe('alerts', () => {
  const tested = read('deploy/observability/sallyport.rules.test.yml')
  for (const alert of alerts)
    test(`${alert} has its page and a test in which it fires`, () => {
      const { annotations } = rules.find((rule) => rule.alert === alert) ?? {}
      assert.equal(annotations?.runbook_url, `docs/runbooks/${alert}.md`)
      assert.ok(pages.includes(`${alert}.md`), 'it has no page')
      assert.match(tested, new RegExp(`alertname: ${alert}\\n        exp_alerts:\\n          - `))
    })
})

describe('runbooks', () => {
  const manual = read('docs/cli.md')
  test('there is no page without its alert', () => {
    assert.deepEqual(
      pages.filter((page) => !alerts.includes(page.replace(/\.md$/, ''))),
      [],
    )
  })
  for (const page of pages)
    test(`${page} says what it means, us or them, and what to do, by what there is`, () => {
      const text = read(`docs/runbooks/${page}`)
      assert.deepEqual(
        [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) => title),
        [page.replace(/\.md$/, ''), 'What it means', 'Us or them', 'What to do'],
      )
      assert.match(text, /```promql\n/, 'a query to begin with')
      assert.deepEqual(unknownSeries(text), [])
      const paths = Object.values(ADMIN_ENTRANCES).map(({ path }) => path.replaceAll(/\{\w+\}/g, '[^/\\s]+'))
      for (const [path] of text.matchAll(/\/v1\/admin\/[^\s"'`?)]+/g))
        assert.ok(
          paths.some((known) => new RegExp(`^${known}$`).test(path)),
          path,
        )
      for (const [command] of text.matchAll(/^sallyport (?:(?:secrets|callers|config|audit|keys) )?[a-z]+/gm))
        assert.ok(manual.includes(command), command)
      for (const [, type = ''] of text.matchAll(/`([A-Z][a-zA-Z]+(?:Error|Timeout|Open|Full|Unavailable|Denied|Limited))`/g))
        assert.ok(type in CATALOGUE, type)
    })
})
