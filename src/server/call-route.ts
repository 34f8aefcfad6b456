// The JSON entrances: a descriptor, or a batch of them, from the caller to the gateway and the answer back. POST /v1/requests
// is the hot path of the house: no router, no header that is not needed, no copy of the body.

import type { Callers } from '../callers/callers.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import type { Caller } from '../model/caller.ts'
import { type Cancellation, createCancellation } from '../model/cancellation.ts'
import type { Answer, Gateway, IncomingCall } from '../model/gateway-port.ts'
import { giveBack } from '../model/give-back.ts'
import { judgeJsonHead } from './door.ts'
import { type Exchange, isOver, writeAnswer } from './exchange.ts'
import { refuseTimeLeft, timeLeftOf } from './time-left.ts'

export interface CallRouteOptions {
  /** Bytes of the body. */
  readonly descriptorLimit: number
}

export interface CallRoutePorts {
  readonly gateway: Gateway
  readonly callers: () => Callers
  /** No call is taken any more. */
  readonly isDraining: () => boolean
  /** Overloaded, where nothing more can be borne. */
  readonly overload: () => GatewayError | null
  /** The same once a body of so many bytes has arrived. */
  readonly overloadByBody: (bytes: number) => GatewayError | null
}

/** What an entrance does with a body that was admitted: the answer to be written, or null where it has seen to that itself. */
export type Serve<E extends Exchange> = (exchange: E, caller: Caller, body: Buffer) => Promise<Answer | null>

export interface CallRoutes {
  readonly requests: (exchange: Exchange) => void
  readonly prepare: (exchange: Exchange) => void
  /** Another JSON entrance behind the same door. */
  entrance<E extends Exchange>(serve: Serve<E>): (exchange: E) => void
  /** Answers with the envelope of a refusal; `extra`: further headers, flat. */
  refuse(exchange: Exchange, error: GatewayError, extra?: readonly string[]): void
}

export function createCallRoutes(options: CallRouteOptions, ports: CallRoutePorts): CallRoutes {
  const { gateway } = ports

  const refuse = (exchange: Exchange, error: GatewayError, extra?: readonly string[]): void => {
    if (exchange.answered) return
    const { entrance, requestId, caller } = exchange
    writeAnswer(exchange, gateway.refuse(error, { entrance, requestId, caller }), extra)
  }

  const admit = (exchange: Exchange, caller: Caller | GatewayError): Caller | GatewayError => {
    const { headers } = exchange
    if (caller instanceof GatewayError) return caller
    exchange.caller = caller.name
    if (ports.isDraining()) return new GatewayError('Draining', 'The gateway is shutting down; another replica will answer.')
    return ports.overload() ?? judgeJsonHead(headers, options.descriptorLimit) ?? refuseTimeLeft(headers) ?? caller
  }

  const receive = async <E extends Exchange>(exchange: E, serve: Serve<E>): Promise<void> => {
    // Not awaited unless it must be: a key in memory costs no turn of the event loop.
    const found = ports.callers().identify(exchange)
    const caller = admit(exchange, found instanceof Promise ? await found : found)
    if (isOver(exchange)) return
    if (caller instanceof GatewayError) return refuse(exchange, caller)
    const read = exchange.wire.read(exchange, options.descriptorLimit)
    const body = read instanceof Promise ? await read : read
    const refusal = ports.overloadByBody(body.length)
    if (refusal) return refuse(exchange, refusal)
    const answer = await serve(exchange, caller, body)
    if (answer === null) return
    if (isOver(exchange)) answer.spent?.forEach(giveBack)
    else writeAnswer(exchange, answer)
  }

  const entrance =
    <E extends Exchange>(serve: Serve<E>) =>
    (exchange: E): void => {
      receive(exchange, serve).catch((error: unknown) => {
        if (exchange.answered)
          exchange.wire.cut() // an answer that was begun and cannot be finished
        else refuse(exchange, asGatewayError(error))
      })
    }

  const single = (call: (incoming: IncomingCall) => Promise<Answer>) =>
    entrance((exchange, caller, body) => {
      const cancellation = createCancellation()
      exchange.stop = cancellation.cancel
      return call(incoming(exchange, exchange.requestId, caller, body, cancellation))
    })

  return {
    requests: single(gateway.call),
    prepare: single(gateway.prepare),
    entrance,
    refuse,
  }
}

/** A call as the gateway takes it. `requestId` differs from the exchange's for the items of a batch. */
export function incoming(
  { entrance, headers, arrivedAt }: Exchange,
  requestId: string,
  caller: Caller,
  body: Buffer,
  cancellation: Cancellation,
): IncomingCall {
  const given = timeLeftOf(headers)
  return {
    entrance,
    requestId,
    traceparent: traceparentOf(headers.traceparent),
    tracestate: tracestateOf(headers.tracestate),
    timeLeftMs: given === null ? null : given - (performance.now() - arrivedAt),
    caller,
    body,
    cancellation,
  }
}

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)/

/** Visible ASCII and blanks between: what it says is its makers' affair. */
const TRACESTATE = /^[\x21-\x7e][\x20-\x7e\t]*$/

/** W3C Trace Context §3.2; one that is malformed is as none. */
function traceparentOf(value: string | string[] | undefined): string | null {
  return typeof value === 'string' && value.length <= 256 && TRACEPARENT.test(value) ? value : null
}

/** W3C Trace Context §3.3: 512 characters are to be passed on, more need not be. */
function tracestateOf(value: string | string[] | undefined): string | null {
  return typeof value === 'string' && value.length <= 512 && TRACESTATE.test(value) ? value : null
}

function asGatewayError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  return new GatewayError('InternalError', 'The gateway failed; report the requestId.', { cause: error })
}
