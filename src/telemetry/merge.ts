// The metrics of several processes as one page: counters and histograms added, gauges as it fits each; what Node tells of a
// process stands there by process. The counts of one that ended are kept, so that no counter goes backwards.
import { type MetricSamples, printSamples } from './exposition.ts'

type Value = MetricSamples['values'][number]

export interface Totals {
  /** The newest of a process that lives. */
  put(process: string, samples: readonly MetricSamples[]): void
  /** It has ended: its counts stay. */
  bury(process: string): void
  print(accept?: string): Promise<{ readonly contentType: string; readonly text: string }>
}

/** The gauges that every process has for the whole machine, or whose worst is what counts; any other is added. */
const GREATEST: ReadonlySet<string> = new Set([
  ...['sallyport_build_info', 'sallyport_config_generation', 'sallyport_config_last_reload_success_timestamp_seconds'],
  ...['sallyport_breaker_overrides', 'sallyport_slots_used_ratio', 'sallyport_queue_used_ratio'],
  ...['sallyport_credential_expires_timestamp_seconds', 'sallyport_credential_created_timestamp_seconds'],
])
const LEAST: ReadonlySet<string> = new Set([
  ...['sallyport_config_last_reload_successful', 'sallyport_store_healthy', 'sallyport_rate_left_ratio'],
  'sallyport_caller_quota_left_ratio',
])

export function createTotals(): Totals {
  const living = new Map<string, readonly MetricSamples[]>()
  let buried: readonly MetricSamples[] = []
  return {
    put: (process, samples) => void living.set(process, samples),
    bury(process) {
      const last = living.get(process)?.filter(({ name, type }) => isCount(type) && !isOfProcess(name)) ?? []
      living.delete(process)
      buried = merge([buried, last])
    },
    print(accept) {
      const named = [...living].map(([process, samples]) =>
        samples.map((metric) => (isOfProcess(metric.name) ? labelled(metric, process) : metric)),
      )
      return printSamples(merge([...named, buried]), accept)
    },
  }
}

const isOfProcess = (name: string): boolean => name.startsWith('process_') || name.startsWith('nodejs_')

/** The client library says so by a word. */
const isCount = (type: unknown): boolean => type === 'counter' || type === 'histogram'

function labelled(metric: MetricSamples, worker: string): MetricSamples {
  return { ...metric, values: metric.values.map((value) => ({ ...value, labels: { worker, ...value.labels } })) }
}

function merge(pages: readonly (readonly MetricSamples[])[]): MetricSamples[] {
  return [...Map.groupBy(pages.flat(), ({ name }) => name).values()].map((same) => {
    const [first] = same as [MetricSamples]
    const add = adderOf(first)
    const values = new Map<string, Value>()
    for (const value of same.flatMap((metric) => metric.values)) {
      const key = `${value.metricName ?? ''} ${JSON.stringify(Object.entries(value.labels).sort(([a], [b]) => (a < b ? -1 : 1)))}`
      const known = values.get(key)
      const { labels, metricName } = value
      const sum = known ? add(known.value, value.value) : value.value
      const exemplar = newest(known?.exemplar, value.exemplar)
      values.set(key, { labels, value: sum, ...(metricName === undefined ? {} : { metricName }), ...(exemplar && { exemplar }) })
    }
    return { ...first, values: [...values.values()] }
  })
}

function newest(a: Value['exemplar'], b: Value['exemplar']): Value['exemplar'] {
  return a && (!b || a.timestamp > b.timestamp) ? a : b
}

function adderOf({ name }: MetricSamples): (a: number, b: number) => number {
  if (GREATEST.has(name)) return Math.max
  return LEAST.has(name) ? Math.min : (a, b) => a + b
}
