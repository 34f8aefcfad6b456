// One request and its answer on one connection: sends, reads the head under its limits, and the body as it comes off the
// wire. Dialling, decoding and the ledger are elsewhere.
import type { Dispatcher } from 'undici'
import { GatewayError, type GatewayErrorOptions, type PartialResponse, type Sent } from '../errors/gateway-error.ts'
import type { Cancellation } from '../model/cancellation.ts'
import type { HeaderList } from '../model/header-list.ts'
import type { HopRequest } from '../model/hop.ts'
import type { Clock } from '../model/ports.ts'
import { greaterSent } from '../model/trail.ts'
import type { Connection } from './connection.ts'
import { type Coding, codingsOf, encodedLimit, tooLarge } from './decode-body.ts'
import { gatherBody } from './gather-body.ts'
import { isOwnFault, mapError } from './map-error.ts'
import { bareHostname } from './ports.ts'
import { createReadClock } from './read-clock.ts'
import { bodyHeadersOf, hasNoBody, headFault, rawHeadersOf } from './response-head.ts'

/** The whole answer, body still encoded. */
export interface WireAnswer {
  readonly head: PartialResponse
  /** To be undone, the first first. */
  readonly codings: readonly Coding[]
  readonly body: Buffer
  /** ms from sending to the end of the head. */
  readonly elapsed: number
}

/** How far a try has come; written as it goes, read when it ends, however it ends. */
export interface Progress {
  sent: Sent
  /** ms from sending to the first byte of an answer. */
  firstByte: number | null
  head: PartialResponse | null
}

export interface ExchangeOptions {
  readonly connection: Connection
  readonly request: HopRequest
  readonly progress: Progress
  readonly cancellation: Cancellation
  readonly clock: Clock
  /** The request was handed to the socket, whole. */
  readonly onSent: () => void
}

const MAX_INTERIM_ANSWERS = 20
const GIVEN_UP = new Error('the call has ended')

/** null: the connection proved dead before the request was begun on it. Rejects with GatewayError. */
export function exchange(options: ExchangeOptions): Promise<WireAnswer | null> {
  if (options.cancellation.reason !== null) return Promise.reject(options.cancellation.reason)
  return new Promise((resolve, reject) => {
    const { connection, request, progress, clock } = options
    const { url, plan } = request
    const at = { hostname: url.hostname, port: url.port }
    let controller: Dispatcher.DispatchController | null = null
    let isOver = false
    let isUnsent = false
    let begunAt = 0
    let bytesBefore = 0
    let readBefore = 0
    let interim = 0
    let elapsed = 0
    let codings: readonly Coding[] = []
    let body = gatherBody(plan.maxResponseBytes, Number.NaN)

    const end = (): void => {
      isOver = true
      connection.awaiting = false
      connection.inHead = false
      readClock.stop()
      stopListening()
    }
    /** Ends the exchange and its connection (on HTTP/2 its stream). */
    const fail = (error: GatewayError): void => {
      if (isOver) return
      end()
      reject(error)
      if (controller !== null) controller.abort(GIVEN_UP)
      else if (!connection.http2) connection.destroy()
    }
    const lastHeard = (): number => (connection.http2 ? clock.now() : connection.heardAt)
    const hear = (): void => {
      if (progress.sent === 'yes') return
      progress.sent = 'yes'
      progress.firstByte = lastHeard() - begunAt
    }
    const facts = (): Pick<GatewayErrorOptions, 'sent' | 'response'> => {
      if (controller !== null && connection.heardBytes > bytesBefore) hear()
      return progress.head === null ? { sent: progress.sent } : { sent: progress.sent, response: progress.head }
    }
    const exceed = (): void => fail(withFacts(tooLarge({ hostname: at.hostname, maxBytes: plan.maxResponseBytes }), facts()))
    const readClock = createReadClock({
      ...{ connection, clock, readMs: plan.readMs, bodyBytes: request.body?.byteLength ?? 0 },
      onSilence: () => {
        if (connection.http2 && connection.socket.bytesRead === readBefore) connection.suspect = true
        fail(readTimeout(at.hostname, plan.readMs, facts()))
      },
    })
    const stopListening = options.cancellation.onCancel((reason) => fail(withFacts(reason, facts())))

    connection.client.dispatch(dispatchOptions(request), {
      onRequestStart(started) {
        if (isOver) return started.abort(GIVEN_UP)
        controller = started
        connection.awaiting = true
        connection.inHead = true
        bytesBefore = connection.heardBytes
        readBefore = connection.socket.bytesRead
        begunAt = clock.now()
        progress.sent = 'maybe'
      },
      onRequestSent() {
        if (isOver) return
        // The first write failed on the spot: the reset was with the kernel already, and not a byte left.
        isUnsent = connection.socket.errored !== null
        if (isUnsent) progress.sent = 'no'
        else {
          options.onSent()
          readClock.start()
        }
      },
      onResponseStarted() {
        connection.awaiting = false
        readClock.heard()
        hear()
      },
      onResponseStart(started, status, _parsed, reason) {
        if (isOver) return
        readClock.heard()
        hear()
        if (status >= 100 && status < 200) {
          connection.awaiting = true
          if (++interim > MAX_INTERIM_ANSWERS) fail(tooManyInterim(at.hostname, facts()))
          return
        }
        connection.inHead = false
        elapsed = lastHeard() - begunAt
        const head = { status, reason: reason ?? '', rawHeaders: rawHeadersOf(started.rawHeaders) }
        if (status >= 100) progress.head = head // a smaller number is no status that could be shown
        const fault = headFault(head, at.hostname)
        if (fault !== null) return fail(new GatewayError(fault.type, fault.message, facts()))
        const { contentEncoding, contentLength } = bodyHeadersOf(head.rawHeaders)
        codings = codingsOf(contentEncoding)
        const maxBytes = codings.length > 0 ? encodedLimit(plan.maxResponseBytes) : plan.maxResponseBytes
        if (codings.length === 0 && contentLength > maxBytes && !hasNoBody(request.method, status)) exceed()
        else body = gatherBody(maxBytes, Math.min(contentLength, maxBytes))
      },
      onResponseData(_controller, chunk) {
        if (isOver) return
        readClock.heard()
        if (!body.add(chunk)) exceed()
        else if (body.isCopied()) connection.spent = chunk
      },
      onResponseEnd() {
        const { head } = progress
        if (isOver || head === null) return
        // undici takes a reset for the end of a body that has no length.
        if (connection.failure !== null) return fail(mapError(connection.failure, { stage: 'body', ...at }, facts()))
        end()
        resolve({ head, codings, body: body.whole(), elapsed })
      },
      onResponseError(_controller, error) {
        if (isOver) return
        end()
        const isReused = connection.served > 0
        if ((controller === null || isUnsent) && isReused && !isOwnFault(error)) return resolve(null)
        const known = facts()
        const stage = progress.head === null ? 'head' : 'body'
        reject(
          mapError(
            connection.failure ?? error,
            { stage, ...at },
            { ...known, staleConnection: isReused && known.sent === 'maybe' && hasDied(connection) },
          ),
        )
      },
    })
  })
}

/** With HTTP/1.1 the connection ends with the exchange that failed; on HTTP/2 it may have been this stream alone. */
function hasDied({ http2, socket }: Connection): boolean {
  return !http2 || socket.destroyed
}

function dispatchOptions({ method, url, headers, body }: HopRequest): Dispatcher.DispatchOptions {
  // undici drops a connection whose servername is not that of the request, and would take the latter from a Host header.
  const fixed = url.scheme === 'https' ? { servername: bareHostname(url.hostname) } : {}
  return { method, path: url.target, headers: flat(headers), body, ...fixed }
}

function flat(headers: HeaderList): string[] {
  const list: string[] = []
  for (const [name, value] of headers) list.push(name, value)
  return list
}

type Facts = Pick<GatewayErrorOptions, 'sent' | 'response'>

function readTimeout(hostname: string, readMs: number, facts: Facts): GatewayError {
  const part = facts.response === undefined ? 'response head' : 'body'
  const what = facts.sent === 'yes' ? `no further byte of the ${part}` : 'no byte of an answer'
  return new GatewayError(
    'ReadTimeout',
    `${what} from ${hostname} for ${readMs} ms; raise timeout.read if that is to be expected`,
    facts,
  )
}

function tooManyInterim(hostname: string, facts: Facts): GatewayError {
  return new GatewayError(
    'ConnectionError',
    `${hostname} sent more than ${MAX_INTERIM_ANSWERS} interim (1xx) answers and no final one`,
    facts,
  )
}

/** The same error, saying how far the request had come. Given back itself where that adds nothing. */
export function withFacts(error: GatewayError, { sent = 'no', response }: Facts): GatewayError {
  if (response === undefined && greaterSent(error.sent, sent) === error.sent) return error
  return new GatewayError(error.type, error.message, {
    sent: greaterSent(error.sent, sent),
    status: error.status,
    cause: error.cause ?? error,
    ...(response === undefined ? {} : { response }),
    ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }),
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    ...(error.privateDetail === undefined ? {} : { privateDetail: error.privateDetail }),
    ...(error.rule === null ? {} : { rule: error.rule }),
  })
}
