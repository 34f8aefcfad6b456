// One request of a caller and its answer. Knows nothing of what is asked, nor of how it came: over the bare socket (fast-lane.ts)
// or by node:http (http-exchange.ts).
import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import type { GatewayError } from '../errors/gateway-error.ts'
import type { Answer, Entrance } from '../model/gateway-port.ts'

export interface Exchange {
  /** By their names in lower case. */
  readonly headers: IncomingHttpHeaders
  readonly socket: Socket
  readonly requestId: string
  readonly entrance: Entrance
  /** When its head had arrived, on the monotonic clock, ms. */
  readonly arrivedAt: number
  readonly wire: Wire
  /** Set once the caller is known. */
  caller: string | null
  /** An answer's head was handed out. */
  answered: boolean
  /** The connection ends with this answer. */
  closes: boolean
  /** Ends what is done for this request: the caller hung up, or the gateway stops. */
  stop: ((reason: GatewayError) => void) | null
  /** Among the requests under way (in-flight.ts). */
  place: number
}

export interface Wire {
  /** Nothing can be written any more: the caller is gone, or the turn is another request's. */
  isGone(exchange: Exchange): boolean
  /**
   * The whole body, once; a caller that asked first is told to send it (RFC 9110 §10.1.1). Rejects with RequestTooLarge as soon as
   * it is clear that it is over `limit` bytes, or with the reason for which the exchange was stopped; throws likewise.
   */
  read(exchange: Exchange, limit: number): Buffer | Promise<Buffer>
  /** Writes a JSON answer whole, with X-Request-Id, and Connection where it ends. `extra`: further headers, flat. */
  write(exchange: Exchange, answer: Answer, extra: readonly string[]): void
  /** Breaks an answer off that was begun. */
  cut(): void
}

const NO_HEADERS: readonly string[] = []

/** Nothing can be written any more: the caller is gone, or has its answer. */
export function isOver(exchange: Exchange): boolean {
  return exchange.answered || exchange.wire.isGone(exchange)
}

/** Writes a JSON answer whole, unless the exchange is over. */
export function writeAnswer(exchange: Exchange, answer: Answer, extra: readonly string[] = NO_HEADERS): void {
  if (!isOver(exchange)) exchange.wire.write(exchange, answer, extra)
}
