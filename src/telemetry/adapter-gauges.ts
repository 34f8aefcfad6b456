// The live stacks as gauges, read off at the scrape: sums over an adapter's origins, and of ratios the worst one, since one full
// origin among many idle ones would vanish in a sum.
import type { AdapterSample } from '../model/ports.ts'
import type { Exposition } from './exposition.ts'
import { SERIES } from './series.ts'

const BREAKER_STATES = ['closed', 'open', 'half-open'] as const

export type AdapterSampler = () => Iterable<readonly [adapter: string, sample: AdapterSample]>

interface State {
  origins: number
  connections: number
  idle: number
  inFlight: number
  queued: number
  slotsUsed: number
  queueUsed: number
  rateLeft: number | null
  cooldownMs: number
  readonly breakers: Record<(typeof BREAKER_STATES)[number], number>
}

/** `labelOf`: what an adapter is called in metrics. */
export function createAdapterGauges({ gauge }: Exposition, labelOf: (adapter: string) => string): (from: AdapterSampler) => void {
  const breakerOrigins = gauge(SERIES.breakerOrigins)
  const rateLeft = gauge(SERIES.rateLeft)
  const gauges = [
    { gauge: gauge(SERIES.poolOrigins), of: (state: State) => state.origins },
    { gauge: gauge(SERIES.poolConnections), of: (state: State) => state.connections },
    { gauge: gauge(SERIES.poolIdle), of: (state: State) => state.idle },
    { gauge: gauge(SERIES.slotsTaken), of: (state: State) => state.inFlight },
    { gauge: gauge(SERIES.queued), of: (state: State) => state.queued },
    { gauge: gauge(SERIES.slotsUsed), of: (state: State) => state.slotsUsed },
    { gauge: gauge(SERIES.queueUsed), of: (state: State) => state.queueUsed },
    { gauge: gauge(SERIES.cooldownSeconds), of: (state: State) => state.cooldownMs / 1000 },
  ]
  return (sampler) => {
    // An adapter whose origins are all gone must not keep its last values.
    for (const each of [breakerOrigins, rateLeft, ...gauges.map(({ gauge }) => gauge)]) each.reset()
    for (const [adapter, state] of stateByAdapter(sampler(), labelOf)) {
      for (const { gauge, of } of gauges) gauge.set({ adapter }, of(state))
      for (const breaker of BREAKER_STATES) breakerOrigins.set({ adapter, state: breaker }, state.breakers[breaker])
      if (state.rateLeft !== null) rateLeft.set({ adapter }, state.rateLeft)
    }
  }
}

function stateByAdapter(samples: ReturnType<AdapterSampler>, labelOf: (adapter: string) => string): ReadonlyMap<string, State> {
  const states = new Map<string, State>()
  for (const [name, sample] of samples) {
    const adapter = labelOf(name)
    const state = states.get(adapter) ?? emptyState()
    states.set(adapter, state)
    take(state, sample)
  }
  return states
}

function emptyState(): State {
  const sums = { origins: 0, connections: 0, idle: 0, inFlight: 0, queued: 0 }
  return { ...sums, slotsUsed: 0, queueUsed: 0, rateLeft: null, cooldownMs: 0, breakers: { closed: 0, open: 0, 'half-open': 0 } }
}

function take(state: State, sample: AdapterSample): void {
  state.origins++
  state.connections += sample.connections
  state.idle += sample.idle
  state.inFlight += sample.inFlight
  state.queued += sample.queued
  state.slotsUsed = Math.max(state.slotsUsed, sample.inFlight / sample.slots)
  // Without a queue there is none to be full.
  if (sample.places > 0) state.queueUsed = Math.max(state.queueUsed, sample.queued / sample.places)
  if (sample.rateLeft !== null) state.rateLeft = Math.min(state.rateLeft ?? 1, sample.rateLeft)
  state.cooldownMs = Math.max(state.cooldownMs, sample.cooldownMs)
  if (sample.breaker !== null) state.breakers[sample.breaker]++
}
