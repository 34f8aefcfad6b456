// Ports and sockets of the HTTP servers: opening, settings, closing. Knows nothing of what is served.
import cluster from 'node:cluster'
import { createServer, type ServerOptions as HttpSettings, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, isIPv4, type Socket } from 'node:net'

/** All in ms. */
export interface ServerClocks {
  /** For the head of a request, from its first byte, or from the connection's beginning. Default 10 s. */
  readonly headMs?: number
  /** For a whole request, body included. Default 60 s. */
  readonly requestMs?: number
  /** An unused connection is kept this long: longer than the 60 s of common balancers, which must be the first to close. Default 75 s. */
  readonly keepAliveMs?: number
  /** For a caller that takes no byte of its answer. Default 60 s. */
  readonly answerMs?: number
  /** For a refused caller that goes on sending. Default 1 s. */
  readonly lingerMs?: number
}

export function clocksOf(given: ServerClocks = {}): Required<ServerClocks> {
  return { headMs: 10_000, requestMs: 60_000, keepAliveMs: 75_000, answerMs: 60_000, lingerMs: 1000, ...given }
}

/** PEM texts. */
export interface TlsMaterial {
  readonly cert: string
  readonly key: string
  /** Whose client certificates are good; null: none is asked for. */
  readonly clientCa: string | null
}

export interface ListenerTls extends TlsMaterial {
  /** A connection without a good client certificate is refused. */
  readonly requiresClient: boolean
}

export interface Bound {
  readonly address: string
  readonly port: number
}

export interface Listener {
  readonly server: Server
  /** Connections open now. */
  readonly sockets: ReadonlySet<Socket>
  /** From now on every connection goes to `take`, where TLS ends here after its handshake. Returns how node:http is given one. */
  divert(take: (socket: Socket) => void): (socket: Socket) => void
  listen(host: string, port: number): Promise<Bound>
  /** For connections from now on. Only where it began with TLS. */
  renewTls(tls: TlsMaterial): void
  /** Open connections are cut off. */
  close(): Promise<void>
}

/** Bytes of a request's head. */
export const HEAD_LIMIT = 16 * 1024

/** `tls` null: plain HTTP. */
export function createListener(clocks: Required<ServerClocks>, tls: ListenerTls | null = null): Listener {
  const secure = tls === null ? null : createTlsServer({ ...settings(clocks), ...tlsSettings(clocks, tls) })
  const server: Server = secure ?? createServer(settings(clocks))
  const arrival = secure === null ? 'connection' : 'secureConnection'
  const [serveHttp] = server.listeners(arrival)
  server.maxHeadersCount = 0 // none is silently dropped: the size of the head is limit enough
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return {
    server,
    sockets,
    divert(take) {
      if (serveHttp === undefined) throw new Error('node:http serves its connections by no listener')
      server.off(arrival, serveHttp as (socket: Socket) => void).on(arrival, take)
      return (socket) => {
        serveHttp.call(server, socket)
        // Else its parser reads past the stream, and is handed what was decrypted even where a slow reader had it paused: an error.
        if (secure !== null) socket.on('data', nothing)
      }
    },
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen({ host, port, exclusive: !cluster.isWorker }, () => {
          server.off('error', reject)
          const { address, port } = server.address() as AddressInfo
          resolve({ address, port })
        })
      }),
    renewTls: (renewed) => secure?.setSecureContext(contextOf(renewed)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy() // also those that HTTP has let go of
      }),
  }
}

function contextOf({ cert, key, clientCa }: TlsMaterial) {
  return { cert, key, ...(clientCa === null ? {} : { ca: clientCa }), minVersion: 'TLSv1.2' as const }
}

function tlsSettings({ headMs }: Required<ServerClocks>, tls: ListenerTls) {
  return {
    ...contextOf(tls),
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: headMs,
    requestCert: tls.clientCa !== null,
    // Where it is not required, who shows a bad one is nobody by it, and may still send a key.
    rejectUnauthorized: tls.requiresClient,
  }
}

function settings({ headMs, requestMs, keepAliveMs }: Required<ServerClocks>): HttpSettings {
  return {
    maxHeaderSize: HEAD_LIMIT,
    headersTimeout: Math.min(headMs, requestMs),
    requestTimeout: requestMs,
    // How late the two clocks above may fire.
    connectionsCheckingInterval: Math.min(1000, Math.max(20, headMs / 10)),
    keepAliveTimeout: keepAliveMs,
    joinDuplicateHeaders: true, // Node would keep the first Host or key and drop the rest, where others keep the last
    requireHostHeader: false, // judged at the door, so that the refusal has the envelope's shape
    noDelay: true,
  }
}

const nothing = (): void => {}

export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}
