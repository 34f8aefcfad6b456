// Complete, plain values for unit tests; a test names only what it is about.
import type { AdapterPolicy, Ceilings } from '../../src/model/adapter-policy.ts'
import type { CallContext } from '../../src/model/call-context.ts'
import { createCancellation } from '../../src/model/cancellation.ts'
import type { Descriptor } from '../../src/model/descriptor.ts'
import type { HopPlan, HopRequest, Outbound } from '../../src/model/hop.ts'
import type { CookieJar, Meter, Routes } from '../../src/model/ports.ts'
import type { PreparedUrl } from '../../src/model/prepared-request.ts'
import { createTrail } from '../../src/model/trail.ts'
import type { UpstreamResponse } from '../../src/model/upstream-response.ts'

export const CEILINGS: Ceilings = {
  timeout: { connectMs: 120_000, readMs: 120_000, totalMs: 120_000 },
  maxRetries: 5,
  responseSize: 64 * 1024 * 1024,
}

export function anAdapter(over: Partial<AdapterPolicy> = {}): AdapterPolicy {
  return {
    name: 'example',
    mount: 'https://api.example.com/',
    methods: null,
    paths: null,
    credentials: null,
    placement: null,
    headers: [],
    params: [],
    cookies: [],
    timeout: { connectMs: 2000, readMs: 10_000, totalMs: 30_000 },
    retry: {
      total: 2,
      connect: null,
      read: null,
      status: null,
      statusForcelist: [429, 502, 503, 504],
      allowedMethods: ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'],
      backoffFactorMs: 200,
      backoffMaxMs: 10_000,
      respectRetryAfterHeader: true,
      retryAfterMaxMs: 30_000,
      raiseOnStatus: false,
      budget: 0.2,
    },
    breaker: {
      errorRate: 0.5,
      volume: 20,
      windowMs: 10_000,
      openForMs: 30_000,
      probes: 1,
      statuses: [500, 502, 503, 504],
      slowMs: null,
      rampMs: 0,
    },
    limits: { concurrency: 100, queue: 200, rate: null, rateBy: 'origin', whenSpent: 'queue', mode: 'enforce', cooldown: true },
    pool: { connections: 100, idleMs: 60_000, http2: false },
    tls: { verify: true, ca: null, cert: null, allowInsecure: false, allowInsecureSecrets: false },
    proxy: null,
    egress: { allow: [], allowMetadata: [], ports: null, mixedAnswers: 'refuse' },
    redirects: { follow: 'follow', drop: [] },
    responseSize: 10 * 1024 * 1024,
    allowHostHeader: false,
    allowPlaintextSecrets: false,
    propagate: [],
    timeoutHeader: null,
    idempotencyHeader: 'Idempotency-Key',
    idempotency: 'shared',
    idempotencyTtlMs: 86_400_000,
    sessions: true,
    tunnel: false,
    audit: {
      bodies: { request: false, response: false },
      bodyBytes: 16_384,
      contentTypes: ['application/json', 'application/*+json'],
      redact: [],
    },
    ...over,
  }
}

export function aDescriptor(over: Partial<Descriptor> = {}): Descriptor {
  return {
    method: 'GET',
    url: 'https://api.example.com/',
    headers: [],
    cookies: [],
    timeout: {},
    maxRedirects: 30,
    decode: 'auto',
    inspect: false,
    tags: {},
    warnings: [],
    ...over,
  }
}

/** For URLs that need no quoting; prepare/url.ts is what makes real ones. */
export function aUrl(href: string): PreparedUrl {
  const url = new URL(href)
  const scheme = url.protocol === 'http:' ? 'http' : 'https'
  return {
    href,
    scheme,
    hostname: url.hostname,
    port: url.port ? Number(url.port) : scheme === 'http' ? 80 : 443,
    origin: url.origin,
    target: url.pathname + url.search,
    path: url.pathname,
    fragment: url.hash.slice(1),
  }
}

export function aPlan(over: Partial<HopPlan> = {}): HopPlan {
  const adapter = over.adapter ?? anAdapter()
  return {
    adapter,
    because: 'test',
    connectMs: adapter.timeout.connectMs,
    readMs: adapter.timeout.readMs,
    retry: adapter.retry,
    repeatable: true,
    maxResponseBytes: adapter.responseSize,
    tls: { verify: adapter.tls.verify, ca: adapter.tls.ca, cert: adapter.tls.cert },
    credential: { kind: 'none' },
    ...over,
  }
}

export function anOutbound(over: Partial<Outbound> = {}): Outbound {
  return {
    hop: 0,
    method: 'GET',
    url: aUrl('https://api.example.com/'),
    headers: [],
    body: null,
    contentType: null,
    cookies: [],
    idempotencyKey: null,
    ...over,
  }
}

/** Its outbound agrees with it unless a test gives another. */
export function aRequest(over: Partial<HopRequest> = {}): HopRequest {
  const { method = 'GET', url = aUrl('https://api.example.com/'), headers = [], body = null, hop = 0 } = over
  const outbound = over.outbound ?? anOutbound({ hop, method, url, headers, body })
  return { method, url, headers, body, hop, plan: aPlan(), ...over, outbound }
}

export function aResponse(over: Partial<UpstreamResponse> = {}): UpstreamResponse {
  return { status: 200, reason: 'OK', rawHeaders: [], body: Buffer.alloc(0), elapsed: 1, ...over }
}

export function aJar(): CookieJar {
  return { header: () => null, store: () => [], changed: false }
}

export function aContext(over: Partial<CallContext> = {}): CallContext {
  const adapter = anAdapter()
  const routes: Routes = { ceilings: CEILINGS, caBundles: new Set(), find: () => ({ adapter, because: 'test' }) }
  return {
    requestId: 'r-1',
    traceparent: null,
    caller: { name: 'local', admin: true, may: null },
    descriptor: aDescriptor(),
    cancellation: createCancellation(),
    deadline: 30_000,
    routes,
    jar: aJar(),
    trail: createTrail(),
    ...over,
  }
}

/** Writes every deed down by name. */
export function aMeter(): Meter & { readonly deeds: [string, ...unknown[]][] } {
  const deeds: [string, ...unknown[]][] = []
  const note =
    (name: string) =>
    (...facts: unknown[]): void => {
      deeds.push([name, ...facts])
    }
  return {
    deeds,
    callEnded: note('callEnded'),
    attemptEnded: note('attemptEnded'),
    retried: note('retried'),
    retryRefused: note('retryRefused'),
    breakerMoved: note('breakerMoved'),
    resolved: note('resolved'),
    insecure: note('insecure'),
    waited: note('waited'),
    refusalObserved: note('refusalObserved'),
    connected: note('connected'),
    tlsShaken: note('tlsShaken'),
    tlsFailed: note('tlsFailed'),
    sessionUsed: note('sessionUsed'),
    spansExported: note('spansExported'),
    storeHealthy: note('storeHealthy'),
    storeAnswered: note('storeAnswered'),
    auditFailed: note('auditFailed'),
    auditShipped: note('auditShipped'),
    acted: note('acted'),
    tokenRenewed: note('tokenRenewed'),
    cooledDown: note('cooledDown'),
  }
}
