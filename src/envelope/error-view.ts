// A failure as the envelope tells it: what, how far the request had got, and whether repeating the same call makes sense.
import { CATALOGUE, type ErrorType } from '../errors/catalogue.ts'
import type { GatewayError, Sent } from '../errors/gateway-error.ts'

export interface ErrorFacts {
  /** The greatest of all attempts' and the error's own. */
  readonly sent: Sent
  /** An idempotent method, or an idempotency key. */
  readonly repeatable: boolean
  /** The caller has admin rights and may read internal addresses. */
  readonly admin: boolean
}

/** An InternalError tells nothing of its cause, to nobody. */
const INTERNAL_MESSAGE = 'the gateway itself failed; report it with the requestId'
/** "Not now" always says when to ask again; this where whoever refused cannot know. */
const DEFAULT_RETRY_AFTER_MS = 1000

export interface ErrorView {
  readonly type: ErrorType
  readonly message: string
  readonly sent: Sent
  readonly retryable: boolean
  readonly retryAfter: number | undefined
  readonly detail: unknown
}

/** In the contract's key order. */
export function errorView(error: GatewayError, facts: ErrorFacts): ErrorView {
  const { type } = error
  const internal = type === 'InternalError'
  return {
    type,
    message: internal ? INTERNAL_MESSAGE : messageOf(error, facts.admin),
    sent: facts.sent,
    retryable: CATALOGUE[type].transient && (facts.sent === 'no' || facts.repeatable),
    retryAfter: retryAfterOf(error),
    detail: internal ? undefined : error.detail,
  }
}

/** Whole seconds for the Retry-After header, rounded up; null: none. Only 429 and 503 have one. */
export function retryAfterSeconds(error: GatewayError | null): number | null {
  if (error === null || !saysNotNow(error)) return null
  return Math.ceil((retryAfterOf(error) ?? 0) / 1000)
}

/** Whole milliseconds, rounded up so that waiting that long is enough. */
function retryAfterOf(error: GatewayError): number | undefined {
  if (error.retryAfter !== undefined) return Math.max(0, Math.ceil(error.retryAfter))
  return saysNotNow(error) ? DEFAULT_RETRY_AFTER_MS : undefined
}

function saysNotNow(error: GatewayError): boolean {
  return error.status === 429 || error.status === 503
}

function messageOf(error: GatewayError, admin: boolean): string {
  return admin && error.privateDetail !== undefined ? `${error.message} (${error.privateDetail})` : error.message
}
