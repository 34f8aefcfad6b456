// A refusal of the admin entrance: the error alone, since there was no call that an envelope could tell of.
import type { GatewayError } from '../errors/gateway-error.ts'
import { byteText } from '../model/answer-body.ts'
import type { Answer } from '../model/gateway-port.ts'
import { errorView, retryAfterSeconds } from './error-view.ts'

export function buildFailure(error: GatewayError, requestId: string): Answer {
  const view = errorView(error, { sent: 'no', repeatable: false, admin: false })
  return {
    status: error.status,
    retryAfterSeconds: retryAfterSeconds(error),
    body: byteText(JSON.stringify({ error: view, requestId })),
  }
}
