// Who produced an outcome: the first thing an on-call engineer asks. The one place that answers it.
import { CATALOGUE } from '../errors/catalogue.ts'
import type { GatewayError } from '../errors/gateway-error.ts'

export type Source = 'upstream' | 'gateway'

/**
 * 'upstream': it answered, whatever the status; or it was asked and failed (refused, broke off, stayed silent, sent what
 * cannot be read or followed). 'gateway': a refusal, a limit or a fault of ours, an open breaker included, and a total clock
 * that ran out before the first try, for then the time went into our queues.
 */
export function sourceOf(error: GatewayError | null, attempts: number): Source {
  if (error === null) return 'upstream'
  if (error.isA('GatewayRefusal')) return 'gateway'
  if (error.type === 'Timeout' && attempts === 0) return 'gateway'
  return error.status === 502 || CATALOGUE[error.type].blame === 'upstream' ? 'upstream' : 'gateway'
}
