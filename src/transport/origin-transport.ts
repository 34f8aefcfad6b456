// The end of the stack: one dispatch is one try on the wire. Finds a connection, exchanges request and answer on it under
// the connect and read clocks, undoes the content-encodings, and writes the try into the ledger.
import { GatewayError } from '../errors/gateway-error.ts'
import type { AdapterPolicy } from '../model/adapter-policy.ts'
import type { CallContext } from '../model/call-context.ts'
import { type Cancellation, createCancellation } from '../model/cancellation.ts'
import type { Dispatch } from '../model/dispatch.ts'
import type { Attempt } from '../model/envelope.ts'
import { getHeader } from '../model/header-list.ts'
import type { HopRequest } from '../model/hop.ts'
import { inOnePiece } from '../model/one-piece.ts'
import type { UpstreamResponse } from '../model/upstream-response.ts'
import { unlessCancelled } from '../model/wait.ts'
import { type Connection, openConnection } from './connection.ts'
import { createConnectionPool } from './connection-pool.ts'
import { decodeBody } from './decode-body.ts'
import { createDial, type Dial, type DialRequest } from './dial.ts'
import { createExchange, type Exchange, type Progress, type WireAnswer, withFacts } from './exchange.ts'
import type { ConnectionScope, Origin, TransportPorts } from './ports.ts'
import { createScopes } from './scopes.ts'

export interface OriginTransport {
  readonly dispatch: Dispatch
  /** Connections open or being made, and those of them that nobody uses. */
  sample(): { readonly connections: number; readonly idle: number }
  /** Resolves when all connections are closed; calls under way end first. */
  close(): Promise<void>
  /** Ends calls under way too. */
  destroy(): void
}

export function createOriginTransport(adapter: AdapterPolicy, origin: Origin, ports: TransportPorts): OriginTransport {
  const { clock, meter } = ports
  const pool = createConnectionPool({ connections: adapter.pool.connections, http2: adapter.pool.http2 })
  const scopeFor = createScopes(adapter, origin, ports.secrets)
  const dialOf = remembered<ConnectionScope, Dial>((scope) => createDial(adapter, origin, scope, ports))
  const exchangeOn = remembered<Connection, Exchange>((connection) => createExchange(connection, clock))

  const urlOf = rememberUrl(origin)

  const connect = async (
    scope: ConnectionScope,
    request: HopRequest,
    context: CallContext,
    attempt: Attempt,
  ): Promise<Connection> => {
    const begun = clock.now()
    let phase = `all ${adapter.pool.connections} connections to it are taken`
    const limited = createCancellation()
    const { connectMs } = request.plan
    const stopTimer = clock.after(connectMs, () => limited.cancel(connectTimeout(origin, connectMs, phase)))
    const stopListening = context.cancellation.onCancel((reason) => limited.cancel(reason))
    const dialRequest: DialRequest = {
      privileged: context.caller.admin,
      cancellation: limited,
      phase(said) {
        phase = said
      },
    }
    try {
      return await pool.takeNew(scope, limited, async () => {
        const dialled = await dialOf(scope)(dialRequest)
        attempt.connect = rounded(clock.now() - begun)
        meter.connected(adapter.name, attempt.connect / 1000)
        return openConnection(dialled, origin, adapter.pool.idleMs, clock)
      })
    } finally {
      stopTimer()
      stopListening()
    }
  }

  const release = (connection: Connection, request: HopRequest): void => {
    if (bindsConnection(request) && !connection.http2) connection.destroy()
    pool.release(connection)
  }

  const close = (attempt: Attempt, begun: number, { sent, firstByte, head }: Progress): void => {
    attempt.sent = sent
    attempt.firstByte = firstByte === null ? null : rounded(firstByte)
    if (head !== null) attempt.status = head.status
    attempt.elapsed = rounded(clock.now() - begun)
    meter.attemptEnded({
      adapter: adapter.name,
      status: attempt.status ?? null,
      error: attempt.error ?? null,
      seconds: attempt.elapsed / 1000,
      reused: attempt.reused,
    })
  }

  // One function rather than one for each step: every call goes through here, and each async function costs it a promise.
  const dispatch: Dispatch = async (request, context) => {
    context.cancellation.throwIfCancelled()
    const begun = clock.now()
    const attempt = openAttempt(request, context, { origin: origin.origin, url: urlOf(request), begun })
    const progress: Progress = { sent: 'no', firstByte: null, head: null }
    try {
      const found = scopeFor(request.plan, context.caller.name)
      const scope = found instanceof Promise ? await unlessCancelled(found, context.cancellation) : found
      if (!scope.verify && origin.scheme === 'https') meter.insecure(adapter.name)
      for (;;) {
        const connection = pool.take(scope) ?? (await connect(scope, request, context, attempt))
        attempt.address = connection.address
        attempt.reused = connection.served > 0
        let answer: WireAnswer | null
        try {
          answer = await exchangeOn(connection)(request, context, progress)
        } catch (error) {
          if (error instanceof GatewayError && error.staleConnection) pool.dropIdle(scope)
          throw error
        } finally {
          release(connection, request)
        }
        if (answer === null) continue // it had died before the request was begun on it
        const response = responseOf(answer, request, context.cancellation)
        return response instanceof Promise ? await response : response
      }
    } catch (thrown) {
      const error =
        thrown instanceof GatewayError ? thrown : new GatewayError('InternalError', 'the transport failed', { cause: thrown })
      attempt.error = error.type
      throw error
    } finally {
      close(attempt, begun, progress)
    }
  }

  return { dispatch, sample: pool.sample, close: pool.close, destroy: pool.destroy }
}

/** Without the query, which may hold what is nobody's business. In one piece, and made anew only for another path. */
function rememberUrl({ origin }: Origin): (request: HopRequest) => string {
  let path = ''
  let whole = inOnePiece(origin)
  return ({ url, shownPath = url.path }) => {
    if (shownPath === path) return whole
    path = shownPath
    whole = inOnePiece(origin, path)
    return whole
  }
}

type Opening = Pick<Attempt, 'origin' | 'url' | 'begun'>

function openAttempt(request: HopRequest, { trail }: CallContext, { origin, url, begun }: Opening): Attempt {
  const { waited, because } = trail.takeWait()
  const attempt: Attempt = {
    hop: request.hop,
    method: request.method,
    url,
    adapter: request.plan.adapter.name,
    origin,
    address: null,
    reused: false,
    waited,
    because,
    sent: 'no',
    connect: null,
    firstByte: null,
    elapsed: 0,
    begun,
    span: trail.span,
  }
  trail.span = null
  trail.begin(attempt)
  return attempt
}

/** Undoes the content-encodings; synchronous where there are none or the body is small. */
function responseOf(
  answer: WireAnswer,
  request: HopRequest,
  cancellation: Cancellation,
): UpstreamResponse | Promise<UpstreamResponse> {
  const { head, body, codings, elapsed } = answer
  const whole = (decoded: Buffer): UpstreamResponse => ({ ...head, body: decoded, elapsed: rounded(elapsed) })
  const broken = (error: unknown): never => {
    throw error instanceof GatewayError ? withFacts(error, { sent: 'yes', response: head }) : error
  }
  try {
    const decoded = decodeBody(body, codings, { maxBytes: request.plan.maxResponseBytes, hostname: request.url.hostname })
    return Buffer.isBuffer(decoded) ? whole(decoded) : unlessCancelled(decoded, cancellation).then(whole, broken)
  } catch (error) {
    return broken(error)
  }
}

/** Schemes that log a connection in rather than a request (RFC 4559 §6): nobody else may be given that connection. */
const CONNECTION_SCHEMES = /^(?:ntlm|negotiate)\b/i

function bindsConnection({ headers }: HopRequest): boolean {
  const authorization = getHeader(headers, 'authorization')
  return authorization !== undefined && CONNECTION_SCHEMES.test(authorization)
}

function connectTimeout({ hostname, port }: Origin, connectMs: number, phase: string): GatewayError {
  return new GatewayError(
    'ConnectTimeout',
    `no connection to ${hostname} (port ${port}) within ${connectMs} ms: ${phase}; check the upstream, or raise timeout.connect`,
  )
}

/** One for each `key`, for as long as that is there. */
function remembered<Key extends object, Value>(create: (key: Key) => Value): (key: Key) => Value {
  const known = new WeakMap<Key, Value>()
  return (key) => {
    const before = known.get(key)
    if (before !== undefined) return before
    const made = create(key)
    known.set(key, made)
    return made
  }
}

/** Microseconds are enough for anybody. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
