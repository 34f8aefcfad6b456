// Whose doing an outcome is: what it says of a host's health (breaker), which counter a repeat is charged to
// (retry), and whom the on-call engineer calls (metrics and logs).
import { type Blame, CATALOGUE, type ErrorType } from '../errors/catalogue.ts'
import type { GatewayError } from '../errors/gateway-error.ts'

/** Neutral: says nothing of the host, such as a hang-up or a refusal of our own. */
export type Health = 'success' | 'failure' | 'neutral'

/** `statuses`: the breaker's own list. A 4xx is the caller's doing unless it is listed. */
export function healthOfStatus(status: number, statuses: readonly number[]): Health {
  return statuses.includes(status) ? 'failure' : 'success'
}

/**
 * Connection errors and the three clocks are failures. An answer that arrived but could not be used (too large, bad
 * encoding) is judged by its status, like any other answer. A pooled connection that died of age is nobody's failure, and a
 * call that we broke off says nothing, however much of an answer it had.
 */
export function healthOfError(error: GatewayError, statuses: readonly number[]): Health {
  if (error.staleConnection || error.isA('GatewayRefusal')) return 'neutral'
  if (error.isA('ConnectionError') || error.isA('Timeout')) return 'failure'
  return error.response === undefined ? 'neutral' : healthOfStatus(error.response.status, statuses)
}

/** urllib3's counters, as its Retry.increment sorts failures. */
export type RetryReason = 'connect' | 'read' | 'status' | 'other'

/** null: repeating cannot help, or is not ours to do. */
export function retryReason(error: GatewayError): Exclude<RetryReason, 'status'> | null {
  if (error.type === 'ReadTimeout' || error.type === 'ChunkedEncodingError') return 'read'
  if (error.type === 'SSLError') return 'other'
  if (!error.isA('ConnectionError')) return null
  return error.sent === 'no' ? 'connect' : 'read'
}

/**
 * Whose doing the outcome of a whole call was; `none`: it went well.
 * `source`: who produced the outcome, as the envelope says. An upstream's 4xx is laid at the caller's door, its quota and credentials included; an open breaker at the upstream's, for whose failures it opened.
 */
export function faultOf(outcome: {
  readonly status: number | null
  readonly error: ErrorType | null
  readonly source: 'upstream' | 'gateway'
}): 'none' | Blame {
  const { status, error, source } = outcome
  if (error === null) return status === null || status < 400 ? 'none' : status < 500 ? 'caller' : 'upstream'
  if (source === 'upstream') return 'upstream'
  return error === 'Timeout' ? 'gateway' : CATALOGUE[error].blame
}
