// The gateway as its entrances see it.
import type { GatewayError } from '../errors/gateway-error.ts'
import type { AnswerBody } from './answer-body.ts'
import type { Caller } from './caller.ts'
import type { Cancellation } from './cancellation.ts'

/** `token`: the gateway's own requests, for access tokens and for the keys of issuers. */
export type Entrance = 'requests' | 'batch' | 'prepare' | 'token' | 'admin' | 'other'

export interface IncomingCall {
  readonly entrance: Entrance
  readonly requestId: string
  readonly traceparent: string | null
  /** W3C, beside a traceparent; null or absent: none. */
  readonly tracestate?: string | null
  /** How long the caller itself still waits for the answer, ms; 0 or less: it has stopped. null: it did not say. */
  readonly timeLeftMs: number | null
  readonly caller: Caller
  /** The descriptor's JSON text, UTF-8. */
  readonly body: Buffer
  /** Cancelled by the entrance when the caller hangs up. */
  readonly cancellation: Cancellation
}

/** The answer as it goes to the caller: HTTP status and a JSON body. */
export interface Answer {
  readonly status: number
  /** Whole seconds for the Retry-After header; null: none. */
  readonly retryAfterSeconds: number | null
  readonly body: AnswerBody
  /** Whose memory nobody needs once the answer was written; it may be given back then. Absent: none. */
  readonly spent?: readonly Uint8Array[]
}

export interface Gateway {
  /** One call, whole, recorded in audit, metrics and log. Never rejects. */
  call(incoming: IncomingCall): Promise<Answer>
  /** The same descriptor, explained and not sent. Never rejects. */
  prepare(incoming: IncomingCall): Promise<Answer>
  /** A refusal at the door, in the shape of the entrance's own answers: logged and counted too. */
  refuse(
    error: GatewayError,
    facts: { readonly entrance: Entrance; readonly requestId: string; readonly caller: string | null },
  ): Answer
}
