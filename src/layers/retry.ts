// Makes further tries where policy/retry.ts says so, and writes down the rule where it does not. Knows nothing of what stands
// below it; a wait between tries holds no slot.
import { GatewayError } from '../errors/gateway-error.ts'
import type { CallContext } from '../model/call-context.ts'
import type { Dispatch, Layer } from '../model/dispatch.ts'
import type { HopRequest } from '../model/hop.ts'
import type { Clock, Logger, Meter, Random, RefusedRetry } from '../model/ports.ts'
import { headerValues, type UpstreamResponse } from '../model/upstream-response.ts'
import { wait } from '../model/wait.ts'
import type { Amplification } from '../policy/amplification.ts'
import type { AskedInstant, AskedInstants } from '../policy/asked-instants.ts'
import {
  decideRetry,
  type RetryRule,
  type RetryStop,
  type RetryTally,
  type RetryVerdict,
  type TryOutcome,
} from '../policy/retry.ts'
import { parseRetryAfter } from '../policy/retry-after.ts'
import type { RetryBudget } from '../policy/retry-budget.ts'

export interface RetryState {
  /** Shared by all origins of the adapter; null: none. */
  readonly budget: RetryBudget | null
  /** Likewise. */
  readonly amplification: Amplification
  /** The breaker of this stack, so that nothing sleeps into one that refuses. null: there is none. */
  readonly breaker: RetryDoor | null
}

/** What a breaker says of a further try. */
export interface RetryDoor {
  /** Ms for which it would refuse one; 0: it would not. */
  refusalMs(): number
  /** Keeps a place for the try that this call makes `inMs` from now, where places are few; false: there is none. */
  keepPlace(context: CallContext, inMs: number): boolean
}

const RAMPED: RetryStop = {
  kind: 'stop',
  rule: 'breaker',
  because:
    'the circuit breaker has just closed and lets calls through step by step (breaker.ramp), and not another try of this one',
}

export interface RetryPorts {
  readonly clock: Clock
  readonly random: Random
  /** The same that a cool-down lasts for: both end at one instant. */
  readonly asked: AskedInstants
  readonly meter: Meter
  readonly log: Logger
}

type Ended =
  | { readonly kind: 'answer'; readonly response: UpstreamResponse }
  | { readonly kind: 'failure'; readonly error: GatewayError }

/** One hop and what was tried on it so far. */
interface Hop {
  readonly request: HopRequest
  readonly context: CallContext
  readonly tally: RetryTally
}

export function retry(state: RetryState, ports: RetryPorts): Layer {
  const { clock, random, meter, log } = ports

  const judge = (ended: Ended, { request, context, tally }: Hop): RetryVerdict => {
    const { method, plan } = request
    const asked = askedBy(ended, ports)
    const verdict = decideRetry(
      {
        outcome: ended.kind === 'failure' ? ended : toOutcome(ended.response, asked),
        method,
        repeatable: plan.repeatable,
        tally,
        remainingMs: context.deadline - clock.now(),
        refusalMs: state.breaker?.refusalMs() ?? 0,
        random,
      },
      plan.retry,
    )
    if (verdict.kind === 'stop') return verdict
    if (state.budget?.tryRetry() === false)
      return { kind: 'stop', rule: 'budget', because: `retry.budget of adapter "${plan.adapter.name}" is spent` }
    const waitMs = asked && verdict.because === 'Retry-After' ? Math.max(0, asked.until - clock.now()) : verdict.waitMs
    if (state.breaker?.keepPlace(context, waitMs) === false) return RAMPED
    return { ...verdict, waitMs }
  }

  const tell = (adapter: string, amplified: ReturnType<Amplification['countRetry']>): void => {
    if (amplified === null) return
    log.log('warn', 'retries multiply the load', { adapter, count: amplified.calls, attempts: amplified.attempts })
  }

  /** Until an outcome stands. `first`: how the first try ended. */
  const goOn = async (next: Dispatch, request: HopRequest, context: CallContext, first: Ended): Promise<UpstreamResponse> => {
    const hop: Hop = { request, context, tally: { total: 0, connect: 0, read: 0, status: 0, other: 0 } }
    let staleRepeated = false
    for (let ended = first; ; ended = await next(request, context).then(toAnswer, toFailure)) {
      if (ended.kind === 'answer' && !isFailing(ended.response, request)) return ended.response
      if (ended.kind === 'failure' && ended.error.staleConnection && request.plan.repeatable && !staleRepeated) {
        staleRepeated = true // free of budget and counters: the connection had aged, nobody failed
        meter.retried(request.plan.adapter.name, 'stale')
        continue
      }
      const verdict = judge(ended, hop)
      if (verdict.kind === 'stop') return settle(ended, verdict, hop, meter)
      hop.tally.total++
      hop.tally[verdict.reason]++
      meter.retried(request.plan.adapter.name, verdict.reason)
      tell(request.plan.adapter.name, state.amplification.countRetry())
      await pause(verdict.waitMs, verdict.because, context, clock)
    }
  }

  // Of most calls the first try is the last.
  return (next) => (request, context) => {
    state.budget?.countRequest()
    state.amplification.countCall()
    return next(request, context).then(
      (response) => (isFailing(response, request) ? goOn(next, request, context, toAnswer(response)) : response),
      (error) => goOn(next, request, context, toFailure(error)),
    )
  }
}

function toAnswer(response: UpstreamResponse): Ended {
  return { kind: 'answer', response }
}

/** Whatever is not ours is thrown on. */
function toFailure(error: unknown): Ended {
  if (!(error instanceof GatewayError)) throw error
  return { kind: 'failure', error }
}

/** Worth a decision: a listed status, or a server's failure, whose not being listed is then said. */
function isFailing({ status }: UpstreamResponse, { plan }: HopRequest): boolean {
  return status >= 500 || plan.retry.statusForcelist.includes(status)
}

function toOutcome({ status }: UpstreamResponse, asked: Asked | null): TryOutcome {
  return { kind: 'status', status, retryAfterMs: asked?.ms ?? null }
}

/** How long an answer asked to be left alone, and until when that is on the monotonic clock. */
type Asked = Pick<AskedInstant, 'ms' | 'until'>

function askedBy(ended: Ended, { asked, clock }: RetryPorts): Asked | null {
  if (ended.kind === 'failure') return null
  const { status, rawHeaders } = ended.response
  if (status === 429) return asked.of(rawHeaders)
  const date = clock.date()
  const from = clock.now()
  const ms = parseRetryAfter(headerValues(rawHeaders, 'retry-after')[0] ?? '', date)
  return ms === null ? null : { ms, until: from + ms }
}

async function pause(ms: number, because: 'backoff' | 'Retry-After', context: CallContext, clock: Clock): Promise<void> {
  const from = clock.now()
  try {
    await wait(clock, ms, context.cancellation)
  } finally {
    context.trail.waited(clock.now() - from, because)
  }
}

/** The last failure as it is, the last answer as it is, or RetryError where that was asked for. */
function settle(ended: Ended, stop: RetryStop, { request, context, tally }: Hop, meter: Meter): UpstreamResponse {
  const { adapter, retry: rules } = request.plan
  context.trail.notRetried = stop.because
  if (isCounted(stop.rule) && rules.total > 0) meter.retryRefused(adapter.name, stop.rule)
  if (ended.kind === 'failure') throw ended.error
  const { response } = ended
  if (!rules.raiseOnStatus || stop.rule === 'status' || stop.rule === 'method') return response
  const tries = tally.total === 0 ? '1 try' : `${tally.total + 1} tries`
  throw new GatewayError(
    'RetryError',
    `${request.url.origin} still answered ${response.status} after ${tries}: ${stop.because}; without raiseOnStatus the answer is returned`,
    {
      sent: 'yes',
      response: { status: response.status, reason: response.reason, rawHeaders: response.rawHeaders },
      ...(stop.retryAfterMs === undefined ? {} : { retryAfter: stop.retryAfterMs }),
    },
  )
}

/** A status that nobody listed and an error that is none of ours to repeat are no refused retries. */
function isCounted(rule: RetryRule): rule is RefusedRetry {
  return rule !== 'status' && rule !== 'final'
}
