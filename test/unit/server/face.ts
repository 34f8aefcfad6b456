// The HTTP face with a scripted gateway behind it, and a bare socket in front of it.
import { createHash } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { createCallers } from '../../../src/callers/callers.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { Answer, Gateway, IncomingCall } from '../../../src/model/gateway-port.ts'
import { createServer, type ServerOptions, type ServerPorts } from '../../../src/server/server.ts'

export interface Refusal {
  readonly type: string
  readonly entrance: string
  readonly requestId: string
  readonly caller: string | null
}

export function anAnswer(value: unknown, over: Partial<Answer> = {}): Answer {
  return { status: 200, retryAfterSeconds: null, body: [Buffer.from(JSON.stringify(value))], ...over }
}

export function aGateway(call: (incoming: IncomingCall) => Promise<Answer>) {
  const refusals: Refusal[] = []
  const calls: IncomingCall[] = []
  const gateway: Gateway = {
    call(incoming) {
      calls.push(incoming)
      return call(incoming)
    },
    async prepare(incoming) {
      return anAnswer({ prepared: incoming.body.toString(), entrance: incoming.entrance })
    },
    refuse(error: GatewayError, facts) {
      refusals.push({ type: error.type, ...facts })
      const retryAfterSeconds = error.retryAfter === undefined ? null : Math.ceil(error.retryAfter / 1000)
      const envelope = { error: { type: error.type, message: error.message }, requestId: facts.requestId }
      return anAnswer(envelope, { status: error.status, retryAfterSeconds })
    },
  }
  return { gateway, refusals, calls }
}

const key = (text: string) => ({ sha256: createHash('sha256').update(text).digest() })
export const CALLERS = createCallers([
  { name: 'billing', admin: false, may: [], keys: [key('billing-key')] },
  { name: 'ops', admin: true, may: [], keys: [key('ops-key')] },
])

export async function aFace(
  t: TestContext,
  over: {
    readonly call?: (incoming: IncomingCall) => Promise<Answer>
    readonly options?: Partial<ServerOptions>
    readonly ports?: Partial<ServerPorts>
  } = {},
) {
  const scripted = aGateway(over.call ?? (async (incoming) => anAnswer({ echoed: incoming.body.toString() })))
  const local = createCallers([])
  const face = createServer(
    { host: '127.0.0.1', port: 0, ...over.options },
    {
      gateway: scripted.gateway,
      callers: () => local,
      readiness: () => ({ ready: true, degraded: [] }),
      openapi: () => ({ openapi: '3.1.0' }),
      administration: { perform: () => Promise.reject(new GatewayError('NotFound', 'nothing is administered here')) },
      scrape: async () => ({ contentType: 'text/plain; version=0.0.4', text: 'sallyport_up 1\n' }),
      ...over.ports,
    },
  )
  t.after(() => face.close())
  const bound = await face.listen()
  return {
    face,
    ...bound,
    url: `http://127.0.0.1:${bound.port}`,
    ...scripted,
    raw: (bytes?: string | Buffer) => openRaw(bound.port, bytes),
  }
}

export interface Raw {
  readonly socket: Socket
  /** All that came, once the other side has ended the connection. */
  readonly ended: Promise<string>
  /** Resolves when what came so far contains `text`. */
  until(text: string): Promise<string>
}

/** `ca`: by TLS, with a server that these authorities vouch for. */
export function openRaw(port: number, bytes?: string | Buffer, ca?: string): Raw {
  const socket = ca === undefined ? connect(port, '127.0.0.1') : connectTls({ port, host: '127.0.0.1', ca })
  let received = ''
  let checks: (() => void)[] = []
  const check = (): void => {
    const due = checks
    checks = []
    for (const run of due) run()
  }
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text
    check()
  })
  if (bytes !== undefined) socket.write(bytes)
  const ended = new Promise<string>((resolve, reject) => {
    socket
      .on('error', reject)
      .on('end', () => resolve(received))
      .on('close', check)
  })
  ended.catch(() => {})
  return {
    socket,
    ended,
    until: (text) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (received.includes(text)) resolve(received)
          else if (socket.closed || socket.readableEnded) reject(new Error(`closed after ${JSON.stringify(received)}`))
          else checks.push(look)
        }
        look()
      }),
  }
}

export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: { readonly error: { readonly type: string; readonly message: string }; readonly requestId: string }
}

/** The one answer in `text`; throws where its framing is not exact. */
export function parseRaw(text: string): RawAnswer {
  const split = text.indexOf('\r\n\r\n')
  const [line = '', ...fields] = text.slice(0, split).split('\r\n')
  const headers = Object.fromEntries(
    fields.map((field) => [field.slice(0, field.indexOf(':')).toLowerCase(), field.slice(field.indexOf(':') + 2)]),
  )
  const body = text.slice(split + 4)
  if (body.length !== Number(headers['content-length']))
    throw new Error(`body of ${body.length} bytes in ${JSON.stringify(text)}`)
  return { status: Number(line.split(' ')[1]), headers, body: JSON.parse(body) }
}

export const head = (line: string, ...fields: string[]): string => `${[line, 'Host: localhost', ...fields].join('\r\n')}\r\n\r\n`
export const post = (body: string, ...fields: string[]): string =>
  head('POST /v1/requests HTTP/1.1', 'Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`, ...fields) +
  body
