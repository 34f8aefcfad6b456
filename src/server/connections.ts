// Callers' connections: whose turn it is on each, and what goes wrong below HTTP: bytes that are no HTTP, heads too large, senders
// too slow. Node's own answers to these have no envelope, so they are written here, on the bare socket, and only where no other
// answer is due.
import type { Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { GatewayError } from '../errors/gateway-error.ts'
import { piecesOf } from '../model/answer-body.ts'
import type { Answer, Gateway } from '../model/gateway-port.ts'
import { answerHeaders, headText } from './answer-head.ts'
import { malformed } from './door.ts'
import type { HttpExchange } from './http-exchange.ts'

type Serve = (exchange: HttpExchange) => void

interface Connection {
  /** The one that is served; null: none. */
  served: HttpExchange | null
  /** Those behind it, in order of arrival. */
  readonly waiting: { readonly exchange: HttpExchange; readonly serve: Serve }[]
  /** So many wait that nothing more is read. */
  held: boolean
  /** The one whose body may still be arriving. */
  latest: HttpExchange | null
  /** Its bytes cannot be understood any further. */
  broken: boolean
  /** Then: the last whose answer is due. */
  last: HttpExchange | null
}

export interface Connections {
  /**
   * `serve` is called when the answers to all earlier requests of the connection were taken: now, unless the caller does not wait
   * for them (RFC 9112 §9.3.2). Never, where the connection ends before.
   */
  begin(exchange: HttpExchange, serve: Serve): void
  /** Its answer was taken, or will never be. */
  end(exchange: HttpExchange): void
  /**
   * Answers on a socket that HTTP has let go of, as after CONNECT, and ends it. Where other answers are still due on it, the
   * last of them ends it instead. `extra`: further headers, flat.
   */
  refuse(socket: Duplex, error: GatewayError, extra: readonly string[]): void
}

export interface ConnectionPorts {
  readonly gateway: Pick<Gateway, 'refuse'>
  makeRequestId(): string
  /** How long a refused sender may go on before the connection is dropped. */
  readonly lingerMs: number
}

interface HttpFault extends NodeJS.ErrnoException {
  /** llhttp's own words. */
  readonly reason?: string
}

/**
 * Once so many requests of a connection wait, no more are read: what these hold is all that it can hold. Unread, a hang-up is not
 * seen before something is written, so that it is more than a caller who means well would send ahead.
 */
const MOST_WAITING = 16

export function watchConnections(server: Server, ports: ConnectionPorts): Connections {
  const connections = new WeakMap<Duplex, Connection>()
  const of = (socket: Duplex): Connection => {
    let connection = connections.get(socket)
    if (!connection) {
      connection = { served: null, waiting: [], held: false, latest: null, broken: false, last: null }
      connections.set(socket, connection)
    }
    return connection
  }

  const refuse = (socket: Duplex, error: GatewayError, exchange: HttpExchange | null, extra: readonly string[] = []): void => {
    const requestId = exchange?.requestId ?? ports.makeRequestId()
    const facts = { entrance: exchange?.entrance ?? ('other' as const), requestId, caller: exchange?.caller ?? null }
    socket.end(rawAnswer(ports.gateway.refuse(error, facts), requestId, extra))
    linger(socket, ports.lingerMs)
  }

  server.on('clientError', (fault: HttpFault, socket) => {
    const connection = of(socket)
    if (connection.broken) return
    connection.broken = true
    const error = mapFault(fault)
    if (error === null || !socket.writable) return void socket.destroy()
    const { latest } = connection
    const reading = latest !== null && !latest.req.complete ? latest : null
    const last = underWay(connection).findLast((exchange) => exchange !== reading)
    if (last) {
      // Those are due first, and the last of them closes; a bare refusal before them would be taken for one of theirs.
      endWith(connection, last)
    } else if (reading?.answered) {
      socket.end()
      linger(socket, ports.lingerMs)
    } else {
      if (reading) reading.answered = true
      refuse(socket, error, reading)
    }
  })

  return {
    begin(exchange, serve) {
      const { socket } = exchange.req
      const connection = of(socket)
      connection.latest = exchange
      if (connection.served === null) {
        connection.served = exchange
        return serve(exchange)
      }
      connection.waiting.push({ exchange, serve })
      if (connection.waiting.length >= MOST_WAITING) hold(socket, connection)
    },
    end(exchange) {
      const { socket } = exchange.req
      const connection = of(socket)
      // An idle connection holds nothing of what it was used for.
      if (exchange === connection.latest && exchange.req.complete) connection.latest = null
      if (exchange === connection.last && socket.writable) {
        socket.end() // its head had gone out before it was known to be the last
        linger(socket, ports.lingerMs)
      }
      const next = connection.waiting.shift()
      connection.served = next?.exchange ?? null
      if (!next) return
      if (!socket.writable) return void connection.waiting.splice(0)
      socket.setTimeout(0) // what ran was for the answer before
      next.serve(next.exchange)
      if (connection.held && connection.waiting.length < MOST_WAITING) release(socket, connection)
    },
    refuse(socket, error, extra) {
      socket.on('error', () => socket.destroy()).resume()
      const connection = of(socket)
      const last = underWay(connection).at(-1)
      if (last) return endWith(connection, last)
      refuse(socket, error, null, extra)
    },
  }
}

/** Arrived and not over, in order of arrival. */
function underWay({ served, waiting }: Connection): HttpExchange[] {
  return served === null ? [] : [served, ...waiting.map(({ exchange }) => exchange)]
}

function endWith(connection: Connection, last: HttpExchange): void {
  last.closes = true
  connection.last = last
}

function release(socket: Duplex, connection: Connection): void {
  connection.held = false
  socket.off('resume', stay).resume()
}

function stay(this: Duplex): void {
  this.pause()
}

/** Until it is released: HTTP resumes the socket for each body that it reads. */
function hold(socket: Duplex, connection: Connection): void {
  if (connection.held) return
  connection.held = true
  socket.on('resume', stay).pause()
}

/** The other side may still be sending; closing at once would reset the connection before it has read its answer. */
function linger(socket: Duplex, ms: number): void {
  const timer = setTimeout(() => socket.destroy(), ms)
  socket.once('close', () => clearTimeout(timer))
}

/** null: the connection itself failed, nobody is there to be told. */
function mapFault({ code = '', reason }: HttpFault): GatewayError | null {
  if (code === 'HPE_HEADER_OVERFLOW')
    return new GatewayError('RequestTooLarge', 'The head of the request is over 16 KiB; send fewer or shorter headers.', {
      status: 431,
    })
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW')
    return new GatewayError('RequestTooLarge', 'The chunk extensions of the body are over 16 KiB; send none.')
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new GatewayError('RequestTimeout', 'The request did not arrive in time; send it without pauses.')
  if (code.startsWith('HPE_')) return malformed(`What was sent is no valid HTTP/1.1 request (${reason ?? code}).`)
  return null
}

function rawAnswer(answer: Answer, requestId: string, extra: readonly string[]): Buffer {
  const headers = answerHeaders(answer, ['X-Request-Id', requestId, 'Connection', 'close', ...extra])
  return Buffer.concat([Buffer.from(headText(answer.status, headers), 'latin1'), ...piecesOf(answer.body)])
}
