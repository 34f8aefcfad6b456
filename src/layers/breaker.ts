// The circuit breaker of one adapter and origin. opossum keeps state, window and the open time; which outcomes reach it, the
// probes and the forced states are ours. Calls do not run through it: they run, are judged by policy/classify.ts, and only
// then is opossum told, so that what is in flight does not dilute the rate and what is neutral is not counted.
import { EventEmitter } from 'node:events'
import CircuitBreaker from 'opossum'
import { GatewayError } from '../errors/gateway-error.ts'
import type { BreakerPolicy } from '../model/adapter-policy.ts'
import type { BreakerFleet } from '../model/breaker-fleet.ts'
import type { Override } from '../model/breaker-override.ts'
import type { CallContext } from '../model/call-context.ts'
import type { Ended, Gate, Leave } from '../model/dispatch.ts'
import type { BreakerState } from '../model/envelope.ts'
import type { Clock, Logger, Meter } from '../model/ports.ts'
import type { Trail } from '../model/trail.ts'
import { type Health, healthOfError, healthOfStatus } from '../policy/classify.ts'

export interface Breaker {
  state(): BreakerState
  /** Ms for which a call would be refused; 0: it would be admitted. */
  refusalMs(): number
  /**
   * Keeps a place for the try that this call makes next, `inMs` from now. False: calls are let through step by step (breaker.ramp),
   * and there is none for it.
   */
  keepPlace(context: CallContext, inMs: number): boolean
  /** Refuses before anybody queues; admits nobody yet. */
  readonly door: Gate
  /** Admits, judges and counts. */
  readonly gate: Gate
  /** Whether the breaker itself has tripped, whatever stands over it. */
  tripped(): boolean
  /** Frees its timers; what is still in flight passes uncounted. */
  shutdown(): void
}

/** What an operator set by hand, which stands above the breaker's own state; asked at every call. */
export interface ForcedPorts {
  readonly clock: Clock
  readonly adapter: string
  readonly origin: string
  readonly forced: () => Override | null
}

export interface BreakerPorts extends ForcedPorts {
  readonly meter: Meter
  readonly log: Logger
  readonly rotation: BreakerRotation
  /** The same breaker of other replicas. */
  readonly fleet: BreakerFleet
}

/** Turns the windows of all breakers: one timer for each window length, not one a breaker. */
export interface BreakerRotation {
  controllerFor(windowMs: number): EventEmitter
  close(): void
}

const BUCKETS = 10
/** opossum's event of that name drops the oldest bucket and opens a new one. */
const ROTATE = 'rotate'

export function createBreakerRotation(clock: Clock): BreakerRotation {
  const turning = new Map<number, { readonly controller: EventEmitter; stop: () => void }>()
  return {
    controllerFor(windowMs) {
      const known = turning.get(windowMs)
      if (known) return known.controller
      const entry = { controller: new EventEmitter().setMaxListeners(0), stop: () => {} }
      const turn = (): void => {
        entry.stop = clock.after(windowMs / BUCKETS, turn)
        entry.controller.emit(ROTATE)
      }
      entry.stop = clock.after(windowMs / BUCKETS, turn)
      turning.set(windowMs, entry)
      return entry.controller
    },
    close() {
      for (const entry of turning.values()) entry.stop()
      turning.clear()
    },
  }
}

/** opossum trips when the rate is strictly greater; the contract says at or above. */
const STRICTLY_GREATER = 1 - 1e-9
/** How soon to come back where nobody knows: while all probes are out, or forced open until lifted. */
const PATIENCE_MS = 1000
const FAILED = new Error('a failure was counted')

/** Only counts: the call itself has already ended. A synchronous throw makes opossum move before `fire` returns. */
function reportFailure(): never {
  throw FAILED
}

const ignore = (): void => {}

type Circuit = CircuitBreaker<[], never>

/** What a call was admitted under. */
interface Ticket {
  readonly epoch: number
  readonly probe: boolean
  /** Made once for all who have it, where it does not matter how long each took. */
  readonly leave: Leave
}

export function createBreaker(policy: BreakerPolicy, ports: BreakerPorts): Breaker {
  const { clock, forced } = ports
  const circuit: Circuit = new CircuitBreaker(reportFailure, {
    name: ports.origin,
    timeout: false,
    errorThresholdPercentage: policy.errorRate * 100 * STRICTLY_GREATER,
    volumeThreshold: policy.volume,
    resetTimeout: policy.openForMs,
    rollingCountTimeout: policy.windowMs,
    rollingCountBuckets: BUCKETS,
    rollingPercentilesEnabled: false,
    enableSnapshots: false,
    rotateBucketController: ports.rotation.controllerFor(policy.windowMs),
  })
  const probes = { out: 0, good: 0 }
  const issue = (epoch: number, probe: boolean): Ticket => {
    const ticket: Ticket = { epoch, probe, leave: (ended, _request, { trail }) => settle(ticket, ended, false, trail) }
    return ticket
  }
  const uncounted = issue(-1, false)
  let counting = issue(0, false)
  let probing = issue(0, true)
  let openedAt = 0
  /** Open or half-open by what was seen here, not by what other replicas saw. */
  let trippedHere = false
  let wantedProbe = false
  let ramp: Ramp | null = null
  /** Calls that have a place of the ramp for their next try. */
  const placed = new WeakSet<CallContext>()
  let shown: BreakerState = 'closed'

  const state = (): BreakerState => {
    const now = forced()?.state ?? ownState(circuit)
    if (now !== shown) {
      announce(shown, now, ports)
      shown = now
    }
    return now
  }
  const seat = ports.fleet.join(ports.adapter, ports.origin, {
    tripped: () => trippedHere && !circuit.closed,
    wantsProbe() {
      const wanted = circuit.halfOpen && (wantedProbe || probes.out > 0)
      wantedProbe = false
      return wanted
    },
    open() {
      if (circuit.closed && !circuit.isShutdown) circuit.open()
    },
    close() {
      if (!circuit.closed && !circuit.isShutdown) circuit.close()
    },
  })
  circuit.on('open', () => {
    openedAt = clock.now()
    ramp = null
    counting = issue(counting.epoch + 1, false)
    probing = issue(counting.epoch, true)
    state()
  })
  circuit.on('halfOpen', () => {
    probes.out = 0
    probes.good = 0
    state()
  })
  circuit.on('close', () => {
    clearWindow(circuit)
    trippedHere = false
    ramp = policy.rampMs > 0 ? createRamp(policy.rampMs, clock) : null
    state()
  })

  const refusalMs = (): number => {
    switch (state()) {
      case 'closed':
        return 0
      case 'half-open':
        wantedProbe = true
        return probes.out + probes.good < policy.probes && seat.mayProbe() ? 0 : PATIENCE_MS
      case 'open':
        return forcedMs(ports) ?? Math.max(1, Math.ceil(openedAt + policy.openForMs - clock.now()))
    }
  }

  const admit = (): Ticket => {
    if (forced() !== null) return uncounted
    if (!circuit.halfOpen) return counting
    probes.out++
    return probing
  }

  /** An outcome of a call that began before the breaker opened says nothing of the host as it is now. */
  const count = (ticket: Ticket, health: Health): void => {
    if (ticket.epoch !== counting.epoch || circuit.isShutdown) return
    if (ticket.probe && circuit.halfOpen) settleProbe(health)
    else if (!ticket.probe && circuit.closed && health !== 'neutral' && forced() === null) {
      if (health === 'success') countSuccess(circuit)
      else circuit.fire().catch(ignore)
      if (circuit.opened) trippedHere = true
    }
  }

  const settleProbe = (health: Health): void => {
    probes.out--
    if (health === 'failure') {
      circuit.open()
      trippedHere = true
    } else if (health === 'success' && ++probes.good >= policy.probes) {
      seat.recovered()
      circuit.close()
    }
  }

  const settle = (ticket: Ticket, ended: Ended, isSlow: boolean, trail: Trail): void => {
    count(ticket, healthOf(ended, isSlow, policy))
    trail.breaker = state()
  }

  const door: Gate = (_request, context) => {
    const forMs = refusalMs()
    if (forMs === 0 && (ramp === null || forced() !== null || placed.delete(context) || ramp.admits(0))) return null
    context.trail.breaker = state()
    throw forMs === 0 ? notYet(ports) : refusal(context.trail.breaker, forMs, ports)
  }

  const gate: Gate = (_request, { trail }) => {
    const forMs = refusalMs() // it may have opened while the call stood in the queue
    trail.breaker = state()
    if (forMs > 0) throw refusal(trail.breaker, forMs, ports)
    const ticket = admit()
    const { slowMs } = policy
    if (slowMs === null) return ticket.leave
    const from = clock.now()
    return (ended) => settle(ticket, ended, clock.now() - from >= slowMs, trail)
  }

  return {
    state,
    refusalMs,
    keepPlace(context, inMs) {
      if (ramp === null || forced() !== null) return true
      if (!ramp.admits(inMs)) return false
      placed.add(context)
      return true
    },
    door,
    gate,
    tripped: () => circuit.opened,
    shutdown() {
      seat.leave()
      circuit.shutdown()
    },
  }
}

function healthOf(ended: Ended, isSlow: boolean, { statuses }: BreakerPolicy): Health {
  switch (ended.kind) {
    case 'answer': {
      const health = healthOfStatus(ended.response.status, statuses)
      return health === 'success' && isSlow ? 'failure' : health
    }
    case 'failure':
      return ended.error instanceof GatewayError ? healthOfError(ended.error, statuses) : 'neutral'
    case 'turned back':
      return 'neutral'
  }
}

/** Lets a growing share through after it closed, so that a host that has just recovered does not meet all callers at once. */
interface Ramp {
  /** `inMs`: when the call comes, from now. */
  admits(inMs: number): boolean
}

const FIRST_SHARE = 0.1

/** Evenly rather than by chance: of ten calls at a share of 30 % every third or fourth. */
function createRamp(rampMs: number, clock: Clock): Ramp {
  const from = clock.now()
  let credit = 1
  return {
    admits(inMs) {
      const share = Math.max(FIRST_SHARE, (clock.now() + inMs - from) / rampMs)
      credit = Math.min(1, credit + share)
      if (share < 1 && credit < 1) return false
      credit -= 1
      return true
    },
  }
}

/** How soon a call that the ramp held back may come again. */
const RAMP_PATIENCE_MS = 200

function notYet({ adapter, origin }: ForcedPorts): GatewayError {
  return new GatewayError(
    'BreakerOpen',
    `the circuit breaker of adapter "${adapter}" for ${origin} has just closed and lets calls through step by step (breaker.ramp)`,
    { retryAfter: RAMP_PATIENCE_MS },
  )
}

/** What `fire` would count in a closed breaker, where a success moves nothing: without the promises that it makes. */
function countSuccess(circuit: Circuit): void {
  circuit.emit('fire')
  circuit.emit('success')
}

function ownState(circuit: Circuit): BreakerState {
  return circuit.opened ? 'open' : circuit.halfOpen ? 'half-open' : 'closed'
}

/** A breaker that closes starts afresh: opossum alone would still hold the failures that opened it against the host. */
function clearWindow(circuit: Circuit): void {
  for (const bucket of circuit.status.window) {
    bucket.fires = 0
    bucket.failures = 0
    bucket.successes = 0
  }
}

function announce(from: BreakerState, to: BreakerState, { adapter, origin, meter, log }: BreakerPorts): void {
  meter.breakerMoved(adapter, to)
  log.log(to === 'open' ? 'warn' : 'info', 'breaker moved', { adapter, origin, from, to })
}

/** For an adapter without a breaker: an operator can still shut it. */
export function createForcedDoor(ports: ForcedPorts): Gate {
  return (_request, { trail }) => {
    if (ports.forced()?.state !== 'open') return null
    trail.breaker = 'open'
    throw refusal('open', forcedMs(ports) ?? PATIENCE_MS, ports)
  }
}

/** How long what an operator set still stands; null: nothing is set. */
function forcedMs({ clock, forced }: ForcedPorts): number | null {
  const override = forced()
  if (override === null) return null
  return override.until === null ? PATIENCE_MS : Math.max(1, override.until - clock.date())
}

function refusal(state: BreakerState, retryAfter: number, { adapter, origin, forced }: ForcedPorts): GatewayError {
  const override = forced()
  if (override?.state === 'open') {
    const end = override.until === null ? 'it is lifted' : new Date(override.until).toISOString()
    return new GatewayError(
      'BreakerOpen',
      `the circuit breaker of adapter "${adapter}" for ${origin} was forced open by ${override.by}: ${override.reason}; it stays so until ${end}`,
      { retryAfter },
    )
  }
  const until = state === 'open' ? `for another ${retryAfter} ms` : 'but for the probes that are on their way'
  return new GatewayError(
    'BreakerOpen',
    `the circuit breaker of adapter "${adapter}" for ${origin} is ${state} and lets no call through ${until}`,
    { retryAfter },
  )
}
