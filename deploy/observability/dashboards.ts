// The Grafana dashboards as code: fleet, adapter, caller. `npm run docs` writes them to deploy/observability/dashboards/ and into
// the chart; `npm run test:observability` asks a real Prometheus every expression. For Grafana 11 and later.

export interface Query {
  /** PromQL; `$adapter` and `$caller` are regular expressions, `$__rate_interval` is Grafana's. */
  readonly expr: string
  /** Of the legend, with `{{label}}`. */
  readonly legend: string
}

interface Panel {
  readonly title: string
  /** What to conclude from it. */
  readonly description: string
  /** Grafana's name of a unit. Default `short`. */
  readonly unit?: string
  /** Default `timeseries`. */
  readonly type?: 'timeseries' | 'stat' | 'table'
  readonly max?: number
  readonly queries: readonly Query[]
}

interface Row {
  readonly title: string
  readonly panels: readonly Panel[]
}

export interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly description: string
  readonly variables: readonly { readonly name: string; readonly query: string }[]
  readonly rows: readonly Row[]
}

const query = (expr: string, legend = ''): Query => ({ expr, legend })
const rate = (series: string): string => `rate(${series}[$__rate_interval])`
/** A quantile of a histogram, `by` a label or none. */
const quantile = (q: number, series: string, by = '', matching = ''): string =>
  `histogram_quantile(${q}, sum by (${by ? `${by}, ` : ''}le) (${rate(`${series}_bucket${matching}`)}))`
const quantiles = (series: string, matching = ''): Query[] =>
  [0.5, 0.95, 0.99].map((q) => query(quantile(q, series, '', matching), `p${q * 100}`))

/** What callers asked for: not the gateway's own token requests, nor what was only explained. */
const CALLS = 'entrance=~"requests|batch"'

const FLEET: Dashboard = {
  uid: 'sallyport-fleet',
  title: 'Sallyport / Fleet',
  description: 'Is it us or them, how full are we, and do our dependencies answer.',
  variables: [],
  rows: [
    {
      title: 'Us or them',
      panels: [
        {
          title: 'Calls by whose doing their outcome was',
          description: 'none: they went well. upstream: theirs. gateway: ours. caller: 4xx, refusals by grant, hang-ups.',
          unit: 'reqps',
          queries: [query(`sum by (fault) (${rate(`sallyport_calls_total{${CALLS}}`)})`, '{{fault}}')],
        },
        {
          title: 'Burn of the error budgets',
          description: '1: the budget is spent just as it is earned. Above 14.4 for an hour somebody is woken.',
          queries: [
            query('sallyport:gateway_faults:ratio_rate1h / 0.001', 'gateway, 1 h'),
            query('sallyport:gateway_faults:ratio_rate5m / 0.001', 'gateway, 5 min'),
            query('max(sallyport:upstream_faults:ratio_rate1h) / 0.01', 'worst upstream, 1 h'),
          ],
        },
        {
          title: 'Call duration',
          description: 'Whole calls, waits and upstreams included. Points are traces, where callers send one or traces are on.',
          unit: 's',
          queries: quantiles('sallyport_call_duration_seconds'),
        },
        {
          title: "The gateway's own time",
          description: 'What of a call was neither a wait nor an upstream. If this is flat, slowness is not ours.',
          unit: 's',
          queries: quantiles('sallyport_call_overhead_seconds'),
        },
        {
          title: 'Adapters whose upstreams fail most',
          description: 'Share of calls that failed by the upstream; the ten worst.',
          unit: 'percentunit',
          queries: [query('topk(10, sallyport:upstream_faults:ratio_rate5m)', '{{adapter}}')],
        },
        {
          title: 'Refusals by rule',
          description: 'What the gateway itself turned away, and the rule that did: docs/metrics.md lists them.',
          unit: 'reqps',
          queries: [query(`sum by (rule) (${rate('sallyport_refusals_total')})`, '{{rule}}')],
        },
        {
          title: 'Refusals only observed',
          description: 'What would be refused of callers that are observed only; look here before a rule is enforced.',
          unit: 'reqps',
          queries: [query(`sum by (rule) (${rate('sallyport_observed_refusals_total')})`, '{{rule}}')],
        },
        {
          title: 'Tries a call',
          description: '1: nothing is repeated. Above 1.5 retries add to the trouble; below 1 calls are refused before a try.',
          queries: [query('sallyport:amplification:ratio_rate5m', '{{adapter}}')],
        },
        {
          title: 'Breakers not closed',
          description: 'Origins that are not called, or only probed; all replicas.',
          queries: [query('sum by (adapter, state) (sallyport_breaker_origins{state!="closed"})', '{{adapter}} {{state}}')],
        },
      ],
    },
    {
      title: 'Saturation',
      panels: [
        {
          title: 'Slots taken, fullest origin',
          description: 'Of limits.concurrency. At 1 calls queue.',
          unit: 'percentunit',
          max: 1,
          queries: [query('topk(10, max by (adapter) (sallyport_slots_used_ratio))', '{{adapter}}')],
        },
        {
          title: 'Queue, fullest origin',
          description: 'Of limits.queue. At 1 calls are refused (BulkheadFull).',
          unit: 'percentunit',
          max: 1,
          queries: [query('topk(10, max by (adapter) (sallyport_queue_used_ratio))', '{{adapter}}')],
        },
        {
          title: 'Event loop delay, p99',
          description: 'Every call on that replica is late by this. Above 100 ms it wants more CPU or another replica.',
          unit: 's',
          queries: [query('max by (instance) (nodejs_eventloop_lag_p99_seconds)', '{{instance}}')],
        },
        {
          title: 'CPU',
          description: 'Cores used. One replica has one busy thread: near 1 it is full.',
          queries: [query(`sum by (instance) (${rate('process_cpu_seconds_total')})`, '{{instance}}')],
        },
        {
          title: 'Memory',
          description: 'Resident.',
          unit: 'bytes',
          queries: [query('sum by (instance) (process_resident_memory_bytes)', '{{instance}}')],
        },
        {
          title: "Callers' connections and requests",
          description: 'Open now, of as many as listen.connections allows.',
          queries: [
            query('sum by (instance) (sallyport_http_connections)', 'connections {{instance}}'),
            query('sum by (instance) (sallyport_http_requests_in_flight)', 'requests {{instance}}'),
            query('max(sallyport_http_connections_limit)', 'limit'),
          ],
        },
        {
          title: 'Origins kept',
          description: 'Made-up hosts under a catch-all show here; the gateway keeps at most 5,000.',
          queries: [query('sum by (adapter) (sallyport_pool_origins)', '{{adapter}}')],
        },
        {
          title: 'Rate left, least of all replicas',
          description: 'What of limits.rate can be spent at once. At 0 calls wait for their turn.',
          unit: 'percentunit',
          max: 1,
          queries: [query('min by (adapter) (sallyport_rate_left_ratio)', '{{adapter}}')],
        },
      ],
    },
    {
      title: 'Dependencies',
      panels: [
        {
          title: 'Store',
          description: '1 while it answers.',
          max: 1,
          queries: [query('min by (store, instance) (sallyport_store_healthy)', '{{store}} {{instance}}')],
        },
        {
          title: 'Store commands',
          description: 'Duration at the 99th percentile.',
          unit: 's',
          queries: [query(quantile(0.99, 'sallyport_store_command_duration_seconds', 'store'), '{{store}}')],
        },
        {
          title: 'Store failures and audit failures',
          description: 'Any audit failure stops calls, unless audit.durability is best-effort.',
          queries: [
            query(`sum by (store) (${rate('sallyport_store_command_failures_total')})`, 'store {{store}}'),
            query(`sum(${rate('sallyport_audit_failures_total')})`, 'audit'),
          ],
        },
        {
          title: 'Audit trail: how far sinks are behind',
          description: 'Age of the oldest record that a sink (audit.sinks, audit.stream) does not have; 0 once it has all.',
          unit: 's',
          queries: [query('max by (sink, instance) (sallyport_audit_lag_seconds)', '{{sink}} {{instance}}')],
        },
        {
          title: 'Audit trail: shipped, and batches not taken',
          description: 'Records that sinks took, and batches that they did not; these are sent again.',
          queries: [
            query(`sum by (sink) (${rate('sallyport_audit_shipped_records_total')})`, '{{sink}} taken'),
            query(`sum by (sink, outcome) (${rate('sallyport_audit_shipment_failures_total')})`, '{{sink}} {{outcome}}'),
          ],
        },
        {
          title: 'Stored secrets: time left',
          description: 'Until the version that calls get ends; the ten nearest. Those without an end are not here.',
          unit: 's',
          queries: [
            query('bottomk(10, min by (credential) (sallyport_credential_expires_timestamp_seconds) - time())', '{{credential}}'),
          ],
        },
        {
          title: 'Stored secrets: age',
          description: 'Since the version that calls get was made; the ten oldest.',
          unit: 's',
          queries: [
            query('topk(10, time() - min by (credential) (sallyport_credential_created_timestamp_seconds))', '{{credential}}'),
          ],
        },
        {
          title: 'Access tokens',
          description: 'Renewals by scheme and outcome.',
          queries: [query(`sum by (scheme, outcome) (${rate('sallyport_token_renewals_total')})`, '{{scheme}} {{outcome}}')],
        },
        {
          title: 'Name resolution',
          description: 'Questions by outcome; failed ones are the name servers, refused ones our own rule.',
          queries: [query(`sum by (outcome) (${rate('sallyport_dns_duration_seconds_count')})`, '{{outcome}}')],
        },
        {
          title: 'Spans sent to the collector',
          description: 'Where traces are on. failed: it did not take them.',
          queries: [query(`sum by (outcome) (${rate('sallyport_trace_spans_total')})`, '{{outcome}}')],
        },
        {
          title: 'TLS handshakes',
          description: 'With upstreams; resumed ones are cheap. Failures by reason.',
          queries: [
            query(`sum by (resumed) (${rate('sallyport_tls_handshake_duration_seconds_count')})`, 'resumed: {{resumed}}'),
            query(`sum by (reason) (${rate('sallyport_tls_handshake_failures_total')})`, 'failed: {{reason}}'),
          ],
        },
      ],
    },
    {
      title: 'What changed',
      panels: [
        {
          title: 'Replicas by version',
          description: 'More than one version for long: a rollout is stuck.',
          type: 'table',
          queries: [query('count by (version, node) (sallyport_build_info)')],
        },
        {
          title: 'Configuration taken',
          description: 'When each replica took the configuration that it serves.',
          unit: 'dateTimeFromNow',
          type: 'stat',
          queries: [query('max by (instance) (sallyport_config_last_reload_success_timestamp_seconds) * 1000', '{{instance}}')],
        },
        {
          title: 'Configuration refused',
          description: '0: the replica serves its latest configuration; 1: the latest was refused, and the one before serves.',
          max: 1,
          queries: [query('1 - min by (instance) (sallyport_config_last_reload_successful)', '{{instance}}')],
        },
        {
          title: 'Acts of operators',
          description: 'At the admin entrance; who and what is in the audit trail.',
          queries: [query(`sum by (act, error) (${rate('sallyport_admin_acts_total')})`, '{{act}} {{error}}')],
        },
        {
          title: 'Breakers forced',
          description: 'By operators, and neither protecting nor recovering by themselves.',
          queries: [query('sum by (adapter, state) (sallyport_breaker_overrides)', '{{adapter}} {{state}}')],
        },
      ],
    },
  ],
}

const OF = 'adapter=~"$adapter"'

const ADAPTER: Dashboard = {
  uid: 'sallyport-adapter',
  title: 'Sallyport / Adapter',
  description: 'One adapter: what its callers saw, what its upstream did, and which limit stood between.',
  variables: [{ name: 'adapter', query: 'label_values(sallyport_calls_total, adapter)' }],
  rows: [
    {
      title: 'What callers saw',
      panels: [
        {
          title: 'Calls by status',
          description: 'Class of the upstream status; none: no answer came.',
          unit: 'reqps',
          queries: [query(`sum by (status) (${rate(`sallyport_calls_total{${OF}}`)})`, '{{status}}')],
        },
        {
          title: 'Failures by error',
          description: 'error.type of the envelope; docs/errors.md says what to do about each.',
          unit: 'reqps',
          queries: [
            query(`sum by (error, fault) (${rate(`sallyport_calls_total{${OF}, error!="none"}`)})`, '{{error}} ({{fault}})'),
          ],
        },
        {
          title: 'Call duration',
          description: 'Whole calls.',
          unit: 's',
          queries: quantiles('sallyport_call_duration_seconds', `{${OF}}`),
        },
        {
          title: 'Refusals by rule',
          description: 'What the gateway turned away.',
          unit: 'reqps',
          queries: [query(`sum by (rule) (${rate(`sallyport_refusals_total{${OF}}`)})`, '{{rule}}')],
        },
      ],
    },
    {
      title: 'What the upstream did',
      panels: [
        {
          title: 'Tries by outcome',
          description: 'Single tries on the wire, by status and error.',
          unit: 'reqps',
          queries: [query(`sum by (status, error) (${rate(`sallyport_attempts_total{${OF}}`)})`, '{{status}} {{error}}')],
        },
        {
          title: 'Duration of tries',
          description: 'From the slot to the last byte: if this is as long as the calls, the time goes to the upstream.',
          unit: 's',
          queries: quantiles('sallyport_attempt_duration_seconds', `{${OF}}`),
        },
        {
          title: 'Connecting',
          description: 'DNS, TCP and TLS of connections opened, and how many.',
          unit: 's',
          queries: [
            query(quantile(0.95, 'sallyport_connect_duration_seconds', '', `{${OF}}`), 'p95'),
            query(quantile(0.5, 'sallyport_connect_duration_seconds', '', `{${OF}}`), 'p50'),
          ],
        },
        {
          title: 'Connections opened and used again',
          description: 'Opened as often as used: the upstream does not keep connections.',
          unit: 'ops',
          queries: [
            query(`sum(${rate(`sallyport_connect_duration_seconds_count{${OF}}`)})`, 'opened'),
            query(`sum(${rate(`sallyport_pool_reuses_total{${OF}}`)})`, 'used again'),
          ],
        },
        {
          title: 'TLS failures',
          description: 'Expired, untrusted and hostname are theirs to mend; client-certificate may be ours.',
          queries: [
            query(
              `sum by (adapter, reason) (${rate(`sallyport_tls_handshake_failures_total{${OF}}`)})`,
              '{{adapter}} {{reason}}',
            ),
          ],
        },
        {
          title: 'Bytes',
          description: 'Bodies sent, and decoded bodies received.',
          unit: 'Bps',
          queries: [
            query(`sum(${rate(`sallyport_upstream_request_bytes_total{${OF}}`)})`, 'out'),
            query(`sum(${rate(`sallyport_upstream_response_bytes_total{${OF}}`)})`, 'in'),
          ],
        },
      ],
    },
    {
      title: 'What stood between',
      panels: [
        {
          title: 'Retries by reason',
          description: 'Tries repeated.',
          queries: [query(`sum by (reason) (${rate(`sallyport_retries_total{${OF}}`)})`, '{{reason}}')],
        },
        {
          title: 'Failures not tried again, by rule',
          description: 'budget: the adapter repeats enough already. exhausted: all tries were used.',
          queries: [query(`sum by (rule) (${rate(`sallyport_retries_refused_total{${OF}}`)})`, '{{rule}}')],
        },
        {
          title: 'Breakers',
          description: 'Origins by the state of their breaker; all replicas.',
          queries: [query(`sum by (state) (sallyport_breaker_origins{${OF}})`, '{{state}}')],
        },
        {
          title: 'Breaker moves',
          description: 'One that opens and closes all the time: see errorRate, volume and openFor.',
          queries: [query(`sum by (to) (${rate(`sallyport_breaker_transitions_total{${OF}}`)})`, 'to {{to}}')],
        },
        {
          title: 'Waits, p95',
          description: 'Of calls that waited: for a slot (queue), for the rate, between tries, for a token.',
          unit: 's',
          queries: [query(quantile(0.95, 'sallyport_wait_duration_seconds', 'because', `{${OF}}`), '{{because}}')],
        },
        {
          title: 'Slots, queue, connections',
          description: 'Now, all replicas.',
          queries: [
            query(`sum(sallyport_slots_taken{${OF}})`, 'slots taken'),
            query(`sum(sallyport_queued{${OF}})`, 'queued'),
            query(`sum(sallyport_pool_connections{${OF}})`, 'connections'),
            query(`sum(sallyport_pool_idle_connections{${OF}})`, 'idle connections'),
          ],
        },
        {
          title: 'Idempotency replays',
          description: 'Calls that got the outcome of an earlier one.',
          queries: [query(`sum by (adapter) (${rate(`sallyport_idempotency_replays_total{${OF}}`)})`, '{{adapter}}')],
        },
        {
          title: 'Tries without verifying the certificate',
          description: 'Should be nothing.',
          queries: [query(`sum by (adapter) (${rate(`sallyport_insecure_calls_total{${OF}}`)})`, '{{adapter}}')],
        },
      ],
    },
  ],
}

const BY = 'caller=~"$caller"'

const CALLER: Dashboard = {
  uid: 'sallyport-caller',
  title: 'Sallyport / Caller',
  description:
    'Who calls how much, and how it goes for them. Names come from the configuration; `none` is whoever had no valid key.',
  variables: [{ name: 'caller', query: 'label_values(sallyport_caller_calls_total, caller)' }],
  rows: [
    {
      title: 'Callers',
      panels: [
        {
          title: 'Calls',
          description: 'The twenty busiest.',
          unit: 'reqps',
          queries: [query(`topk(20, sum by (caller) (${rate(`sallyport_caller_calls_total{${BY}}`)}))`, '{{caller}}')],
        },
        {
          title: 'Outcomes',
          description: 'Whose doing they were.',
          unit: 'reqps',
          queries: [query(`sum by (fault) (${rate(`sallyport_caller_calls_total{${BY}}`)})`, '{{fault}}')],
        },
        {
          title: 'Share of calls that did not go well',
          description: 'One caller far above the others: look at its calls in the audit trail.',
          unit: 'percentunit',
          max: 1,
          queries: [
            query(
              `1 - sum by (caller) (${rate(`sallyport_caller_calls_total{${BY}, fault="none"}`)}) / sum by (caller) (${rate(`sallyport_caller_calls_total{${BY}}`)})`,
              '{{caller}}',
            ),
          ],
        },
        {
          title: 'Mean duration of a call',
          description: 'Waits and upstreams included.',
          unit: 's',
          queries: [
            query(
              `sum by (caller) (${rate(`sallyport_caller_call_seconds_total{${BY}}`)}) / sum by (caller) (${rate(`sallyport_caller_calls_total{${BY}}`)})`,
              '{{caller}}',
            ),
          ],
        },
        {
          title: 'Calls at once',
          description: 'Mean number under way (seconds spent a second).',
          queries: [query(`sum by (caller) (${rate(`sallyport_caller_call_seconds_total{${BY}}`)})`, '{{caller}}')],
        },
        {
          title: 'Bytes received for them',
          description: 'Decoded bodies of upstreams.',
          unit: 'Bps',
          queries: [query(`sum by (caller) (${rate(`sallyport_caller_response_bytes_total{${BY}}`)})`, '{{caller}}')],
        },
      ],
    },
    {
      title: 'Quotas',
      panels: [
        {
          title: 'Left of their quotas',
          description: 'Of the replica with the least. At 0 calls are refused at once; callers without a quota have none here.',
          unit: 'percentunit',
          max: 1,
          queries: [query(`min by (caller, quota) (sallyport_caller_quota_left_ratio{${BY}})`, '{{caller}} {{quota}}')],
        },
        {
          title: 'Calls refused for a quota',
          description: 'All callers together.',
          unit: 'reqps',
          queries: [query(`sum(${rate('sallyport_refusals_total{rule="quota"}')})`, 'refused')],
        },
      ],
    },
    {
      title: 'Sessions',
      panels: [
        {
          title: 'Calls with a session',
          description: 'lost: the store would not take the new cookies.',
          queries: [query(`sum by (outcome) (${rate('sallyport_session_calls_total')})`, '{{outcome}}')],
        },
      ],
    },
  ],
}

export const DASHBOARDS: readonly Dashboard[] = [FLEET, ADAPTER, CALLER]

/** Every expression of a dashboard with the title of its panel. */
export function queriesOf({ rows }: Dashboard): { readonly panel: string; readonly expr: string }[] {
  return rows.flatMap(({ panels }) => panels.flatMap(({ title, queries }) => queries.map(({ expr }) => ({ panel: title, expr }))))
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's own variable
const SOURCE = { type: 'prometheus', uid: '${datasource}' } as const
const WIDTH = 12
const HEIGHT = 8

/** As Grafana imports it. */
export function grafanaJson({ uid, title, description, variables, rows }: Dashboard): object {
  let id = 0
  let y = 0
  const panels: object[] = []
  for (const row of rows) {
    panels.push({ id: ++id, type: 'row', title: row.title, collapsed: false, gridPos: { x: 0, y: y++, w: 24, h: 1 }, panels: [] })
    for (const [at, panel] of row.panels.entries()) {
      const gridPos = { x: (at % 2) * WIDTH, y: y + Math.floor(at / 2) * HEIGHT, w: WIDTH, h: HEIGHT }
      panels.push(grafanaPanel(panel, ++id, gridPos))
    }
    y += Math.ceil(row.panels.length / 2) * HEIGHT
  }
  return {
    ...{ uid, title, description, panels },
    tags: ['sallyport'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    links: [{ type: 'dashboards', tags: ['sallyport'], title: 'Sallyport', asDropdown: true, keepTime: true }],
    templating: {
      list: [
        { name: 'datasource', type: 'datasource', query: 'prometheus', current: {} },
        ...variables.map(({ name, query }) => ({
          ...{ name, type: 'query', datasource: SOURCE, query: { query, refId: name }, definition: query },
          ...{ refresh: 2, sort: 1, multi: true, includeAll: true, allValue: '.*' },
          current: { text: ['All'], value: ['$__all'] },
        })),
      ],
    },
  }
}

function grafanaPanel(
  { title, description, unit = 'short', type = 'timeseries', max, queries }: Panel,
  id: number,
  gridPos: object,
): object {
  return {
    ...{ id, type, title, description, gridPos },
    datasource: SOURCE,
    fieldConfig: {
      defaults: {
        unit,
        ...(type === 'timeseries' ? { min: 0, custom: { fillOpacity: 10, showPoints: 'never' } } : {}),
        ...(max === undefined ? {} : { max }),
      },
      overrides: [],
    },
    options:
      type === 'timeseries'
        ? { tooltip: { mode: 'multi', sort: 'desc' }, legend: { displayMode: 'list', placement: 'bottom' } }
        : {},
    targets: queries.map(({ expr, legend }, at) => ({
      ...{ refId: String.fromCharCode(65 + at), datasource: SOURCE, expr, legendFormat: legend === '' ? '__auto' : legend },
      // A time series shows the traces behind a duration; a table or a number wants the last value alone.
      ...(type === 'timeseries'
        ? { exemplar: expr.includes('_bucket') }
        : { instant: true, format: type === 'table' ? 'table' : 'time_series' }),
    })),
  }
}
