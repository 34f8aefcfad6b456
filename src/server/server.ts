// The HTTP face: names and judges every request, hands it to its entrance, and stops without dropping what is under way. The
// hot entrance POST /v1/requests stands ahead of express' router, and where it is plain ahead of node:http (fast-lane.ts).
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { setImmediate as immediate, setTimeout as sleep } from 'node:timers/promises'
import type { Callers } from '../callers/callers.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import type { Administration } from '../model/administration.ts'
import type { Entrance, Gateway } from '../model/gateway-port.ts'
import { createBatchServe } from './batch-route.ts'
import { type CallRoutes, createCallRoutes } from './call-route.ts'
import { type Connections, watchConnections } from './connections.ts'
import { judgeHead, judgeLocal, malformed } from './door.ts'
import type { Exchange } from './exchange.ts'
import { createFastLane } from './fast-lane.ts'
import { createHttpExchange, type HttpExchange, type WireClocks } from './http-exchange.ts'
import { createInFlight, type InFlight } from './in-flight.ts'
import {
  type Bound,
  clocksOf,
  createListener,
  isLoopbackHost,
  type ListenerTls,
  type ServerClocks,
  type TlsMaterial,
} from './listener.ts'
import { createLoadGuard, type LoadGuardOptions } from './load-guard.ts'
import { createPages, type Pages } from './pages.ts'
import { type Readiness, serveOperations } from './probes.ts'
import { hungUp } from './read-body.ts'
import { createRequestIds } from './request-id.ts'

export interface ServerOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Bytes of a JSON body. Default 10 MiB. */
  readonly descriptorLimit?: number
  /** Connections of callers at once; further ones are dropped. Default: no limit. */
  readonly maxConnections?: number
  /** metrics.public (default false) and metrics.listen (default none). */
  readonly metrics?: { readonly public?: boolean; readonly listen?: { readonly host: string; readonly port: number } | null }
  readonly clocks?: ServerClocks
  /** Default, or null: plain HTTP. */
  readonly tls?: ListenerTls | null
  /** Default: no bound. */
  readonly load?: LoadGuardOptions
}

export interface ServerPorts {
  readonly gateway: Gateway
  /** The callers as they are configured now. */
  readonly callers: () => Callers
  readonly readiness: () => Readiness
  /** The OpenAPI document; asked for once. */
  readonly openapi: () => object
  readonly administration: Administration
  readonly scrape: (accept?: string) => Promise<{ readonly contentType: string; readonly text: string }>
}

export interface HttpFace {
  /** Rejects where a port is taken, or where no caller is configured and the host is not this machine's own. */
  listen(): Promise<Bound & { readonly metrics: Bound | null }>
  /**
   * Is not ready from now on and answers with `Connection: close`. For `noticeMs` (default 0) of `graceMs` it still takes calls,
   * then refuses new ones with Draining and waits for what is under way; what is not done after `graceMs` is ended with Draining,
   * and shortly after that cut off. Then everything is closed.
   */
  drain(graceMs: number, noticeMs?: number): Promise<void>
  /** Another certificate, or other authorities, for connections from now on; older ones end with the answer they are at. */
  renewTls(tls: TlsMaterial): void
  /** At once: whatever is under way is cut off. */
  close(): Promise<void>
  /** Callers' connections open now. */
  connections(): number
  /** Requests being received or answered now. */
  inFlight(): number
}

/** How long calls that were ended with Draining have to say so. */
const LAST_WORDS_MS = 500
/** Finished envelopes of one batch that may wait for their turn or for a slow reader. */
const BATCH_HELD_BYTES = 32 * 1024 * 1024
const ENTRANCES: ReadonlyMap<string, Entrance> = new Map([
  ['/v1/requests', 'requests'],
  ['/v1/prepare', 'prepare'],
  ['/v1/batch', 'batch'],
])

export function createServer(options: ServerOptions, ports: ServerPorts): HttpFace {
  const { gateway, callers } = ports
  const clocks = clocksOf(options.clocks)
  const { answerMs, lingerMs } = clocks
  const descriptorLimit = options.descriptorLimit ?? 10 * 1024 * 1024
  const tls = options.tls ?? null
  const listener = createListener(clocks, tls)
  const metrics = options.metrics?.listen ? { at: options.metrics.listen, listener: createListener(clocksOf()) } : null
  const inFlight = createInFlight()
  let leaving = false
  let draining = false

  if (options.maxConnections !== undefined) listener.server.maxConnections = options.maxConnections
  const guard = options.load
    ? createLoadGuard(options.load, { underWay: () => inFlight.size, ended: () => inFlight.ended })
    : null
  const overload = (): GatewayError | null => guard?.refusal() ?? null
  const routes = createCallRoutes(
    { descriptorLimit },
    {
      ...{ gateway, callers, isDraining: () => draining, overload },
      overloadByBody: (bytes) => guard?.refusalOfBody(bytes) ?? null,
    },
  )
  const readiness = (): Readiness => (leaving ? { ...ports.readiness(), ready: false, because: 'draining' } : ports.readiness())
  const pages = createPages({
    ...{ routes, callers, openapi: ports.openapi, scrape: ports.scrape },
    ...{ administration: ports.administration, bodyLimit: descriptorLimit, answerMs },
    batch: routes.entrance(createBatchServe({ heldLimit: BATCH_HELD_BYTES, answerMs }, { gateway, overload })),
    readiness,
    metricsPublic: options.metrics?.public ?? false,
  })
  const makeRequestId = createRequestIds()
  if (metrics) serveOperations(metrics.listener, { scrape: ports.scrape, readiness, makeRequestId })
  const connections = watchConnections(listener.server, { gateway, lingerMs, makeRequestId: () => makeRequestId(undefined) })
  const isLeaving = (): boolean => leaving
  const begin = createBegin({ inFlight, connections, makeRequestId, isLeaving, clocks })
  const judge = createJudge(callers, tls !== null)
  attach({ server: listener.server, begin, connections, routes, pages, judge })
  const lane = createFastLane(clocks, {
    ...{ inFlight, makeRequestId, isLeaving },
    pass: listener.divert((socket) => lane.take(socket)),
    serve(exchange) {
      const refusal = judge(exchange)
      if (refusal) refuseHead(routes, exchange, refusal)
      else routes.requests(exchange)
    },
  })

  const close = async (): Promise<void> => {
    guard?.close()
    lane.close()
    await Promise.all([listener.close(), metrics?.listener.close()])
  }
  return {
    async listen() {
      refuseOpenHost(options.host, callers())
      const bound = await listener.listen(options.host, options.port)
      return { ...bound, metrics: metrics ? await metrics.listener.listen(metrics.at.host, metrics.at.port) : null }
    },
    async drain(graceMs, noticeMs = 0) {
      leaving = true
      inFlight.closeAfterAnswers()
      if (noticeMs > 0) await sleep(noticeMs)
      draining = true
      if (!(await settledWithin(inFlight, graceMs - noticeMs))) {
        inFlight.stopAll(new GatewayError('Draining', 'The gateway is shutting down and cannot wait for this call any longer.'))
        await inFlight.emptyWithin(LAST_WORDS_MS)
      }
      await close()
    },
    renewTls(renewed) {
      listener.renewTls(renewed)
      inFlight.closeAfterAnswers()
      listener.server.closeIdleConnections()
      lane.closeIdle()
    },
    close,
    connections: () => listener.sockets.size,
    inFlight: () => inFlight.size,
  }
}

/** Empty, and nothing had arrived meanwhile that was only not read yet. */
async function settledWithin(inFlight: InFlight, ms: number): Promise<boolean> {
  const end = performance.now() + ms
  do {
    if (!(await inFlight.emptyWithin(Math.max(0, end - performance.now())))) return false
    for (let turn = 0; turn < 2; turn++) await immediate()
  } while (inFlight.size > 0)
  return true
}

type Begin = (req: IncomingMessage, res: ServerResponse, expects: boolean, serve: (exchange: HttpExchange) => void) => void

function createBegin(ports: {
  readonly inFlight: InFlight
  readonly connections: Connections
  readonly makeRequestId: (given: string | string[] | undefined) => string
  /** Every answer ends its connection. */
  readonly isLeaving: () => boolean
  readonly clocks: WireClocks
}): Begin {
  const { inFlight, connections, makeRequestId, isLeaving, clocks } = ports
  const track = (exchange: HttpExchange): void => {
    exchange.closes ||= isLeaving()
    inFlight.begin(exchange)
    exchange.res.on('close', () => {
      if (!exchange.res.writableFinished) exchange.stop?.(hungUp())
      inFlight.end(exchange)
      connections.end(exchange)
    })
  }
  return (req, res, expects, serve) => {
    const facts = { requestId: makeRequestId(req.headers['x-request-id']), entrance: entranceOf(req.url ?? ''), expects }
    const exchange = createHttpExchange(req, res, facts, clocks)
    connections.begin(exchange, (mine) => {
      track(mine)
      serve(mine)
    })
  }
}

/** The query means nothing to any of them. */
function entranceOf(url: string): Entrance {
  const question = url.indexOf('?')
  return ENTRANCES.get(question < 0 ? url : url.slice(0, question)) ?? (url.startsWith('/v1/admin/') ? 'admin' : 'other')
}

function refuseOpenHost(host: string, callers: Callers): void {
  if (callers.configured || isLoopbackHost(host)) return
  throw new Error(
    `listen.host is ${host} but no caller is configured, so that anyone who reaches it could use every credential; configure callers, or listen on 127.0.0.1.`,
  )
}

/** What is wrong with a request's head, or with who may send any; null: nothing. */
type Judge = (exchange: Exchange, httpVersion?: string) => GatewayError | null

/** `secure`: TLS ends here. */
function createJudge(callers: () => Callers, secure: boolean): Judge {
  return ({ headers, socket }, httpVersion = '1.1') =>
    judgeHead(headers, httpVersion, secure) ?? (callers().configured ? null : judgeLocal(headers.host, socket.remoteAddress))
}

interface Attached {
  readonly server: Server
  readonly begin: Begin
  readonly connections: Connections
  readonly routes: CallRoutes
  readonly pages: Pages
  readonly judge: Judge
}

function attach({ server, begin, connections, routes, pages, judge }: Attached): void {
  const serve = (exchange: HttpExchange): void => {
    const { req } = exchange
    const refusal = judge(exchange, req.httpVersion) ?? (req.url?.startsWith('/') ? null : notAPath())
    if (refusal) refuseHead(routes, exchange, refusal)
    else if (req.url === '/v1/requests' && req.method === 'POST') routes.requests(exchange)
    else pages.serve(exchange)
  }
  const refuseExpectation = (exchange: HttpExchange): void =>
    routes.refuse(exchange, malformed('Of Expect only 100-continue is understood; leave the header out.'))
  server
    .on('request', (req, res) => begin(req, res, false, serve))
    .on('checkContinue', (req, res) => begin(req, res, true, serve))
    .on('checkExpectation', (req, res) => begin(req, res, true, refuseExpectation))
    .on('connect', (_req, socket) => {
      const error = new GatewayError('MethodNotAllowed', 'CONNECT is not taken here: POST a descriptor to /v1/requests.')
      connections.refuse(socket, error, ['Allow', 'GET, HEAD, POST'])
    })
}

function refuseHead(routes: CallRoutes, exchange: Exchange, refusal: GatewayError): void {
  if (refusal.type === 'InvalidDescriptor') exchange.closes = true // where its body ends cannot be relied on
  routes.refuse(exchange, refusal)
}

function notAPath(): GatewayError {
  return new GatewayError(
    'NotFound',
    'The request target is not a path of the gateway: POST a descriptor to /v1/requests instead of sending the target itself.',
  )
}
