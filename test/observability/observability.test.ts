// The proof that what is shown at night is there: a real Prometheus scrapes a real gateway to which everything happens, and every
// expression of every dashboard and rule must return data. And Prometheus' own tool finds no fault with names and rules.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { parse } from 'yaml'
import { DASHBOARDS, queriesOf } from '../../deploy/observability/dashboards.ts'
import { type BusyGateway, startBusyGateway } from '../support/busy-gateway.ts'
import { type Prometheus, promtool, startPrometheus } from '../support/prometheus.ts'
import { operandsOf } from '../support/promql.ts'

const FOLDER = join(import.meta.dirname, '../../deploy/observability')
const RULES = join(FOLDER, 'sallyport.rules.yml')
/** Long enough for two scrapes within every window and for a breaker to open and close. */
const WITHIN_MS = 40_000

let busy: BusyGateway
let prometheus: Prometheus
let traffic: Promise<void>
let stopping = false

before(async () => {
  busy = await startBusyGateway()
  prometheus = await startPrometheus({ target: `127.0.0.1:${busy.gateway.port}`, rules: RULES })
  traffic = (async () => {
    while (!stopping) await busy.round()
  })()
})

after(async () => {
  stopping = true
  await traffic
  await prometheus.stop()
  await busy.stop()
})

/** As a panel asks, of all adapters and callers. */
function filledIn(expr: string): string {
  return expr.replaceAll('$__rate_interval', '20s').replaceAll(/"\$(adapter|caller)"/g, '".*"')
}

function ruleQueries(): { name: string; expr: string }[] {
  interface Rule {
    readonly alert?: string
    readonly record?: string
    readonly expr: string
  }
  const { groups } = parse(readFileSync(RULES, 'utf8')) as { groups: { rules: Rule[] }[] }
  const rules = groups.flatMap((group) => group.rules)
  // An alert is silent while all is well: what it compares must be there all the same.
  return rules.flatMap(({ alert, record, expr }) =>
    (record ? [record, ...operandsOf(expr)] : operandsOf(expr)).map((operand) => ({
      name: alert ?? record ?? '',
      expr: operand,
    })),
  )
}

test('every panel and every rule has data', async (t) => {
  const panels = DASHBOARDS.flatMap((dashboard) =>
    queriesOf(dashboard).map(({ panel, expr }) => ({ name: `${dashboard.title}: ${panel}`, expr: filledIn(expr) })),
  )
  let missing = [...panels, ...ruleQueries()]
  t.diagnostic(`${missing.length} expressions`)
  const end = performance.now() + WITHIN_MS
  while (missing.length > 0 && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 1000))
    const answered = await Promise.all(missing.map(async ({ expr }) => (await prometheus.query(expr)).length > 0))
    missing = missing.filter((_, at) => !answered[at])
  }
  assert.deepEqual(missing, [], 'expressions without data')
})

test('the queries of the runbooks are understood', async () => {
  const folder = join(import.meta.dirname, '../../docs/runbooks')
  for (const page of readdirSync(folder))
    for (const [, expr = ''] of readFileSync(join(folder, page), 'utf8').matchAll(/```promql\n(.*?)\n```/gs))
      await prometheus.query(expr).catch((error: unknown) => assert.fail(`${page}: ${expr}: ${error}`))
})

test('Prometheus reads OpenMetrics without complaint, exemplars included', async () => {
  assert.deepEqual(await prometheus.target(), { health: 'up', lastError: '' })
  stopping = true // what follows asks the processor for itself
  const exemplars = await prometheus.exemplars('sallyport_call_duration_seconds_bucket')
  const traces = busy.traces()
  assert.ok(
    exemplars.some((traceId) => traces.has(traceId)),
    'an exemplar leads to its trace',
  )
})

test("names, units and help keep Prometheus' rules", async () => {
  await promtool(['check', 'metrics'], await busy.gateway.metrics())
})

test('alerts fire where they must, and are silent where they must be', async () => {
  await promtool(['check', 'rules', RULES])
  await promtool(['test', 'rules', join(FOLDER, 'sallyport.rules.test.yml')])
})
