// Deeds to series. What happens at every call is counted in cells (call-cells.ts); what happens now and then, here.
import type { SinkSample } from '../model/audit-sink.ts'
import type { OverrideEntry } from '../model/breaker-override.ts'
import type { Meter, QuotaLevel } from '../model/ports.ts'
import { type AdapterSampler, createAdapterGauges } from './adapter-gauges.ts'
import { createAuditSeries } from './audit-series.ts'
import { createCallCells } from './call-cells.ts'
import { type CredentialSampler, createCredentialGauges } from './credential-gauges.ts'
import { createExposition, type Exposition, type MetricSamples } from './exposition.ts'
import { createQuotaGauge } from './quota-gauge.ts'
import { SERIES } from './series.ts'

export interface Metrics extends Meter {
  /** `accept`: the scraper's Accept header. */
  scrape(accept?: string): Promise<{ readonly contentType: string; readonly text: string }>
  /** All of them, for whoever adds those of several processes. */
  samples(): Promise<readonly MetricSamples[]>
  /** Another worker takes the place of one that ended. */
  workerReplaced(): void
  /** A gauge without labels, read at every scrape. A later sampler of the same name takes the place of the earlier. */
  register(name: 'connections' | 'inFlight' | 'connectionsLimit' | 'workers', sampler: () => number): void
  /** How far the sinks of the audit trail are behind, read at every scrape. */
  watchSinks(sampler: () => Iterable<SinkSample>): void
  /** What operators set over breakers, read at every scrape. */
  watchOverrides(sampler: () => Iterable<OverrideEntry>): void
  /** The live stacks, read at every scrape and summed per adapter. */
  watchAdapters(sampler: AdapterSampler): void
  /** A configuration serves from now on; `callers`: those that are counted by name. */
  configTaken(callers: readonly string[]): void
  /** A configuration was refused, and the one before still serves. */
  configRefused(): void
  /** The stored secrets, read at every scrape. */
  watchCredentials(sampler: CredentialSampler): void
  /** What the configured callers have left of their quotas, read at every scrape. */
  watchQuotas(sampler: () => Iterable<QuotaLevel>): void
}

export interface MetricsOptions {
  readonly version: string
  /** Node's own and the process' series. Default true. */
  readonly processMetrics?: boolean
  /** Distinct names of adapters, and of callers, kept apart; later ones count as `other`. Default 1000. */
  readonly maxNames?: number
  /** Wall clock, ms since 1970. Default: the system's. */
  readonly date?: () => number
}

const STORES = new Set(['redis', 'embedded'])

const known = (name: string, names: ReadonlySet<string>): string => (names.has(name) ? name : 'other')

export function createMetrics(options: MetricsOptions): Metrics {
  const date = options.date ?? Date.now
  const exposition = createExposition({ processMetrics: options.processMetrics !== false, date })
  const cells = createCallCells(exposition, options.maxNames ?? 1000)
  const label = cells.adapterLabel
  const { counter, gauge, histogram } = exposition
  const retries = counter(SERIES.retries)
  const retriesRefused = counter(SERIES.retriesRefused)
  const breakerMoves = counter(SERIES.breakerMoves)
  const cooldowns = counter(SERIES.cooldowns)
  const tlsFailures = counter(SERIES.tlsFailures)
  const sessionCalls = counter(SERIES.sessionCalls)
  const workersReplaced = counter(SERIES.workersReplaced)
  const auditFailures = counter(SERIES.auditFailures)
  const spans = counter(SERIES.spans)
  const observedRefusals = counter(SERIES.observedRefusals)
  const adminActs = counter(SERIES.adminActs)
  const tokenRenewals = counter(SERIES.tokenRenewals)
  const tokenSeconds = histogram(SERIES.tokenSeconds)
  gauge(SERIES.build).set({ version: options.version, node: process.versions.node }, 1)
  const simple = {
    connections: gauge(SERIES.connections),
    inFlight: gauge(SERIES.inFlight),
    connectionsLimit: gauge(SERIES.connectionsLimit),
    workers: gauge(SERIES.workers),
  }
  const samplers = new Map<keyof typeof simple, () => number>()
  const setAdapterGauges = createAdapterGauges(exposition, label)
  const overrides = gauge(SERIES.breakerOverrides)
  let overrideSampler: () => Iterable<OverrideEntry> = () => []
  const setCredentialGauges = createCredentialGauges(exposition)
  let credentialSampler: CredentialSampler = () => []
  const setQuotaGauge = createQuotaGauge(exposition, options.maxNames ?? 1000)
  let quotaSampler: () => Iterable<QuotaLevel> = () => []
  const auditSeries = createAuditSeries(exposition)
  let sinkSampler: () => Iterable<SinkSample> = () => []
  let adapterSampler: AdapterSampler = () => []

  return {
    callEnded: cells.callEnded,
    attemptEnded: cells.attemptEnded,
    waited: cells.waited,
    connected: cells.connected,
    insecure: cells.insecure,
    ...createSplitHistograms(exposition),
    ...createStoreSeries(exposition),
    ...createConfigSeries(exposition, date, cells.nameCallers),
    retried: (adapter, reason) => retries.inc({ adapter: label(adapter), reason }),
    retryRefused: (adapter, rule) => retriesRefused.inc({ adapter: label(adapter), rule }),
    breakerMoved: (adapter, to) => breakerMoves.inc({ adapter: label(adapter), to }),
    cooledDown: (adapter) => cooldowns.inc({ adapter: label(adapter) }),
    tlsFailed: (adapter, reason) => tlsFailures.inc({ adapter: label(adapter), reason }),
    sessionUsed: (outcome) => sessionCalls.inc({ outcome }),
    workerReplaced: () => workersReplaced.inc(),
    auditFailed: () => auditFailures.inc(),
    spansExported: (count, failed) => spans.inc({ outcome: failed ? 'failed' : 'exported' }, count),
    auditShipped: auditSeries.auditShipped,
    refusalObserved: (rule) => observedRefusals.inc({ rule }),
    acted: (act, error) => adminActs.inc({ act, error: error ?? 'none' }),
    tokenRenewed({ scheme, outcome, seconds }) {
      tokenRenewals.inc({ scheme, outcome })
      tokenSeconds.observe({ scheme }, seconds)
    },
    register: (name, sampler) => void samplers.set(name, sampler),
    watchAdapters(sampler) {
      adapterSampler = sampler
    },
    watchCredentials(sampler) {
      credentialSampler = sampler
    },
    watchQuotas(sampler) {
      quotaSampler = sampler
    },
    watchSinks(sampler) {
      sinkSampler = sampler
    },
    watchOverrides(sampler) {
      overrideSampler = sampler
    },
    samples() {
      sample()
      return exposition.samples()
    },
    scrape(accept) {
      sample()
      return exposition.print(accept)
    },
  }

  function sample(): void {
    for (const [name, sampler] of samplers) simple[name].set(sampler())
    setAdapterGauges(adapterSampler)
    overrides.reset()
    for (const { adapter, state } of overrideSampler()) overrides.inc({ adapter: label(adapter), state })
    setCredentialGauges(credentialSampler)
    setQuotaGauge(quotaSampler())
    auditSeries.setLags(sinkSampler())
  }
}

/** Distributions with one label of a few values. */
function createSplitHistograms({ histogramCells }: Exposition): Pick<Meter, 'resolved' | 'tlsShaken'> {
  const dns = histogramCells(SERIES.dnsSeconds)
  const resolutions = {
    hit: dns.cell({ outcome: 'hit' }),
    answered: dns.cell({ outcome: 'answered' }),
    failed: dns.cell({ outcome: 'failed' }),
    refused: dns.cell({ outcome: 'refused' }),
  }
  const tls = histogramCells(SERIES.tlsSeconds)
  const handshakes = { full: tls.cell({ resumed: 'false' }), resumed: tls.cell({ resumed: 'true' }) }
  return {
    resolved: (seconds, outcome) => resolutions[outcome].observe(seconds),
    tlsShaken: (seconds, resumed) => handshakes[resumed ? 'resumed' : 'full'].observe(seconds),
  }
}

function createStoreSeries({ gauge, counter, histogramCells }: Exposition): Pick<Meter, 'storeHealthy' | 'storeAnswered'> {
  const healthy = gauge(SERIES.storeHealthy)
  const failures = counter(SERIES.storeFailures)
  const commands = histogramCells(SERIES.storeSeconds)
  const seconds = new Map([...STORES, 'other'].map((store) => [store, commands.cell({ store })]))
  return {
    storeHealthy(name, isHealthy) {
      const store = known(name, STORES)
      healthy.set({ store }, isHealthy ? 1 : 0)
      failures.inc({ store }, 0) // there from the start, so that the first failure shows as an increase
    },
    storeAnswered(name, took, failed) {
      const store = known(name, STORES)
      seconds.get(store)?.observe(took)
      if (failed) failures.inc({ store })
    },
  }
}

function createConfigSeries(
  { gauge, counter }: Exposition,
  date: () => number,
  nameCallers: (names: readonly string[]) => void,
): Pick<Metrics, 'configTaken' | 'configRefused'> {
  const generation = gauge(SERIES.configGeneration)
  const takenAt = gauge(SERIES.configTaken)
  const well = gauge(SERIES.configWell)
  const refused = counter(SERIES.configRefused)
  return {
    configTaken(callers) {
      nameCallers(callers)
      generation.inc()
      takenAt.set(date() / 1000)
      well.set(1)
    },
    configRefused() {
      well.set(0)
      refused.inc()
    },
  }
}
