// The one error class. Thrown inside the pipeline; becomes a value once, in gateway.ts.
import { CATALOGUE, type ErrorType, isA } from './catalogue.ts'
import { type RefusalRule, refusalRule } from './refusal-rules.ts'

/** How far the request had got: not a byte handed to a connected socket, perhaps, or surely (a byte of an answer arrived). */
export type Sent = 'no' | 'maybe' | 'yes'

/** The head of an answer that broke afterwards; the envelope still shows it. */
export interface PartialResponse {
  readonly status: number
  readonly reason: string
  /** As received: [name, value, …] flat, latin-1. */
  readonly rawHeaders: readonly string[]
}

export interface GatewayErrorOptions {
  /** Default 'no'. */
  readonly sent?: Sent
  /** Milliseconds until trying again makes sense. */
  readonly retryAfter?: number
  readonly detail?: unknown
  readonly response?: PartialResponse
  /** An error whose row blames the caller, but which the upstream caused: it answers 502. */
  readonly upstream?: boolean
  /** The status where it differs from the row's, such as 431 for a head that is too large. */
  readonly status?: number
  /** Said only to callers with admin rights and in logs, such as an internal address. */
  readonly privateDetail?: string
  /** A pooled connection died after the request was begun on it and before a byte of an answer. Default false. */
  readonly staleConnection?: boolean
  /** Of a refusal: which rule it was, for metrics and logs. Default: the one that its type is for. */
  readonly rule?: RefusalRule
  readonly cause?: unknown
}

export class GatewayError extends Error {
  readonly type: ErrorType
  readonly sent: Sent
  readonly retryAfter: number | undefined
  readonly detail: unknown
  readonly response: PartialResponse | undefined
  readonly status: number
  readonly privateDetail: string | undefined
  readonly staleConnection: boolean
  /** null: not a refusal, or the caller hung up. */
  readonly rule: RefusalRule | null

  constructor(type: ErrorType, message: string, options: GatewayErrorOptions = {}) {
    // Without a stack: it is an answer, nobody reads where it was made, and to walk the stack is the dearest part of a refusal.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    Error.stackTraceLimit = stackTraceLimit
    this.name = type
    this.type = type
    this.sent = options.sent ?? 'no'
    this.retryAfter = options.retryAfter
    this.detail = options.detail
    this.response = options.response
    this.status = options.status ?? (options.upstream ? 502 : CATALOGUE[type].status)
    this.privateDetail = options.privateDetail
    this.staleConnection = options.staleConnection ?? false
    this.rule = isA(type, 'GatewayRefusal') && type !== 'Cancelled' ? refusalRule(type, options.rule) : null
  }

  isA(name: string): boolean {
    return isA(this.type, name)
  }
}

/** The same failure, shown with the head of the answer that led to it. */
export function withResponse(error: GatewayError, response: PartialResponse): GatewayError {
  const { type, message, sent, status, detail, retryAfter, privateDetail, staleConnection, rule } = error
  return new GatewayError(type, message, {
    ...{ sent, status, detail, staleConnection, response, cause: error },
    ...(retryAfter !== undefined && { retryAfter }),
    ...(privateDetail !== undefined && { privateDetail }),
    ...(rule !== null && { rule }),
  })
}
