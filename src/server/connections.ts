// Callers' connections and what goes wrong below HTTP: bytes that are no HTTP, heads too large, senders too slow. Node's own
// answers to these have no envelope, so they are written here, on the bare socket, and only where no other answer is due.
import { type Server, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { GatewayError } from '../errors/gateway-error.ts'
import type { Answer, Gateway } from '../model/gateway-port.ts'
import { malformed } from './door.ts'
import { type Exchange, totalOf } from './exchange.ts'

interface Connection {
  /** Begun and not over, in order of arrival. */
  readonly open: Set<Exchange>
  /** The one whose body may still be arriving. */
  latest: Exchange | null
  /** Its bytes cannot be understood any further. */
  broken: boolean
}

export interface Connections {
  /** Takes note of a request on its connection, */
  begin(exchange: Exchange): void
  /** and of its end. */
  end(exchange: Exchange): void
  /** Answers on a socket that HTTP has let go of, as after CONNECT, and ends it. `extra`: whole header lines. */
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

export function watchConnections(server: Server, ports: ConnectionPorts): Connections {
  const connections = new WeakMap<Duplex, Connection>()
  const of = (socket: Duplex): Connection => {
    let connection = connections.get(socket)
    if (!connection) {
      connection = { open: new Set(), latest: null, broken: false }
      connections.set(socket, connection)
    }
    return connection
  }

  const refuse = (socket: Duplex, error: GatewayError, exchange: Exchange | null, extra: readonly string[] = []): void => {
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
    const { open, latest } = connection
    const reading = latest !== null && !latest.req.complete ? latest : null
    const earlier = [...open].filter((exchange) => exchange !== reading)
    if (earlier.length > 0) {
      // Their answers are due first and then close; a bare refusal before them would be taken for one of theirs.
      for (const exchange of earlier) exchange.closes = true
    } else if (reading?.answered) {
      socket.end()
      linger(socket, ports.lingerMs)
    } else {
      if (reading) reading.answered = true
      refuse(socket, error, reading)
    }
  })

  return {
    begin(exchange) {
      const connection = of(exchange.req.socket)
      connection.open.add(exchange)
      connection.latest = exchange
    },
    end: (exchange) => void connections.get(exchange.req.socket)?.open.delete(exchange),
    refuse(socket, error, extra) {
      socket.on('error', () => socket.destroy()).resume()
      refuse(socket, error, null, extra)
    },
  }
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
  const lines = [
    `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? 'Refused'}`,
    `Date: ${new Date().toUTCString()}`,
    'Content-Type: application/json',
    `Content-Length: ${totalOf(answer.chunks)}`,
    `X-Request-Id: ${requestId}`,
    'Connection: close',
    ...extra,
  ]
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), ...answer.chunks])
}
