// What a scraper is given: the Prometheus text format, or OpenMetrics, which alone has exemplars, to one that asks for it.
import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type Metric,
  type OpenMetricsContentType,
  type PrometheusContentType,
  Registry,
} from 'prom-client'
import {
  type CounterCell,
  createCounterFamily,
  createHistogramFamily,
  type Exemplar,
  type Family,
  type HistogramCell,
} from './cells.ts'
import type { Series } from './series.ts'

export interface Exposition {
  /** For what happens at every call: keep the cells. */
  counterCells(series: Series): Family<CounterCell>
  histogramCells(series: Series): Family<HistogramCell>
  /** For what happens now and then. */
  counter(series: Series): Counter<string>
  gauge(series: Series): Gauge<string>
  histogram(series: Series): Histogram<string>
  samples(): Promise<readonly MetricSamples[]>
  /** `accept`: the Accept header; absent: the Prometheus text format. */
  print(accept?: string): Promise<{ readonly contentType: string; readonly text: string }>
}

/** Gauges that the client library names as if they were counters; nodejs_active_resources says the same. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'] as const

export function createExposition(options: { readonly processMetrics: boolean; readonly date: () => number }): Exposition {
  const plain = new Registry()
  // One of its own: the client library takes `_total` off the names of counters that it prints as OpenMetrics, for good.
  const open = new Registry<OpenMetricsContentType>()
  open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  const common = ({ name, help, labels }: Series) => ({ name, help, labelNames: [...labels], registers: [] })
  const add = <M extends Printable>(metric: M): M => {
    plain.registerMetric(asMetric(metric))
    open.registerMetric(asMetric(inOpenMetrics(metric)))
    return metric
  }
  if (options.processMetrics) {
    collectDefaultMetrics({ register: plain })
    for (const name of MISNAMED) plain.removeSingleMetric(name)
    for (const metric of plain.getMetricsAsArray()) open.registerMetric(asMetric(inOpenMetrics(metric as unknown as Printable)))
  }
  const addFamily = <Cell>(family: Family<Cell>): Family<Cell> => {
    const { name, help, type } = family.series
    add({ name, type, get: async () => ({ name, help, type, values: family.samples() }) })
    return family
  }
  return {
    counterCells: (series) => addFamily(createCounterFamily(series)),
    histogramCells: (series) => addFamily(createHistogramFamily(series, options.date)),
    counter: (series) => add(new Counter<string>(common(series)) as Counter<string> & Printable),
    gauge: (series) => add(new Gauge<string>(common(series)) as Gauge<string> & Printable),
    histogram: (series) =>
      add(new Histogram<string>({ ...common(series), buckets: [...(series.buckets ?? [])] }) as Histogram<string> & Printable),
    samples: () => plain.getMetricsAsJSON() as Promise<readonly MetricSamples[]>,
    async print(accept = '') {
      const registry = wantsOpenMetrics(accept) ? open : plain
      return { contentType: registry.contentType, text: await registry.metrics() }
    },
  }
}

/** One metric with all its values. */
export interface MetricSamples {
  readonly name: string
  readonly help: string
  readonly type: unknown
  readonly values: readonly {
    readonly value: number
    readonly labels: Readonly<Record<string, string | number>>
    readonly metricName?: string
    readonly exemplar?: Exemplar
  }[]
}

/** Samples as a page of their own. */
export async function printSamples(
  metrics: readonly MetricSamples[],
  accept = '',
): Promise<{ readonly contentType: string; readonly text: string }> {
  const open = wantsOpenMetrics(accept)
  const registry = new Registry<PrometheusContentType | OpenMetricsContentType>()
  if (open) registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  for (const metric of metrics) {
    const printable = { ...metric, get: async () => metric }
    registry.registerMetric(asMetric(open ? inOpenMetrics(printable) : printable))
  }
  return { contentType: registry.contentType, text: await registry.metrics() }
}

/** What the client library's registry asks of a metric when it prints it. */
interface Printable {
  readonly name: string
  readonly type?: unknown
  get(): Promise<{ readonly name: string }>
}

/** Its declared type asks for more than it uses. */
function asMetric(metric: Printable): Metric {
  return metric as unknown as Metric
}

/** The same metric under the name that OpenMetrics wants: a counter's family has no `_total`, its samples do. */
function inOpenMetrics(metric: Printable): Printable {
  const { name, type } = metric
  const bare = (full: string): string => (type === 'counter' ? full.replace(/_total$/, '') : full)
  return {
    name: bare(name),
    type,
    async get() {
      const printed = await metric.get()
      return { ...printed, name: bare(printed.name) }
    },
  }
}

/** RFC 9110 §12.5.1, as far as two types need it: OpenMetrics where it is named and no less wanted than plain text. */
export function wantsOpenMetrics(accept: string): boolean {
  let open = 0
  let plain = 0
  for (const range of accept.toLowerCase().split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim())
    const weight = parameters.find((parameter) => parameter.startsWith('q='))
    const q = weight === undefined ? 1 : Number(weight.slice(2))
    if (type === 'application/openmetrics-text') open = Math.max(open, q)
    else if (type === 'text/plain') plain = Math.max(plain, q)
  }
  return open > 0 && open >= plain
}
