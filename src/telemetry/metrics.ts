// Deeds to series. Counters of the hot path are added up in plain cells and handed to prom-client when somebody scrapes:
// its own label look-up at every call would cost more than the rest of our metering.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { type ErrorType, isA } from '../errors/catalogue.ts'
import type { OverrideEntry } from '../model/breaker-override.ts'
import type { AdapterSample, Meter } from '../model/ports.ts'
import { SERIES, type Series } from './series.ts'

export interface Metrics extends Meter {
  scrape(): Promise<{ readonly contentType: string; readonly text: string }>
  /** A gauge without labels, read at every scrape. A later sampler of the same name takes the place of the earlier. */
  register(name: 'connections' | 'inFlight', sampler: () => number): void
  /** What operators set over breakers, read at every scrape. */
  watchOverrides(sampler: () => Iterable<OverrideEntry>): void
  /** The live stacks, read at every scrape and summed per adapter. */
  watchAdapters(sampler: () => Iterable<readonly [adapter: string, sample: AdapterSample]>): void
}

export interface MetricsOptions {
  readonly version: string
  /** Node's own and the process' series. Default true. */
  readonly processMetrics?: boolean
  /** Distinct adapter names kept apart; later ones count as `other`. Default 1000. */
  readonly maxAdapters?: number
}

const ENTRANCES = new Set(['requests', 'batch', 'prepare', 'token', 'admin', 'other'])
const RULES = new Set(['budget', 'deadline', 'method', 'retry-after', 'exhausted', 'size'])
const STORES = new Set(['redis', 'embedded'])
const BREAKER_STATES = ['closed', 'open', 'half-open'] as const

const known = (name: string, names: ReadonlySet<string>): string => (names.has(name) ? name : 'other')

function statusClass(status: number | null): string {
  if (status === null) return 'none'
  return status >= 100 && status < 600 ? `${Math.floor(status / 100)}xx` : 'other'
}

/** Sums that wait for the next scrape. `labels` is called once for each distinct set. */
function createCells(counter: Counter<string>): {
  add(key: string, amount: number, labels: () => Record<string, string>): void
  flush(): void
} {
  const cells = new Map<string, { readonly labels: Record<string, string>; sum: number }>()
  return {
    add(key, amount, labels) {
      const cell = cells.get(key)
      if (cell) cell.sum += amount
      else cells.set(key, { labels: labels(), sum: amount })
    },
    flush() {
      for (const cell of cells.values()) {
        if (cell.sum > 0) counter.inc(cell.labels, cell.sum)
        cell.sum = 0
      }
    },
  }
}

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry()
  const common = ({ name, help, labels }: Series) => ({ name, help, labelNames: [...labels], registers: [registry] })
  const counter = (series: Series) => new Counter<string>(common(series))
  const gauge = (series: Series) => new Gauge<string>(common(series))
  const histogram = (series: Series) =>
    new Histogram<string>({ ...common(series), ...(series.buckets ? { buckets: [...series.buckets] } : {}) })

  const calls = createCells(counter(SERIES.calls))
  const callSeconds = histogram(SERIES.callSeconds)
  const refusals = createCells(counter(SERIES.refusals))
  const bytesOut = createCells(counter(SERIES.bytesOut))
  const bytesIn = createCells(counter(SERIES.bytesIn))
  const attempts = createCells(counter(SERIES.attempts))
  const attemptSeconds = histogram(SERIES.attemptSeconds)
  const retries = counter(SERIES.retries)
  const retriesRefused = counter(SERIES.retriesRefused)
  const breakerMoves = counter(SERIES.breakerMoves)
  const dnsSeconds = histogram(SERIES.dnsSeconds)
  const insecure = counter(SERIES.insecure)
  const storeHealthy = gauge(SERIES.storeHealthy)
  const auditFailures = counter(SERIES.auditFailures)
  const adminActs = counter(SERIES.adminActs)
  const tokenRenewals = counter(SERIES.tokenRenewals)
  const tokenSeconds = histogram(SERIES.tokenSeconds)
  gauge(SERIES.build).set({ version: options.version, node: process.versions.node }, 1)
  const simple = { connections: gauge(SERIES.connections), inFlight: gauge(SERIES.inFlight) }
  const samplers = new Map<keyof typeof simple, () => number>()
  const adapterGauges = createAdapterGauges(gauge)
  const overrides = gauge(SERIES.breakerOverrides)
  let overrideSampler: () => Iterable<OverrideEntry> = () => []
  let adapterSampler: () => Iterable<readonly [string, AdapterSample]> = () => []
  if (options.processMetrics !== false) collectDefaultMetrics({ register: registry })

  // One label object per adapter for the histograms; also what bounds the label.
  const byAdapter = new Map<string, { readonly adapter: string }>()
  const maxAdapters = options.maxAdapters ?? 1000
  const labelsOf = (adapter: string | null): { readonly adapter: string } => {
    const name = adapter ?? 'none'
    const found = byAdapter.get(name)
    if (found) return found
    const labels = { adapter: byAdapter.size < maxAdapters ? name : 'other' }
    if (byAdapter.size < maxAdapters) byAdapter.set(name, labels)
    return labels
  }

  return {
    callEnded(call) {
      const of = labelsOf(call.adapter)
      const error = call.error ?? 'none'
      calls.add(`${call.entrance} ${of.adapter} ${call.status} ${error}`, 1, () => ({
        entrance: known(call.entrance, ENTRANCES),
        adapter: of.adapter,
        status: statusClass(call.status),
        error,
      }))
      callSeconds.observe(of, call.seconds)
      if (call.bytesOut > 0) bytesOut.add(of.adapter, call.bytesOut, () => of)
      if (call.bytesIn > 0) bytesIn.add(of.adapter, call.bytesIn, () => of)
      if (call.error !== null && isRefusal(call.error)) refusals.add(error, 1, () => ({ type: error }))
    },
    attemptEnded(attempt) {
      const of = labelsOf(attempt.adapter)
      const error = attempt.error ?? 'none'
      attempts.add(`${of.adapter} ${attempt.status} ${error}`, 1, () => ({
        adapter: of.adapter,
        status: statusClass(attempt.status),
        error,
      }))
      attemptSeconds.observe(of, attempt.seconds)
    },
    retried: (adapter, reason) => retries.inc({ adapter: labelsOf(adapter).adapter, reason }),
    retryRefused: (adapter, rule) => retriesRefused.inc({ adapter: labelsOf(adapter).adapter, rule: known(rule, RULES) }),
    breakerMoved: (adapter, to) => breakerMoves.inc({ adapter: labelsOf(adapter).adapter, to }),
    resolved: (seconds, outcome) => dnsSeconds.observe({ outcome }, seconds),
    insecure: (adapter) => insecure.inc({ adapter: labelsOf(adapter).adapter }),
    storeHealthy: (store, healthy) => storeHealthy.set({ store: known(store, STORES) }, healthy ? 1 : 0),
    auditFailed: () => auditFailures.inc(),
    acted: (act, error) => adminActs.inc({ act, error: error ?? 'none' }),
    tokenRenewed({ scheme, outcome, seconds }) {
      tokenRenewals.inc({ scheme, outcome })
      tokenSeconds.observe({ scheme }, seconds)
    },
    register: (name, sampler) => void samplers.set(name, sampler),
    watchAdapters(sampler) {
      adapterSampler = sampler
    },
    watchOverrides(sampler) {
      overrideSampler = sampler
    },
    async scrape() {
      for (const cells of [calls, refusals, bytesOut, bytesIn, attempts]) cells.flush()
      for (const [name, sampler] of samplers) simple[name].set(sampler())
      adapterGauges.set(adapterSampler(), (adapter) => labelsOf(adapter).adapter)
      overrides.reset()
      for (const { adapter, state } of overrideSampler()) overrides.inc({ adapter: labelsOf(adapter).adapter, state })
      return { contentType: registry.contentType, text: await registry.metrics() }
    },
  }
}

const isRefusal = (type: ErrorType): boolean => isA(type, 'GatewayRefusal')

function createAdapterGauges(gauge: (series: Series) => Gauge<string>): {
  set(samples: Iterable<readonly [string, AdapterSample]>, labelOf: (adapter: string) => string): void
} {
  const breakerOrigins = gauge(SERIES.breakerOrigins)
  const sums = [
    { gauge: gauge(SERIES.poolConnections), of: (sample: AdapterSample) => sample.connections },
    { gauge: gauge(SERIES.poolIdle), of: (sample: AdapterSample) => sample.idle },
    { gauge: gauge(SERIES.slotsTaken), of: (sample: AdapterSample) => sample.inFlight },
    { gauge: gauge(SERIES.queued), of: (sample: AdapterSample) => sample.queued },
  ]
  return {
    set(samples, labelOf) {
      // An adapter whose origins are all gone must not keep its last values.
      breakerOrigins.reset()
      for (const sum of sums) sum.gauge.reset()
      for (const [name, sample] of samples) {
        const adapter = labelOf(name)
        for (const sum of sums) sum.gauge.inc({ adapter }, sum.of(sample))
        for (const state of BREAKER_STATES) breakerOrigins.inc({ adapter, state }, sample.breaker === state ? 1 : 0)
      }
    },
  }
}
