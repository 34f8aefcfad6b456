// CONNECT through an upstream proxy, over a socket that is already connected to it. What comes out is as good as a
// connection of one's own.
import type { Socket } from 'node:net'
import { Client } from 'undici'
import { GatewayError } from '../errors/gateway-error.ts'
import type { Cancellation } from '../model/cancellation.ts'
import type { Secret } from '../model/ports.ts'

export interface TunnelRequest {
  readonly socket: Socket
  /** Origin of the proxy. */
  readonly proxy: URL
  /** host:port as CONNECT names it. */
  readonly authority: string
  readonly login: Secret | null
  readonly cancellation: Cancellation
}

/** Rejects with ProxyError where the proxy says no, and with the socket's own error where it breaks. */
export function openTunnel({ socket, proxy, authority, login, cancellation }: TunnelRequest): Promise<Socket> {
  if (cancellation.reason !== null) {
    socket.destroy()
    return Promise.reject(cancellation.reason)
  }
  const client = new Client(proxy.origin, {
    connect: (_options, callback) => queueMicrotask(() => callback(null, socket)),
    allowH2: false,
    headersTimeout: 0,
    bodyTimeout: 0,
  })
  return new Promise<Socket>((resolve, reject) => {
    const fail = (error: Error): void => {
      stopListening()
      socket.destroy()
      reject(error)
    }
    const stopListening = cancellation.onCancel(fail)
    const headers = ['host', authority, ...(login === null ? [] : ['proxy-authorization', basic(login)])]
    client.dispatch(
      { method: 'CONNECT', path: authority, headers },
      {
        onRequestStart() {},
        onRequestUpgrade(_controller, status, _headers, tunnel) {
          if (status < 200 || status > 299) return fail(refusal(status, proxy, login))
          stopListening()
          resolve(tunnel as Socket)
        },
        onResponseStart() {},
        onResponseData() {},
        onResponseEnd() {},
        onResponseError(_controller, error) {
          fail(error)
        },
      },
    )
  }).finally(() => client.destroy())
}

function refusal(status: number, proxy: URL, login: Secret | null): GatewayError {
  const wish =
    login === null
      ? 'wants credentials (407); name a proxy-basic secret under proxy.credentials'
      : `does not take the credentials of secret "${login.name}" (407); have it corrected`
  const message = `the proxy ${proxy.host} ${status === 407 ? wish : `refused the connection with status ${status}`}`
  return new GatewayError('ProxyError', message, { detail: { status } })
}

/** latin-1 where it fits, as in Requests, else UTF-8. */
function basic({ values }: Secret): string {
  const login = `${values.username ?? ''}:${values.password ?? ''}`
  const fits = [...login].every((character) => character.charCodeAt(0) < 256)
  return `Basic ${Buffer.from(login, fits ? 'latin1' : 'utf8').toString('base64')}`
}
