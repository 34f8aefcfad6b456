// Calls as OpenTelemetry spans, sent by OTLP over HTTP in JSON: a server span a call and a client span a try, made from the trail
// when the call has ended, so that the call itself pays for two ids. Attributes are those of the HTTP semantic conventions and
// our own under `sallyport.`; no query, no userinfo, no header, no body.
import {
  type Attributes,
  type Context,
  createTraceState,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type SpanOptions,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  RandomIdGenerator,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { Attempt } from '../model/envelope.ts'
import type { CallTrace, CallTracer, Clock, FinishedCall, Logger, Meter } from '../model/ports.ts'
import { VERSION } from '../model/version.ts'
import type { TraceSettings } from './trace-settings.ts'

export interface Traces extends CallTracer {
  /** Hands over what is waiting, for as long as `withinMs`. Never rejects. */
  close(withinMs: number): Promise<void>
}

export interface TracesPorts {
  readonly clock: Clock
  readonly log: Logger
  readonly meter: Pick<Meter, 'spansExported'>
  /** How callers reach the gateway. */
  readonly scheme: 'http' | 'https'
}

export function createTraces(settings: TraceSettings, ports: TracesPorts): Traces {
  const { clock, scheme } = ports
  const ids = createIds()
  const { sampler: _, ratio: __, parentBased: ___, ...batching } = settings
  const own = resourceFromAttributes({ 'service.name': 'sallyport', 'service.version': VERSION })
  const provider = new TracerProvider({
    resource: defaultResource()
      .merge(own)
      .merge(detectResources({ detectors: [envDetector] })),
    sampler: samplerOf(settings),
    idGenerator: ids,
    spanProcessors: [new BatchSpanProcessor({ exporter: watched(new OTLPTraceExporter(), ports), ...batching })],
  })
  const tracer = provider.getTracer('sallyport', VERSION)
  return {
    begin({ entrance, traceparent, tracestate }) {
      const parent = parentOf(traceparent, tracestate)
      const startedAt = { date: clock.date(), now: clock.now() }
      const path = ENTRANCE_PATHS[entrance]
      const span =
        path === undefined
          ? tracer.startSpan(`${entrance} request`, { kind: SpanKind.INTERNAL, startTime: startedAt.date }, parent)
          : tracer.startSpan(`POST ${path}`, { ...serverSpan(path, scheme), startTime: startedAt.date }, parent)
      return callTrace(span, { tracer, ids, dateOf: (now) => startedAt.date + (now - startedAt.now) })
    },
    async close(withinMs) {
      let stop = (): void => {}
      const enough = new Promise<void>((resolve) => {
        stop = clock.after(withinMs, resolve)
      })
      await Promise.race([provider.shutdown().catch(() => {}), enough])
      stop()
    },
  }
}

/** Of entrances where a caller's own request came in; any other call is the gateway's own. */
const ENTRANCE_PATHS: Readonly<Record<string, string>> = { requests: '/v1/requests', batch: '/v1/batch' }

function serverSpan(path: string, scheme: TracesPorts['scheme']): SpanOptions {
  const attributes = { 'http.request.method': 'POST', 'http.route': path, 'url.path': path, 'url.scheme': scheme }
  return { kind: SpanKind.SERVER, attributes }
}

interface Ids {
  generateTraceId(): string
  generateSpanId(): string
  /** The span made next has this id. */
  preset(spanId: string | null): void
}

/** A try's span is made when it has ended, under the id that was sent upstream when it began. */
function createIds(): Ids {
  const random = new RandomIdGenerator()
  let next: string | null = null
  return {
    generateTraceId: () => random.generateTraceId(),
    generateSpanId() {
      const id = next ?? random.generateSpanId()
      next = null
      return id
    },
    preset(spanId) {
      next = spanId
    },
  }
}

function samplerOf({ sampler, ratio, parentBased }: TraceSettings): Sampler {
  const root = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(ratio),
  }[sampler]()
  return parentBased ? new ParentBasedSampler({ root }) : root
}

/** W3C Trace Context; the header was checked where it came in. */
function parentOf(traceparent: string | null, tracestate: string | null): Context {
  if (traceparent === null) return ROOT_CONTEXT
  const [, traceId = '', spanId = '', flags = ''] = traceparent.split('-')
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED,
    isRemote: true,
    ...(tracestate === null ? {} : { traceState: createTraceState(tracestate) }),
  })
}

/** Tells metrics and log what became of the spans: a collector that is away shows nowhere else. */
function watched(exporter: SpanExporter, { log, meter }: TracesPorts): SpanExporter {
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        meter.spansExported(spans.length, result.code !== 0)
        if (result.code !== 0) log.log('warn', 'traces not exported', { count: spans.length, code: codeOf(result.error) })
        done(result)
      })
    },
    shutdown: () => exporter.shutdown(),
  }
}

/** A status or a system's code; the message may quote the collector's URL. */
function codeOf(error: unknown): string | number | null {
  const code = error instanceof Error && 'code' in error ? error.code : null
  return typeof code === 'string' || typeof code === 'number' ? code : null
}

interface Making {
  readonly tracer: Tracer
  readonly ids: Ids
  /** Monotonic ms → ms since 1970. */
  dateOf(now: number): number
}

function callTrace(span: Span, { tracer, ids, dateOf }: Making): CallTrace {
  const { traceId, traceFlags } = span.spanContext()
  const flags = traceFlags.toString(16).padStart(2, '0')
  return {
    traceId,
    newSpanId: ids.generateSpanId,
    traceparent: (spanId) => `00-${traceId}-${spanId}-${flags}`,
    end(call) {
      if (!span.isRecording()) return
      const inside = trace.setSpan(ROOT_CONTEXT, span)
      for (const [index, attempt] of call.attempts.entries()) {
        ids.preset(attempt.span)
        const tried = tracer.startSpan(
          nameOf(attempt.method),
          { kind: SpanKind.CLIENT, startTime: dateOf(attempt.begun), attributes: attemptAttributes(attempt, index) },
          inside,
        )
        ids.preset(null)
        if (isFailed(attempt)) tried.setStatus({ code: SpanStatusCode.ERROR })
        tried.end(dateOf(attempt.begun + attempt.elapsed))
      }
      tellWaits(span, call, dateOf)
      finish(span, call, dateOf(call.endedAt))
    },
  }
}

function finish(span: Span, { line, httpStatus }: FinishedCall, at: number): void {
  span.setAttributes(callAttributes(line, httpStatus))
  if (line.rule !== null) span.addEvent('refused', { 'sallyport.rule': line.rule }, at)
  if (httpStatus >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
  span.end(at)
}

/** A wait ends as its attempt begins; one in vain, as the call ends. */
function tellWaits(span: Span, { waits, attempts, endedAt }: FinishedCall, dateOf: (now: number) => number): void {
  for (const { because, ms, next } of waits) {
    const until = attempts[next]?.begun ?? endedAt
    span.addEvent('waited', { 'sallyport.because': because, 'sallyport.wait_ms': ms }, dateOf(until - ms))
  }
}

function callAttributes(line: FinishedCall['line'], httpStatus: number): Attributes {
  return {
    'http.response.status_code': httpStatus,
    'sallyport.request_id': line.requestId,
    'sallyport.entrance': line.entrance,
    'sallyport.source': line.source,
    'sallyport.fault': line.fault,
    'sallyport.sent': line.sent,
    'sallyport.attempts': line.attempts,
    ...(line.caller === null ? {} : { 'sallyport.caller': line.caller }),
    ...(line.adapter === null ? {} : { 'sallyport.adapter': line.adapter }),
    ...(line.credential === null ? {} : { 'sallyport.credential': line.credential }),
    ...(line.breaker === null ? {} : { 'sallyport.breaker': line.breaker }),
    ...(line.error === null ? {} : { 'error.type': line.error }),
  }
}

/** Those of the specification; any other method is not to widen the set of names. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY'])

const nameOf = (method: string): string => (METHODS.has(method) ? method : 'HTTP')

const isFailed = ({ error, status }: Attempt): boolean => error !== undefined || (status !== undefined && status >= 400)

/** `index`: how many tries of the call came before, whatever for. */
function attemptAttributes(attempt: Attempt, index: number): Attributes {
  const { method, url, origin, address, status, error } = attempt
  const { hostname, port, protocol } = new URL(origin)
  return {
    ...(METHODS.has(method)
      ? { 'http.request.method': method }
      : { 'http.request.method': '_OTHER', 'http.request.method_original': method }),
    'url.full': url,
    'server.address': hostname.replace(/^\[|\]$/g, ''),
    'server.port': Number(port) || (protocol === 'https:' ? 443 : 80),
    'sallyport.adapter': attempt.adapter,
    'sallyport.sent': attempt.sent,
    'sallyport.connection_reused': attempt.reused,
    ...(address === null ? {} : { 'network.peer.address': address }),
    ...(status === undefined ? {} : { 'http.response.status_code': status }),
    ...(index === 0 ? {} : { 'http.request.resend_count': index }),
    ...(isFailed(attempt) ? { 'error.type': error ?? String(status) } : {}),
    ...(attempt.connect === null ? {} : { 'sallyport.connect_ms': attempt.connect }),
    ...(attempt.firstByte === null ? {} : { 'sallyport.first_byte_ms': attempt.firstByte }),
  }
}
