// A failure as the envelope tells it: what, how far the request had got, and whether repeating the same call makes sense.
import { CATALOGUE } from '../errors/catalogue.ts'
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

export function errorJson(error: GatewayError, facts: ErrorFacts): string {
  const internal = error.type === 'InternalError'
  const message = internal ? INTERNAL_MESSAGE : messageOf(error, facts.admin)
  const retryable = CATALOGUE[error.type].transient && (facts.sent === 'no' || facts.repeatable)
  const retryAfter = retryAfterOf(error)
  const detail = internal || error.detail === undefined ? undefined : JSON.stringify(error.detail)
  return (
    `{"type":"${error.type}","message":${JSON.stringify(message)},"sent":"${facts.sent}","retryable":${retryable}` +
    `${retryAfter === null ? '' : `,"retryAfter":${retryAfter}`}${detail === undefined ? '' : `,"detail":${detail}`}}`
  )
}

/** Whole seconds for the Retry-After header, rounded up; null: none. Only 429 and 503 have one. */
export function retryAfterSeconds(error: GatewayError | null): number | null {
  if (error === null || !saysNotNow(error)) return null
  return Math.ceil((retryAfterOf(error) ?? 0) / 1000)
}

/** Whole milliseconds, rounded up so that waiting that long is enough. */
function retryAfterOf(error: GatewayError): number | null {
  if (error.retryAfter !== undefined) return Math.max(0, Math.ceil(error.retryAfter))
  return saysNotNow(error) ? DEFAULT_RETRY_AFTER_MS : null
}

function saysNotNow(error: GatewayError): boolean {
  return error.status === 429 || error.status === 503
}

function messageOf(error: GatewayError, admin: boolean): string {
  return admin && error.privateDetail !== undefined ? `${error.message} (${error.privateDetail})` : error.message
}
