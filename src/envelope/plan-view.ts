// The answer of `POST /v1/prepare`: the call explained and not sent. contract: "prepare answers plan".

import type { GatewayError } from '../errors/gateway-error.ts'
import type { LimitsPolicy } from '../model/adapter-policy.ts'
import { byteText } from '../model/answer-body.ts'
import type { OutgoingView } from '../model/envelope.ts'
import type { Answer } from '../model/gateway-port.ts'
import type { CredentialChoice, HopPlan } from '../model/hop.ts'
import { errorView, retryAfterSeconds } from './error-view.ts'
import { requestJson } from './request-json.ts'

export interface PlanFacts {
  /** Masked, as it would go out; null: it could not be prepared. */
  readonly request: OutgoingView | null
  /** null: no adapter is mounted there, or the descriptor could not be read. */
  readonly plan: HopPlan | null
  /** The total clock of the call, ms; null: no plan. */
  readonly totalMs: number | null
  /** The refusal or fault that the call would have ended with; null: it would have been sent. */
  readonly error: GatewayError | null
  readonly warnings: readonly string[]
  readonly repeatable: boolean
  readonly admin: boolean
}

export function buildPlanView(facts: PlanFacts): Answer {
  const { error } = facts
  const known = JSON.stringify({
    plan: planView(facts),
    warnings: facts.warnings,
    error: error === null ? null : errorView(error, { sent: 'no', repeatable: facts.repeatable, admin: facts.admin }),
  })
  return {
    status: error === null ? 200 : error.status,
    retryAfterSeconds: retryAfterSeconds(error),
    body: byteText(`{"request":${requestJson(facts.request, true)},${known.slice(1)}`),
  }
}

/** Every key is there whatever happened. `refusedBy` is the refusal's name, null for a fault of the descriptor's own. */
export function planView({ plan, totalMs, error }: Pick<PlanFacts, 'plan' | 'totalMs' | 'error'>): unknown {
  const refusedBy = error?.isA('GatewayRefusal') ? error.type : null
  if (plan === null)
    return { adapter: null, because: null, credential: null, timeout: null, retry: null, limits: null, refusedBy }
  return {
    adapter: plan.adapter.name,
    because: plan.because,
    credential: credentialName(plan.credential),
    timeout: { connect: plan.connectMs, read: plan.readMs, total: totalMs },
    retry: retryView(plan),
    limits: {
      concurrency: plan.adapter.limits.concurrency,
      queue: plan.adapter.limits.queue,
      rate: rateText(plan.adapter.limits),
      responseSize: plan.maxResponseBytes,
    },
    refusedBy,
  }
}

function retryView({ retry }: HopPlan): unknown {
  return {
    total: retry.total,
    connect: retry.connect,
    read: retry.read,
    status: retry.status,
    statusForcelist: retry.statusForcelist,
    allowedMethods: retry.allowedMethods,
    backoffFactor: retry.backoffFactorMs,
    backoffMax: retry.backoffMaxMs,
    respectRetryAfterHeader: retry.respectRetryAfterHeader,
    raiseOnStatus: retry.raiseOnStatus,
    maxRetries: retry.total,
  }
}

/** A stored secret's name; for one given in the descriptor its kind alone. */
function credentialName(credential: CredentialChoice): string | null {
  switch (credential.kind) {
    case 'none':
      return null
    case 'given':
      return credential.auth.type
    case 'stored':
      return credential.name
    default:
      return credential satisfies never
  }
}

const UNITS: ReadonlyMap<number, string> = new Map([
  [1000, 's'],
  [60_000, 'm'],
  [3_600_000, 'h'],
])

/** As it is written in a configuration: "5000/h"; and whose it is, where it is not the origin's: "5000/h per caller". */
function rateText({ rate, rateBy }: LimitsPolicy): string | null {
  if (rate === null) return null
  const written = `${rate.count}/${UNITS.get(rate.perMs) ?? `${rate.perMs}ms`}`
  return rateBy === 'origin' ? written : `${written} per ${rateBy}`
}
