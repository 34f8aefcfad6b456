// One request and its answer on one connection: sends, reads the head under its limits, and the body as it comes off the
// wire. Dialling, decoding and the ledger are elsewhere.
import type { Dispatcher } from 'undici'
import { GatewayError, type GatewayErrorOptions, type PartialResponse, type Sent } from '../errors/gateway-error.ts'
import type { CallContext } from '../model/call-context.ts'
import type { Cancellation } from '../model/cancellation.ts'
import type { HeaderList } from '../model/header-list.ts'
import type { HopRequest } from '../model/hop.ts'
import type { Clock } from '../model/ports.ts'
import { greaterSent, type Trail } from '../model/trail.ts'
import type { Connection } from './connection.ts'
import { type Coding, codingsOf, encodedLimit, tooLarge } from './decode-body.ts'
import { type GatheredBody, gatherBody } from './gather-body.ts'
import { isOwnFault, mapError } from './map-error.ts'
import { bareHostname } from './ports.ts'
import { createReadClock } from './read-clock.ts'
import { hasNoBody, headFault, readHead } from './response-head.ts'

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

/** null: the connection proved dead before the request was begun on it. Rejects with GatewayError. */
export type Exchange = (
  request: HopRequest,
  call: Pick<CallContext, 'cancellation' | 'trail'>,
  progress: Progress,
) => Promise<WireAnswer | null>

const MAX_INTERIM_ANSWERS = 20
const GIVEN_UP = new Error('the call has ended')

/** HTTP/1.1 has one exchange at a time, and makes what it takes once a connection; one that fails is the connection's last. */
export function createExchange(connection: Connection, clock: Clock): Exchange {
  if (!connection.http2) return prepareExchange(connection, clock)
  return (request, call, progress) => prepareExchange(connection, clock)(request, call, progress)
}

/** One exchange under way. */
interface Course {
  readonly request: HopRequest
  readonly trail: Trail
  readonly progress: Progress
  readonly resolve: (answer: WireAnswer | null) => void
  readonly reject: (error: GatewayError) => void
  readonly cancellation: Cancellation
  controller: Dispatcher.DispatchController | null
  isUnsent: boolean
  begunAt: number
  bytesBefore: number
  readBefore: number
  interim: number
  elapsed: number
  codings: readonly Coding[]
  /** null until the head is read. */
  body: GatheredBody | null
}

function prepareExchange(connection: Connection, clock: Clock): Exchange {
  const { client, socket, http2 } = connection
  /** null: there is none, and whatever undici still has to say is of one that has ended. */
  let current: Course | null = null

  const end = (course: Course): void => {
    current = null
    connection.awaiting = false
    connection.inHead = false
    readClock.stop()
    course.cancellation.forget(onCancel)
  }
  /** Ends the exchange and its connection (on HTTP/2 its stream). */
  const fail = (course: Course, error: GatewayError): void => {
    if (course !== current) return
    end(course)
    readClock.close()
    course.body?.discard()
    course.reject(error)
    if (course.controller !== null) course.controller.abort(GIVEN_UP)
    else if (!http2) connection.destroy()
  }
  const lastHeard = (): number => (http2 ? clock.now() : connection.heardAt)
  const hear = ({ progress, begunAt }: Course): void => {
    if (progress.sent === 'yes') return
    progress.sent = 'yes'
    progress.firstByte = lastHeard() - begunAt
  }
  const factsOf = (course: Course): Facts => {
    const { controller, bytesBefore, progress } = course
    if (controller !== null && connection.heardBytes > bytesBefore) hear(course)
    return progress.head === null ? { sent: progress.sent } : { sent: progress.sent, response: progress.head }
  }
  const onCancel = (why: GatewayError): void => {
    if (current?.cancellation.reason === why) fail(current, withFacts(why, factsOf(current)))
  }
  const exceed = (course: Course): void => {
    const { url, plan } = course.request
    fail(course, withFacts(tooLarge({ hostname: url.hostname, maxBytes: plan.maxResponseBytes }), factsOf(course)))
  }
  const onSilence = (): void => {
    if (current === null) return
    const { request, readBefore } = current
    if (http2 && socket.bytesRead === readBefore) connection.suspect = true
    fail(current, readTimeout(request.url.hostname, request.plan.readMs, factsOf(current)))
  }
  const readClock = createReadClock({ connection, clock, onSilence })

  const takeHead = (course: Course, status: number, reason: string, given: Parameters<typeof readHead>[0]): void => {
    const { method, url, plan } = course.request
    const head = readHead(given)
    const { rawHeaders, contentEncoding, contentLength } = head
    if (status >= 100) course.progress.head = { status, reason, rawHeaders } // a smaller number is no status that could be shown
    const fault = headFault(status, head, url.hostname)
    if (fault !== null) {
      fail(course, new GatewayError(fault.type, fault.message, factsOf(course)))
      return
    }
    course.codings = codingsOf(contentEncoding)
    const maxBytes = course.codings.length > 0 ? encodedLimit(plan.maxResponseBytes) : plan.maxResponseBytes
    if (course.codings.length === 0 && contentLength > maxBytes && !hasNoBody(method, status)) exceed(course)
    else course.body = gatherBody(maxBytes, Math.min(contentLength, maxBytes))
  }

  const handler: Dispatcher.DispatchHandler = {
    onRequestStart(started) {
      if (current === null) return started.abort(GIVEN_UP)
      current.controller = started
      connection.awaiting = true
      connection.inHead = true
      current.bytesBefore = connection.heardBytes
      if (http2) current.readBefore = socket.bytesRead
      current.begunAt = clock.now()
      current.progress.sent = 'maybe'
    },
    onRequestSent() {
      if (current === null) return
      // The first write failed on the spot: the reset was with the kernel already, and not a byte left.
      current.isUnsent = socket.errored !== null
      if (current.isUnsent) current.progress.sent = 'no'
      else {
        current.trail.bytesOut += current.request.body?.byteLength ?? 0
        readClock.start()
      }
    },
    onResponseStarted() {
      connection.awaiting = false
      readClock.heard()
      if (current !== null) hear(current)
    },
    onResponseStart(started, status, _parsed, reason) {
      if (current === null) return
      readClock.heard()
      hear(current)
      if (status >= 100 && status < 200) {
        connection.awaiting = true
        if (++current.interim > MAX_INTERIM_ANSWERS) fail(current, tooManyInterim(current.request.url.hostname, factsOf(current)))
        return
      }
      connection.inHead = false
      current.elapsed = lastHeard() - current.begunAt
      takeHead(current, status, reason ?? '', started.rawHeaders)
    },
    onResponseData(_controller, chunk) {
      if (current === null || current.body === null) return
      readClock.heard()
      if (!current.body.add(chunk)) exceed(current)
      else if (current.body.isCopied()) connection.spent = chunk
    },
    onResponseEnd() {
      const course = current
      if (course === null || course.body === null || course.progress.head === null) return
      // undici takes a reset for the end of a body that has no length.
      if (connection.failure !== null)
        return fail(course, mapError(connection.failure, { stage: 'body', ...course.request.url }, factsOf(course)))
      end(course)
      const { codings, body, elapsed } = course
      course.resolve({ head: course.progress.head, codings, body: body.whole(), elapsed })
    },
    onResponseError(_controller, error) {
      const course = current
      if (course === null) return
      end(course)
      course.body?.discard()
      const { controller, isUnsent, progress, request } = course
      const isReused = connection.served > 0
      if ((controller === null || isUnsent) && isReused && !isOwnFault(error)) return course.resolve(null)
      const known = factsOf(course)
      const stage = progress.head === null ? 'head' : 'body'
      const staleConnection = isReused && known.sent === 'maybe' && hasDied(connection)
      course.reject(mapError(connection.failure ?? error, { stage, ...request.url }, { ...known, staleConnection }))
    },
  }

  return (request, { cancellation, trail }, progress) => {
    if (cancellation.reason !== null) return Promise.reject(cancellation.reason)
    return new Promise((resolve, reject) => {
      // biome-ignore format: one line
      const course: Course = { request, trail, progress, resolve, reject, cancellation, controller: null, isUnsent: false, begunAt: 0, bytesBefore: 0, readBefore: 0, interim: 0, elapsed: 0, codings: [], body: null }
      current = course
      cancellation.listen(onCancel)
      readClock.expect(request.plan.readMs, request.body?.byteLength ?? 0)
      client.dispatch(dispatchOptions(request), handler)
    })
  }
}
/** With HTTP/1.1 the connection ends with the exchange that failed; on HTTP/2 it may have been this stream alone. */
function hasDied({ http2, socket }: Connection): boolean {
  return !http2 || socket.destroyed
}

/** undici's, and one that its types leave out. */
interface SentOptions extends Dispatcher.DispatchOptions {
  readonly servername: string | null
}

function dispatchOptions(request: HopRequest): SentOptions {
  const { method, url, body } = request
  const headers = flat(request.headers)
  // undici drops a connection whose servername is not that of the request, and would take the latter from a Host header.
  const servername = url.scheme === 'https' ? bareHostname(url.hostname) : null
  // Nothing stands behind it in the connection's queue.
  return { method, path: url.target, headers, body, servername, blocking: false }
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
