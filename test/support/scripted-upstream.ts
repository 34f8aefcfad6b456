// An upstream that answers what a test tells it to, byte for byte, and keeps what it received. For one that breaks the rules
// see rude-upstream.ts, on which it stands.
import { createRudeUpstream, type ReceivedRequest, type RudeOptions, type RudeUpstream } from './rude-upstream.ts'

export interface Scripted {
  readonly status?: number
  /** Default `OK`. */
  readonly reason?: string
  /** In this order and case, as latin-1. Content-Length is added unless it or Transfer-Encoding is here. */
  readonly headers?: readonly (readonly [name: string, value: string])[]
  /** A string goes out as UTF-8. */
  readonly body?: string | Uint8Array
}

export interface ScriptedUpstream extends Pick<RudeUpstream, 'port' | 'origin' | 'received' | 'close'> {
  /** From now on every request is answered so. Default: 200 with a small JSON body. */
  answer(script: Scripted | ((request: ReceivedRequest) => Scripted)): void
  /** The request that came last; throws where none came. */
  last(): ReceivedRequest
  /** Connections accepted so far. */
  accepted(): number
}

const HELLO: Scripted = { headers: [['Content-Type', 'application/json']], body: '{"hello":"world"}' }

export async function createScriptedUpstream(options: Pick<RudeOptions, 'tls'> = {}): Promise<ScriptedUpstream> {
  let script: (request: ReceivedRequest) => Scripted = () => HELLO
  const rude = await createRudeUpstream({
    ...options,
    always: 'scripted',
    behaviours: { scripted: (socket, request) => void socket.write(bytesOf(script(request), request.method)) },
  })
  return {
    port: rude.port,
    origin: rude.origin,
    received: rude.received,
    close: () => rude.close(),
    accepted: () => rude.accepted,
    answer(next) {
      script = typeof next === 'function' ? next : () => next
    },
    last() {
      const request = rude.received.at(-1)
      if (!request) throw new Error('no request has come')
      return request
    },
  }
}

function bytesOf({ status = 200, reason = 'OK', headers = [], body = '' }: Scripted, method: string): Buffer {
  const bytes = Buffer.from(body)
  const framed =
    headers.some(([name]) => /^(?:content-length|transfer-encoding)$/i.test(name)) || status === 204 || status === 304
  const lines = headers.map(([name, value]) => `${name}: ${value}`)
  if (!framed) lines.push(`Content-Length: ${bytes.length}`)
  const head = Buffer.from([`HTTP/1.1 ${status} ${reason}`, ...lines, '', ''].join('\r\n'), 'latin1')
  return method === 'HEAD' ? head : Buffer.concat([head, bytes])
}

/** A redirect to `location`. */
export function redirectTo(location: string, status = 302, headers: Scripted['headers'] = []): Scripted {
  return { status, reason: 'Found', headers: [['Location', location], ...headers] }
}

/** The values of a header as they arrived, in order. */
export function valuesOf({ headers }: ReceivedRequest, name: string): string[] {
  return headers.filter(([given]) => given.toLowerCase() === name.toLowerCase()).map(([, value]) => value)
}
