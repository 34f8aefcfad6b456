// What stands for one adapter and one origin: slots, breaker, bucket and connections, joined in the pipeline's order. Which of
// them there are at a time is the adapter pool's affair.
import type { OriginStack, StackOrigin } from './adapters/adapter-pool.ts'
import { configuredName } from './adapters/twin-routes.ts'
import { type Breaker, type BreakerRotation, createBreaker, createForcedDoor } from './layers/breaker.ts'
import { bulkhead } from './layers/bulkhead.ts'
import { createCooldown } from './layers/cooldown.ts'
import { createRateLimit } from './layers/rate-limit.ts'
import { retry } from './layers/retry.ts'
import { timeLeft } from './layers/time-left.ts'
import { traceContext } from './layers/trace-context.ts'
import type { AdapterPolicy } from './model/adapter-policy.ts'
import type { BreakerFleet } from './model/breaker-fleet.ts'
import type { CooldownFleet } from './model/cooldown-fleet.ts'
import { type Layer, openGate } from './model/dispatch.ts'
import type { Clock, Logger, Meter } from './model/ports.ts'
import { adapterStack } from './pipeline.ts'
import { type Amplification, createAmplification } from './policy/amplification.ts'
import { createAskedInstants } from './policy/asked-instants.ts'
import type { Overrides } from './policy/overrides.ts'
import { createRetryBudget, type RetryBudget } from './policy/retry-budget.ts'
import { createSlots } from './policy/slots.ts'
import type { OpenBucket } from './policy/token-bucket.ts'
import { createOriginTransport } from './transport/origin-transport.ts'
import type { TransportPorts } from './transport/ports.ts'

/** What every stack is built with. */
export interface StackPorts {
  readonly clock: Clock
  readonly metrics: Meter
  readonly log: Logger
  readonly rotation: BreakerRotation
  readonly fleet: BreakerFleet
  readonly cooldowns: CooldownFleet
  readonly openBucket: OpenBucket
  readonly credentials: Layer
  readonly overrides: Pick<Overrides, 'over'>
  readonly transport: TransportPorts
}

/** What all origins of an adapter have in common. */
export interface AdapterShared {
  /** null: none. */
  readonly budget: RetryBudget | null
  readonly amplification: Amplification
}

export function buildShared({ retry: { budget } }: AdapterPolicy, clock: Clock): AdapterShared {
  return { budget: budget === null ? null : createRetryBudget(budget, clock), amplification: createAmplification(clock) }
}

/** One adapter, one origin: its slots, its breaker, its bucket, its connections. */
export function buildStack(
  adapter: AdapterPolicy,
  origin: StackOrigin,
  { budget, amplification }: AdapterShared,
  ports: StackPorts,
): OriginStack {
  const { clock, metrics, log, rotation, fleet } = ports
  const slots = createSlots(adapter.limits)
  const forced = ports.overrides.over(configuredName(adapter.name), origin.origin)
  const forcedPorts = { clock, adapter: adapter.name, origin: origin.origin, forced }
  const breaker: Breaker | null =
    adapter.breaker === null ? null : createBreaker(adapter.breaker, { ...forcedPorts, meter: metrics, log, rotation, fleet })
  const rate = createRateLimit(adapter, origin.origin, ports)
  const transport = createOriginTransport(adapter, origin, ports.transport)
  const asked = createAskedInstants(clock)
  const cooldown = createCooldown(adapter, origin.origin, {
    ...{ clock, random: Math.random, asked, meter: metrics, log },
    fleet: ports.cooldowns,
  })
  const stacked = adapterStack({
    retry: retry({ budget, amplification, breaker }, { clock, random: Math.random, asked, meter: metrics, log }),
    cooldown: cooldown.gate,
    rateLimit: rate.gate,
    breakerDoor: breaker?.door ?? createForcedDoor(forcedPorts),
    bulkhead: bulkhead(slots, { clock }),
    cooldownDoor: cooldown.door,
    breaker: breaker?.gate ?? openGate,
    traceContext,
    timeLeft: timeLeft(adapter.timeoutHeader, { clock }),
    credentials: ports.credentials,
  })
  return {
    dispatch: stacked(transport.dispatch),
    sample: () => ({
      origin: origin.origin,
      breaker: breaker?.state() ?? forced()?.state ?? null,
      ...transport.sample(),
      inFlight: slots.inUse,
      queued: slots.queued,
      slots: adapter.limits.concurrency,
      places: adapter.limits.queue,
      rateLeft: rate.left(),
      cooldownMs: cooldown.longestMs(),
    }),
    // An open breaker is state worth keeping: without it the next call would meet the sick host unguarded. A half-open one
    // would wait for its probe for ever where nobody calls that host again. So is what a 429 asked for.
    busy: () => (breaker?.tripped() ?? false) || cooldown.longestMs() > 0,
    async close() {
      breaker?.shutdown()
      cooldown.close()
      rate.close()
      await transport.close()
    },
  }
}
