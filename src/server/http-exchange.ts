// An exchange by node:http: whatever the fast lane does not take.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { piecesOf } from '../model/answer-body.ts'
import type { Answer, Entrance } from '../model/gateway-port.ts'
import { giveBack } from '../model/give-back.ts'
import { answerHeaders } from './answer-head.ts'
import type { Exchange, Wire } from './exchange.ts'
import { readBody } from './read-body.ts'
import { isWrittenAtOnce, writeInParts } from './write-in-parts.ts'

export interface HttpExchange extends Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** The caller waits to be told to go on; refused instead, it may or may not send its body, and the connection ends. */
  expects: boolean
}

export interface WireClocks {
  /** How long a caller may take no byte of its answer before the connection is dropped, ms. */
  readonly answerMs: number
  /** How long a refused sender may go on before the connection is dropped, ms. */
  readonly lingerMs: number
}

interface Facts {
  readonly requestId: string
  readonly entrance: Entrance
  readonly expects: boolean
}

export function createHttpExchange(req: IncomingMessage, res: ServerResponse, facts: Facts, clocks: WireClocks): HttpExchange {
  const wire: Wire = {
    isGone: () => res.destroyed || res.closed,
    read(_, limit) {
      goOn(exchange)
      return readBody(req, exchange, limit)
    },
    write(_, answer, extra) {
      const endsUnread = exchange.closes || exchange.expects || answer.status === 413
      if (endsUnread && !req.complete) writeUnread(exchange, answer, clocks.lingerMs, extra)
      else writeWhole(exchange, answer, clocks.answerMs, extra)
    },
    cut: () => void res.destroy(),
  }
  const exchange: HttpExchange = {
    ...{ req, res, headers: req.headers, socket: req.socket, ...facts, wire },
    arrivedAt: performance.now(),
    caller: null,
    answered: false,
    // Node forgets what stood behind such a request in what it had read: what comes next may be the middle of something.
    closes: req.headers.upgrade !== undefined,
    stop: null,
    place: 0,
  }
  return exchange
}

/** A caller that asked first is told to send its body (RFC 9110 §10.1.1). */
export function goOn(exchange: HttpExchange): void {
  if (!exchange.expects) return
  exchange.expects = false
  exchange.res.writeContinue()
}

/** Adds X-Request-Id, and Connection where it ends. `headers`: flat, and the function's from then on. */
export function writeHead(exchange: HttpExchange, status: number, headers: string[]): void {
  exchange.answered = true
  headers.push('X-Request-Id', exchange.requestId)
  if (exchange.closes || exchange.expects) headers.push('Connection', 'close')
  exchange.res.writeHead(status, headers)
}

function writeWhole(exchange: HttpExchange, answer: Answer, answerMs: number, extra: readonly string[]): void {
  const { res } = exchange
  const { body, spent } = answer
  writeHead(exchange, answer.status, answerHeaders(answer, extra))
  // Once it is written, or its connection is closed: one that is only broken may not have let go of it.
  if (spent !== undefined) res.once('close', () => spent.forEach(giveBack))
  if (typeof body === 'string') res.end(body, 'latin1')
  else if (isWrittenAtOnce(body)) {
    res.cork()
    for (const piece of body) res.write(piece)
    res.end()
  } else writeInParts(res, body).then(() => res.end(), exchange.wire.cut)
  if (res.socket !== null && res.socket.writableLength > 0) res.socket.setTimeout(answerMs)
}

/**
 * Answers while the caller is still sending what will not be read: the connection is closed only when it has stopped, or
 * after `lingerMs`, since closing earlier would reset it and the caller would never see the answer.
 */
function writeUnread(exchange: HttpExchange, answer: Answer, lingerMs: number, extra: readonly string[]): void {
  const { req, res } = exchange
  exchange.closes = true
  writeHead(exchange, answer.status, answerHeaders(answer, extra))
  for (const piece of piecesOf(answer.body)) res.write(piece)
  const end = (): void => {
    clearTimeout(timer)
    if (!res.destroyed) res.end()
  }
  const timer = setTimeout(end, lingerMs)
  req.once('end', end).once('close', end).resume()
}
