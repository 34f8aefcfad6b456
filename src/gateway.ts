// One call, whole: parse, prepare, dispatch, envelope, record. The only place where an error becomes a value, and the only
// catch-all of the house.
import { parseDescriptor } from './descriptor/parse-descriptor.ts'
import { type BuiltEnvelope, buildEnvelope, type Outcome } from './envelope/build-envelope.ts'
import { buildFailure } from './envelope/failure-view.ts'
import { buildPlanView } from './envelope/plan-view.ts'
import { type ReadBody, readBody, readLargeBody } from './envelope/read-body.ts'
import { recordBody } from './envelope/recorded-body.ts'
import { GatewayError } from './errors/gateway-error.ts'
import type { CallContext } from './model/call-context.ts'
import type { Descriptor } from './model/descriptor.ts'
import type { Dispatch } from './model/dispatch.ts'
import type { Answer, Entrance, Gateway, IncomingCall } from './model/gateway-port.ts'
import { getHeader } from './model/header-list.ts'
import type { HopRequest } from './model/hop.ts'
import { maskedView } from './model/outgoing-view.ts'
import type {
  AuditLog,
  AuditResult,
  CallLine,
  CallLog,
  CallTrace,
  CallTracer,
  Clock,
  CookieJar,
  Logger,
  Meter,
  QuotaRefusal,
  Quotas,
  Routes,
  Sessions,
} from './model/ports.ts'
import { createTrail, type Trail } from './model/trail.ts'
import { headerValue, type UpstreamResponse } from './model/upstream-response.ts'
import { unlessCancelled } from './model/wait.ts'
import { faultOf } from './policy/classify.ts'
import { callTimeoutMs, planHop } from './policy/plan-hop.ts'
import { composeHop } from './prepare/compose-hop.ts'
import { prepareCall, withAdapterParams } from './prepare/prepare-call.ts'

export interface GatewayPorts {
  readonly clock: Clock
  /** The mounts as they are now; a call keeps those it began with. */
  readonly routes: (entrance: Entrance) => Routes
  /** The call stack above the adapters. */
  readonly dispatch: Dispatch
  /** The same judgement and credentials, without a transport. */
  readonly rehearse: Dispatch
  readonly sessions: Sessions
  readonly quotas: Quotas
  readonly audit: AuditLog
  readonly meter: Meter
  readonly log: Logger & CallLog
  /** null or absent: calls are not traced. */
  readonly tracer?: CallTracer | null
  /** Lets the event loop go round once. */
  readonly nextTurn: () => Promise<void>
  /** Random text for a multipart boundary. */
  readonly makeBoundary: () => string
  readonly isGlobalUnicast: (address: string) => boolean
}

/** A call as far as it has come; filled step by step, so that a failure at any of them can still be told whole. */
interface Course {
  readonly incoming: IncomingCall
  readonly startedAt: number
  readonly trail: Trail
  readonly trace: CallTrace | null
  descriptor: Descriptor | null
  request: HopRequest | null
  context: CallContext | null
  /** Number of the intent's record. */
  intent: number | null
  totalMs: number | null
  stopTotalClock: () => void
}

interface Opened {
  readonly request: HopRequest
  readonly context: CallContext
  readonly descriptor: Descriptor
}

/** RFC 9110 §9.2.2: repeating such a call is safe even if its first try arrived. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** From here on, reading a body takes so long that others should have their turn between. */
const LARGE_BODY = 512 * 1024

const NOTHING_TO_STOP = (): void => {}

export function createGateway(ports: GatewayPorts): Gateway {
  const { clock, sessions, quotas, audit, meter, log } = ports

  const begin = (incoming: IncomingCall, tracer: CallTracer | null): Course => ({
    incoming,
    trace: tracer?.begin({ tracestate: null, ...incoming }) ?? null,
    startedAt: clock.now(),
    trail: createTrail(),
    descriptor: null,
    request: null,
    context: null,
    intent: null,
    totalMs: null,
    stopTotalClock: NOTHING_TO_STOP,
  })

  /**
   * Descriptor → first hop and context. Throws what is wrong with either; a URL that no adapter takes is returned, since to throw
   * is dear and such calls may be many. Waits only for a session.
   */
  function open(course: Course): Opened | GatewayError | Promise<Opened> {
    const { incoming, trail } = course
    const descriptor = parseDescriptor(incoming.body)
    course.descriptor = descriptor
    warnAll(trail, descriptor.warnings)
    const { outbound: plain, userinfo, warnings } = prepareCall(descriptor, ports.makeBoundary)
    warnAll(trail, warnings)
    trail.url = plain.url.href
    const routes = ports.routes(incoming.entrance)
    const found = routes.find(plain.url)
    if (!found) return unmounted(plain.url.origin)
    const { adapter, because } = found
    trail.adapter = adapter.name
    armTotalClock(course, callTimeoutMs(descriptor, adapter, routes.ceilings, incoming.timeLeftMs))
    const outbound = withAdapterParams(descriptor, plain, adapter)
    trail.url = outbound.url.href
    const planned = planHop({ adapter, because, descriptor, routes, method: outbound.method, userinfo, originChanged: false })
    warnAll(trail, planned.warnings)
    const { requestId, traceparent, tracestate = null, caller, cancellation } = incoming
    const { trace } = course
    const compose = (jar: CookieJar): Opened => {
      const request = composeHop(outbound, planned.plan, { cookie: jar.header(outbound.url), requestId, traceparent, tracestate })
      const deadline = course.startedAt + (course.totalMs ?? 0)
      // biome-ignore format: one object, and no copy of another
      const context: CallContext = { requestId, traceparent, tracestate, trace, caller, descriptor, cancellation, deadline, routes, jar, trail }
      course.request = request
      course.context = context
      return { request, context, descriptor }
    }
    const { session } = descriptor
    if (session === undefined) return compose(sessions.transient())
    if (!adapter.sessions)
      throw new GatewayError('Forbidden', `adapter "${adapter.name}" keeps no sessions; leave \`session\` out`, {
        rule: 'sessions',
      })
    return unlessCancelled(sessions.open(caller.name, session), cancellation).then((jar) => {
      if (jar.lost) trail.warn(`what was stored of session "${session}" could not be read; it began anew, without cookies`)
      return compose(jar)
    })
  }

  /** One clock over everything from here on; whoever waits hears it through the cancellation. */
  function armTotalClock(course: Course, { totalMs, key, warnings }: ReturnType<typeof callTimeoutMs>): void {
    warnAll(course.trail, warnings)
    course.totalMs = totalMs
    // What reading the descriptor took is gone already.
    const leftMs = course.startedAt + totalMs - clock.now()
    if (leftMs <= 0)
      throw new GatewayError('Timeout', `${key} of ${totalMs} ms had run out before the call could begin`, { sent: 'no' })
    course.stopTotalClock = clock.after(leftMs, () => {
      const tries = course.trail.attempts.length
      const where = tries === 0 ? 'before the first try began' : `during try ${tries}`
      course.incoming.cancellation.cancel(
        new GatewayError('Timeout', `${key} of ${totalMs} ms ran out ${where}; see attempts and timings for where it went`, {
          sent: course.trail.sent(),
        }),
      )
    })
  }

  /** Before anything is done for the call. Throws RateLimited, or says what would, of a caller that is observed only. */
  async function enter({ incoming, trail }: Course): Promise<void> {
    const { caller } = incoming
    const entered = quotas.enter(caller)
    const refusal = entered instanceof Promise ? await entered : entered
    if (refusal === null) return
    if (!caller.observe) throw overQuota(refusal)
    trail.observe('quota', refusal.because)
  }

  function intend({ request, context, descriptor }: Opened): Promise<number | null> {
    return audit.intent({
      id: context.requestId,
      caller: context.caller.name,
      method: request.method,
      url: context.trail.url,
      adapter: context.trail.adapter,
      credential: request.plan.credential.kind === 'stored' ? request.plan.credential.name : null,
      tags: descriptor.tags,
    })
  }

  /** A promise only where reading takes long. */
  function read(response: UpstreamResponse, { descriptor, context }: Opened): ReadBody | Promise<ReadBody> {
    const wishes = { decode: descriptor.decode, encoding: descriptor.encoding, url: context.trail.url }
    return response.body.length >= LARGE_BODY ? readLargeBody(response, wishes, ports.nextTurn) : readBody(response, wishes)
  }

  /** What a session's cookies became, even where the call failed. */
  async function saveSession({ context, descriptor, incoming, trail }: Course): Promise<void> {
    if (context === null || descriptor?.session === undefined) return
    if (!context.jar.changed) return meter.sessionUsed('unchanged')
    try {
      await sessions.save(incoming.caller.name, descriptor.session, context.jar)
      meter.sessionUsed('saved')
    } catch {
      meter.sessionUsed('lost')
      trail.warn(`the cookies of session "${descriptor.session}" could not be saved; the next call will not send them`)
    }
  }

  function tell(course: Course, outcome: Outcome, totalMs: number): BuiltEnvelope {
    const { incoming, trail, descriptor, request } = course
    if (trail.outgoing === null && request !== null) trail.outgoing = maskedView(request)
    return buildEnvelope(outcome, {
      requestId: incoming.requestId,
      trail,
      admin: incoming.caller.admin,
      repeatable: isRepeatable(descriptor),
      inspect: descriptor?.inspect ?? false,
      totalMs,
      isGlobalUnicast: ports.isGlobalUnicast,
      keepsResponse: descriptor?.idempotencyKey !== undefined,
    })
  }

  /** An outcome that cannot be told, such as a text longer than a string can be, is recorded and answered all the same. */
  function tellOrFail(course: Course, outcome: Outcome, totalMs: number): BuiltEnvelope {
    try {
      return tell(course, outcome, totalMs)
    } catch (thrown) {
      return tell(course, { error: asGatewayError(thrown, course.incoming) }, totalMs)
    }
  }

  function record(course: Course, outcome: Outcome, envelope: BuiltEnvelope, durationMs: number): Promise<void> {
    const { incoming, trail, request } = course
    const bytesIn = outcome.response?.body.length ?? 0
    const { upstreamStatus: status, errorType: error, sent, source } = envelope
    const { adapter, url, credential, bytesOut, replayed } = trail
    const observed = trail.observed.length === 0 ? null : trail.observed
    for (const each of trail.observed) meter.refusalObserved(each)
    const { entrance, requestId: id, caller } = incoming
    const fault = faultOf({ status, error, source })
    const rule = outcome.error?.rule ?? null
    const traceId = course.trace?.traceId ?? traceIdOf(incoming)
    for (const wait of trail.waits) meter.waited(adapterOfWait(wait, trail), wait.because, wait.ms / 1000)
    const seconds = durationMs / 1000
    const ownSeconds = replayed ? null : ownMs(durationMs, trail) / 1000
    // biome-ignore format: one object, and no copy of another
    meter.callEnded({ entrance, adapter, caller: caller.name, status, error, fault, rule, traceId, bytesOut, bytesIn, replayed, seconds, ownSeconds })
    const line: CallLine = {
      requestId: id,
      traceId,
      caller: caller.name,
      entrance,
      adapter,
      method: request?.method ?? course.descriptor?.method ?? null,
      url,
      status,
      error,
      source,
      fault,
      rule,
      sent,
      attempts: trail.attempts.length,
      durationMs,
      queuedMs: trail.queuedMs,
      breaker: trail.breaker,
      credential,
      bytesOut,
      bytesIn,
      observed,
    }
    log.callLine(line)
    const { attempts, waits } = trail
    course.trace?.end({ line, httpStatus: envelope.status, attempts, waits, endedAt: course.startedAt + durationMs })
    return audit.result({
      id,
      intent: course.intent,
      caller: caller.name,
      url,
      adapter,
      status,
      error,
      sent,
      credential,
      attempts: trail.attempts,
      durationMs,
      bytesOut,
      bytesIn,
      observed,
      bodies: bodiesOf(trail, outcome),
    })
  }

  // One function for the whole way: each async function costs every call a promise, and keeps more of it alive while it waits.
  async function call(incoming: IncomingCall): Promise<Answer> {
    const course = begin(incoming, ports.tracer ?? null)
    const { caller } = incoming
    let outcome: Outcome
    let isWithinQuota = false
    try {
      if (caller.quota !== undefined) {
        await enter(course)
        isWithinQuota = true
      }
      const found = open(course)
      const opened = found instanceof Promise ? await found : found
      if (opened instanceof GatewayError) outcome = { error: opened }
      else {
        course.intent = await intend(opened)
        incoming.cancellation.throwIfCancelled()
        const response = await ports.dispatch(opened.request, opened.context)
        const reading = read(response, opened)
        const { body, error } = reading instanceof Promise ? await reading : reading
        outcome = { response, body, error }
      }
    } catch (thrown) {
      outcome = { error: asGatewayError(thrown, incoming) }
    }
    course.stopTotalClock()
    if (isWithinQuota) quotas.leave(caller)
    if (course.descriptor?.session !== undefined) await saveSession(course)
    const totalMs = clock.now() - course.startedAt
    const envelope = tellOrFail(course, outcome, totalMs)
    try {
      await record(course, outcome, envelope, totalMs)
      return envelope
    } catch (thrown) {
      // What cannot be recorded is not acknowledged; `sent` still says how far it went.
      return tell(course, { error: asGatewayError(thrown, incoming) }, totalMs)
    }
  }

  async function prepare(incoming: IncomingCall): Promise<Answer> {
    const course = begin(incoming, null)
    let error: GatewayError | null = null
    try {
      const opened = await open(course)
      if (opened instanceof GatewayError) throw opened
      const { request, context } = opened
      const refusal = quotas.peek(incoming.caller)
      if (refusal !== null && !incoming.caller.observe) throw overQuota(refusal)
      if (refusal !== null) course.trail.observe('quota', refusal.because)
      await ports.rehearse(request, context)
    } catch (thrown) {
      error = asGatewayError(thrown, incoming)
    } finally {
      course.stopTotalClock()
    }
    const { trail, request, descriptor } = course
    const { entrance, requestId, caller } = incoming
    const answer = buildPlanView({
      request: trail.outgoing ?? (request === null ? null : maskedView(request)),
      plan: request?.plan ?? null,
      totalMs: course.totalMs,
      error,
      warnings: trail.warnings,
      repeatable: isRepeatable(descriptor),
      admin: caller.admin,
    })
    if (error)
      refusalLine(error, {
        ...{ entrance, requestId, traceId: traceIdOf(incoming) },
        ...{ caller: caller.name, adapter: trail.adapter, url: trail.url },
      })
    return answer
  }

  function refuse(error: GatewayError, facts: Parameters<Gateway['refuse']>[1]): Answer {
    refusalLine(error, { ...facts, adapter: null, url: null })
    const { requestId, entrance } = facts
    if (entrance === 'admin') return buildFailure(error, requestId)
    const nobody = { admin: false, repeatable: false }
    if (entrance === 'prepare') return buildPlanView({ request: null, plan: null, totalMs: null, error, warnings: [], ...nobody })
    return buildEnvelope(
      { error },
      {
        requestId,
        trail: createTrail(),
        ...nobody,
        inspect: false,
        totalMs: 0,
        isGlobalUnicast: ports.isGlobalUnicast,
        keepsResponse: true,
      },
    )
  }

  function refusalLine(
    error: GatewayError,
    facts: Pick<CallLine, 'requestId' | 'caller' | 'adapter' | 'url'> & { entrance: Entrance; traceId?: string | null },
  ): void {
    const { entrance, adapter, caller, traceId = null } = facts
    const { type, rule } = error
    const fault = faultOf({ status: null, error: type, source: 'gateway' })
    const nothing = { status: null, bytesOut: 0, bytesIn: 0 }
    const noTime = { seconds: null, ownSeconds: null, replayed: false }
    meter.callEnded({ entrance, adapter, caller, error: type, fault, rule, traceId, ...nothing, ...noTime })
    log.callLine({
      ...facts,
      ...nothing,
      traceId,
      method: null,
      error: type,
      source: 'gateway',
      fault,
      rule,
      sent: 'no',
      attempts: 0,
      durationMs: 0,
      queuedMs: 0,
      breaker: null,
      credential: null,
    })
  }

  /** Anything that is not a GatewayError is a bug of ours: told as such, with no detail to the caller. */
  function asGatewayError(thrown: unknown, { requestId }: IncomingCall): GatewayError {
    if (thrown instanceof GatewayError) return thrown
    const { name, frames } = whereFrom(thrown)
    log.log('error', 'internal error', { requestId, name, where: frames })
    return new GatewayError('InternalError', 'the gateway failed; report it with the requestId', { cause: thrown })
  }

  return { call, prepare, refuse }
}

/** W3C Trace Context §3.2.2: version, trace id, parent id, flags. */
function traceIdOf({ traceparent }: IncomingCall): string | null {
  return traceparent === null ? null : traceparent.slice(3, 35)
}

/** Of the attempt that was waited for; in vain: of the last one there was. */
function adapterOfWait({ next }: Trail['waits'][number], { attempts, adapter }: Trail): string | null {
  return (attempts[next] ?? attempts.at(-1))?.adapter ?? adapter
}

/** What was neither a try nor a wait. */
function ownMs(totalMs: number, { attempts, queuedMs }: Trail): number {
  let own = totalMs - queuedMs
  for (const { elapsed } of attempts) own -= elapsed
  return Math.max(0, own)
}

/** As sent, masked, and as answered on the last hop; none where its adapter records none. */
function bodiesOf({ bodyRules, outgoing, holdsSecret }: Trail, { response }: Outcome): AuditResult['bodies'] {
  if (bodyRules === null) return undefined
  const { request: wantsRequest, response: wantsResponse } = bodyRules.bodies
  if (!wantsRequest && !wantsResponse) return undefined
  const sent = { bytes: outgoing?.body ?? null, contentType: outgoing ? getHeader(outgoing.headers, 'content-type') : undefined }
  const got = response
    ? { bytes: response.body, contentType: headerValue(response.rawHeaders, 'content-type') }
    : { bytes: null, contentType: undefined }
  return {
    ...(wantsRequest ? { request: recordBody({ ...sent, holdsSecret }, bodyRules) } : {}),
    ...(wantsResponse ? { response: recordBody({ ...got, holdsSecret }, bodyRules) } : {}),
  }
}

function warnAll(trail: Trail, warnings: readonly string[]): void {
  for (const warning of warnings) trail.warn(warning)
}

function isRepeatable(descriptor: Descriptor | null): boolean {
  return descriptor !== null && (descriptor.idempotencyKey !== undefined || IDEMPOTENT.has(descriptor.method))
}

function overQuota({ because, retryAfterMs }: QuotaRefusal): GatewayError {
  return new GatewayError('RateLimited', because, { retryAfter: retryAfterMs, rule: 'quota' })
}

function unmounted(origin: string): GatewayError {
  return new GatewayError('EgressDenied', `no adapter is mounted on ${origin}; mount one on this prefix, or correct the URL`)
}

/** The kind of a foreign error and where it was thrown; never its message, which may quote anything. */
function whereFrom(thrown: unknown): { name: string; frames: string } {
  if (!(thrown instanceof Error)) return { name: typeof thrown, frames: '' }
  const { stack = '', message } = thrown
  // Cut off by its length: a line of the message may look like a frame.
  const frames = stack
    .slice(stack.indexOf(message) + message.length)
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
  return { name: thrown.name, frames: frames.slice(0, 6).join('') }
}
