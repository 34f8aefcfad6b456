// An HTTP proxy on loopback that tunnels, or misbehaves in the way a test names. It records what it was asked.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'

export interface AskedOfProxy {
  /** `CONNECT host:port HTTP/1.1`. */
  readonly line: string
  readonly headers: Readonly<Record<string, string>>
}

/** What happens to a CONNECT: `tunnel` connects it to `to`, or to whatever it names. */
export type ProxyBehaviour = (ask: AskedOfProxy, socket: Socket, tunnel: () => void) => void

export interface ConnectProxy {
  readonly origin: string
  readonly port: number
  readonly asked: readonly AskedOfProxy[]
  /** Connections of clients that are open now. */
  readonly open: number
  behave(next: ProxyBehaviour): void
  close(): Promise<void>
}

export interface ConnectProxyOptions {
  /** With it, clients speak TLS to the proxy. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Where every tunnel leads, whatever was named. */
  readonly to?: number
}

export const works: ProxyBehaviour = (_ask, _socket, tunnel) => tunnel()

export const answers =
  (head: string): ProxyBehaviour =>
  (_ask, socket) =>
    void socket.write(head)

export async function createConnectProxy({ tls, to }: ConnectProxyOptions = {}): Promise<ConnectProxy> {
  const asked: AskedOfProxy[] = []
  const sockets = new Set<Socket>()
  const clients = new Set<Socket>()
  let behaviour = works

  const serve = (socket: Socket): void => {
    socket.on('error', () => {})
    let head = ''
    const read = (chunk: Buffer): void => {
      head += chunk.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return
      socket.off('data', read)
      const [line = '', ...fields] = head.slice(0, end).split('\r\n')
      const headers = Object.fromEntries(
        fields.map((field) => [field.slice(0, field.indexOf(':')).toLowerCase(), field.slice(field.indexOf(':') + 1).trim()]),
      )
      const ask = { line, headers }
      asked.push(ask)
      behaviour(ask, socket, () => tunnel(socket, line, to, sockets))
    }
    socket.on('data', read)
  }

  const server: Server = createServer((socket) => {
    sockets.add(socket)
    clients.add(socket)
    socket
      .on('error', () => {})
      .on('close', () => {
        sockets.delete(socket)
        clients.delete(socket)
      })
    if (secure === null) serve(socket)
    else secure.emit('connection', socket)
  })
  const secure = tls ? createTlsServer(tls, serve).on('tlsClientError', () => {}) : null
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    ...{ origin: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`, port, asked },
    get open() {
      return clients.size
    },
    behave(next) {
      behaviour = next
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function tunnel(socket: Socket, line: string, to: number | undefined, sockets: Set<Socket>): void {
  const port = to ?? Number(line.slice(line.lastIndexOf(':') + 1).split(' ')[0])
  const target = connect(port, '127.0.0.1')
  sockets.add(target)
  target.on('close', () => sockets.delete(target))
  target.on('error', () => socket.destroy())
  socket.on('close', () => target.destroy())
  target.once('connect', () => {
    socket.write('HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n')
    socket.pipe(target).pipe(socket)
  })
}
