// One request of a caller and its answer on one connection. Knows HTTP framing and closing, nothing of what is asked.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { GatewayError } from '../errors/gateway-error.ts'
import { isAllBytes, lengthOf, piecesOf } from '../model/answer-body.ts'
import type { Answer, Entrance } from '../model/gateway-port.ts'
import { giveBack } from '../model/give-back.ts'
import { writeInParts } from './write-in-parts.ts'

export interface Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly requestId: string
  readonly entrance: Entrance
  /** When its head had arrived, on the monotonic clock, ms. */
  readonly arrivedAt: number
  /** Set once the caller is known. */
  caller: string | null
  /** An answer's head was handed out, here or on the bare socket. */
  answered: boolean
  /** The caller waits to be told to go on; refused instead, it may or may not send its body, and the connection ends. */
  expects: boolean
  /** The connection ends with this answer. */
  closes: boolean
  /** Ends what is done for this request: the caller hung up, or the gateway stops. */
  stop: ((reason: GatewayError) => void) | null
  /** Among the requests under way (in-flight.ts). */
  place: number
}

const NO_HEADERS: readonly string[] = []
const NOTHING: readonly Uint8Array[] = []

/** Nothing can be written any more: the caller is gone, or has its answer. */
export function isOver(exchange: Exchange): boolean {
  return exchange.answered || exchange.res.destroyed || exchange.res.closed
}

/** A caller that asked first is told to send its body (RFC 9110 §10.1.1). */
export function goOn(exchange: Exchange): void {
  if (!exchange.expects) return
  exchange.expects = false
  exchange.res.writeContinue()
}

/** Adds X-Request-Id, and Connection where it ends. `headers`: flat, and the function's from then on. */
export function writeHead(exchange: Exchange, status: number, headers: string[]): void {
  exchange.answered = true
  headers.push('X-Request-Id', exchange.requestId)
  if (exchange.closes || exchange.expects) headers.push('Connection', 'close')
  exchange.res.writeHead(status, headers)
}

/** Writes a JSON answer whole. `answerMs`: how long a caller may take no byte of it before the connection is dropped. */
export function writeAnswer(exchange: Exchange, answer: Answer, answerMs: number, extra: readonly string[] = NO_HEADERS): void {
  if (isOver(exchange)) return
  const { res } = exchange
  writeAnswerHead(exchange, answer, extra)
  const { body, spent = NOTHING } = answer
  // Only then: a broken connection may not have let go of it.
  if (spent.length > 0) res.once('finish', () => spent.forEach(giveBack))
  if (typeof body === 'string') res.end(body, 'latin1')
  else if (!isAllBytes(body)) writeInParts(res, body).catch(() => res.destroy())
  else if (body.length === 1) res.end(body[0])
  else {
    res.cork()
    for (const piece of body) res.write(piece)
    res.end()
  }
  if (res.socket !== null && res.socket.writableLength > 0) res.socket.setTimeout(answerMs)
}

/**
 * Answers while the caller is still sending what will not be read: the connection is closed only when it has stopped, or
 * after `lingerMs`, since closing earlier would reset it and the caller would never see the answer.
 */
export function writeAnswerUnread(
  exchange: Exchange,
  answer: Answer,
  lingerMs: number,
  extra: readonly string[] = NO_HEADERS,
): void {
  if (isOver(exchange)) return
  const { req, res } = exchange
  exchange.closes = true
  writeAnswerHead(exchange, answer, extra)
  for (const piece of piecesOf(answer.body)) res.write(piece)
  const end = (): void => {
    clearTimeout(timer)
    if (!res.destroyed) res.end()
  }
  const timer = setTimeout(end, lingerMs)
  req.once('end', end).once('close', end).resume()
}

function writeAnswerHead(exchange: Exchange, answer: Answer, extra: readonly string[]): void {
  const headers = ['Content-Type', 'application/json', 'Content-Length', String(lengthOf(answer.body))]
  if (answer.retryAfterSeconds !== null) headers.push('Retry-After', String(answer.retryAfterSeconds))
  if (answer.status === 401) headers.push('WWW-Authenticate', 'Bearer realm="sallyport"')
  if (extra.length > 0) headers.push(...extra)
  writeHead(exchange, answer.status, headers)
}
