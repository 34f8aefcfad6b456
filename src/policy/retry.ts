// Is this try to be followed by another, and after how long? One pure decision; layers/retry.ts keeps the tally, spends the
// budget and does the waiting. The counters are urllib3's.
import type { GatewayError } from '../errors/gateway-error.ts'
import type { RetryPolicy } from '../model/adapter-policy.ts'
import type { Random, RefusedRetry } from '../model/ports.ts'
import { backoffMs } from './backoff.ts'
import { type RetryReason, retryReason } from './classify.ts'

/** Retries made so far on this hop. */
export type RetryTally = Record<'total' | RetryReason, number>

export type TryOutcome =
  | { readonly kind: 'failure'; readonly error: GatewayError }
  /** `retryAfterMs`: what the answer's Retry-After comes to; null: none, or not one that can be read. */
  | { readonly kind: 'status'; readonly status: number; readonly retryAfterMs: number | null }

export interface RetryFacts {
  readonly outcome: TryOutcome
  readonly method: string
  /** Method or idempotency key make a repeat safe. */
  readonly repeatable: boolean
  readonly tally: RetryTally
  /** Ms until the total clock runs out. */
  readonly remainingMs: number
  /** Ms for which the breaker would refuse another try; 0: it would not. */
  readonly refusalMs: number
  readonly random: Random
}

/** 'status' and 'final': nothing was there to retry. 'budget' is given by the layer, which holds it. */
export type RetryRule = RefusedRetry | 'final' | 'status'

export interface RetryStop {
  readonly kind: 'stop'
  readonly rule: RetryRule
  /** The rule in words, for the envelope's `notRetried`. */
  readonly because: string
  /** What the upstream asked for, where that is what ended the retrying. */
  readonly retryAfterMs?: number
}

export type RetryVerdict =
  | {
      readonly kind: 'retry'
      readonly reason: RetryReason
      readonly waitMs: number
      readonly because: 'backoff' | 'Retry-After'
    }
  | RetryStop

export function decideRetry(facts: RetryFacts, rules: RetryPolicy): RetryVerdict {
  const { outcome } = facts
  const reason = outcome.kind === 'status' ? 'status' : retryReason(outcome.error)
  if (outcome.kind === 'status' && !rules.statusForcelist.includes(outcome.status)) {
    return stop('status', `status ${outcome.status} is not in retry.statusForcelist`)
  }
  if (reason === null) return outcome.kind === 'failure' ? judgeFinal(outcome.error) : stop('final', 'nothing failed')
  return judgeRepeat(facts) ?? judgeCounters(reason, facts.tally, rules) ?? judgeWait(reason, facts, rules)
}

function stop(rule: RetryRule, because: string, retryAfterMs?: number): RetryStop {
  return retryAfterMs === undefined ? { kind: 'stop', rule, because } : { kind: 'stop', rule, because, retryAfterMs }
}

function judgeFinal(error: GatewayError): RetryStop {
  switch (error.type) {
    case 'ResponseTooLarge':
      return stop('size', 'ResponseTooLarge is not repeated: the same answer would come again')
    case 'BreakerOpen':
      return stop('final', 'BreakerOpen is never retried')
    case 'Timeout':
      return stop('deadline', 'timeout.total ran out')
    default:
      return stop('final', `${error.type} is not retried: only connection errors, read timeouts and listed statuses are`)
  }
}

function judgeRepeat({ outcome, method, repeatable }: RetryFacts): RetryStop | null {
  const sent = outcome.kind === 'status' ? 'yes' : outcome.error.sent
  if (sent === 'no' || repeatable) return null
  const arrived = sent === 'yes' ? 'has arrived' : 'may have arrived'
  return stop('method', `${method} is not repeated: the request ${arrived}; give an idempotencyKey`)
}

function judgeCounters(reason: RetryReason, tally: RetryTally, rules: RetryPolicy): RetryStop | null {
  if (tally.total >= rules.total) return stop('exhausted', spent('retry.total', rules.total))
  const limit = reason === 'other' ? null : rules[reason]
  if (limit === null || tally[reason] < limit) return null
  return stop('exhausted', spent(`retry.${reason}`, limit))
}

function spent(key: string, limit: number): string {
  return limit === 0 ? `${key} is 0` : `${key}, ${limit}, is used up`
}

function judgeWait(reason: RetryReason, facts: RetryFacts, rules: RetryPolicy): RetryVerdict {
  const { outcome, remainingMs, refusalMs } = facts
  const asked = outcome.kind === 'status' && rules.respectRetryAfterHeader ? outcome.retryAfterMs : null
  if (asked !== null && asked > rules.retryAfterMaxMs) {
    return stop('retry-after', `Retry-After, ${asked} ms, is over retry.retryAfterMax, ${rules.retryAfterMaxMs} ms`, asked)
  }
  const waitMs = asked ?? backoffMs(facts.tally.total + 1, rules, facts.random)
  if (waitMs >= remainingMs) {
    const because = asked === null ? 'backoff' : 'Retry-After'
    return stop('deadline', `${because}, ${waitMs} ms, would outlast timeout.total`, asked ?? undefined)
  }
  if (waitMs < refusalMs) return stop('breaker', 'the circuit breaker has opened and would refuse another try')
  return { kind: 'retry', reason, waitMs, because: asked === null ? 'backoff' : 'Retry-After' }
}
