// TLS over a socket that is already connected: verified unless the scope says otherwise, 1.2 or later, sessions resumed.
import { isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import type { Cancellation } from '../model/cancellation.ts'
import type { Clock, Meter } from '../model/ports.ts'
import type { ConnectionScope } from './ports.ts'
import { tlsFailureOf } from './tls-failure.ts'

export interface SecureConnectOptions {
  readonly scope: Pick<ConnectionScope, 'verify' | 'ca' | 'cert'>
  readonly caBundle: (name: string) => string
  /** As in the URL's host, bare; goes into SNI unless it is an address. */
  readonly hostname: string
  readonly http2: boolean
  /** Is told of each handshake. */
  readonly meter: Pick<Meter, 'tlsShaken' | 'tlsFailed'>
  readonly adapter: string
  readonly clock: Pick<Clock, 'now'>
}

export type SecureConnect = (socket: Socket, cancellation: Cancellation) => Promise<TLSSocket>

/** One for each host and scope: the secure context and the TLS session are kept for all its connections. */
export function createSecureConnect(options: SecureConnectOptions): SecureConnect {
  const { scope, hostname } = options
  let secureContext: SecureContext | undefined
  let session: Buffer | undefined
  return async (socket, cancellation) => {
    try {
      cancellation.throwIfCancelled()
      secureContext ??= contextFor(options)
    } catch (error) {
      socket.destroy()
      throw error
    }
    const settings: ConnectionOptions = {
      socket,
      host: hostname,
      servername: isIP(hostname) === 0 ? hostname : '',
      secureContext,
      rejectUnauthorized: scope.verify,
      minVersion: 'TLSv1.2',
      ALPNProtocols: options.http2 ? ['h2', 'http/1.1'] : ['http/1.1'],
      ...(session === undefined ? {} : { session }),
    }
    return metered(
      handshake(settings, cancellation, (latest) => {
        session = latest
      }),
      options,
    )
  }
}

async function metered(handshaking: Promise<TLSSocket>, { meter, adapter, clock }: SecureConnectOptions): Promise<TLSSocket> {
  const begun = clock.now()
  try {
    const secured = await handshaking
    meter.tlsShaken((clock.now() - begun) / 1000, secured.isSessionReused())
    return secured
  } catch (error) {
    const reason = tlsFailureOf(error)
    if (reason !== null) meter.tlsFailed(adapter, reason)
    throw error
  }
}

function contextFor({ scope, caBundle }: SecureConnectOptions): SecureContext {
  return createSecureContext({
    minVersion: 'TLSv1.2',
    ...(scope.ca === null ? {} : { ca: caBundle(scope.ca) }),
    ...(scope.cert === null ? {} : { cert: scope.cert.values.cert, key: scope.cert.values.key }),
  })
}

/** `keep` gets sessions of a peer that was verified only: a resumed one is not checked against the host name again. */
function handshake(settings: ConnectionOptions, cancellation: Cancellation, keep: (session: Buffer) => void): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const secured = connect(settings)
    let early: Buffer | undefined
    let done = false
    const fail = (error: Error): void => {
      stopListening()
      secured.destroy()
      reject(error)
    }
    const stopListening = cancellation.onCancel(fail)
    secured.on('error', fail)
    secured.once('close', () => fail(Object.assign(new Error('closed during the TLS handshake'), { code: 'ECONNRESET' })))
    secured.on('session', (session) => {
      if (done) keep(session)
      else early = session
    })
    secured.once('secureConnect', () => {
      done = true
      stopListening()
      if (early !== undefined) keep(early)
      resolve(secured)
    })
  })
}
