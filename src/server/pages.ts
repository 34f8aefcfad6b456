// Everything but the hot entrance, on express: the other JSON entrances, probes, metrics, the API's description and its viewer.
import type { ServerResponse } from 'node:http'
import { basename, dirname } from 'node:path'
import express, { type Express, type NextFunction, type Request, type Response } from 'express'
import type { Callers } from '../callers/callers.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import { type AdminRoutesPorts, addAdminRoutes } from './admin-routes.ts'
import type { CallRoutes } from './call-route.ts'
import { DOCS_HEADERS, DOCS_HTML, DOCS_SCRIPT, docsAssets } from './docs-page.ts'
import { type HttpExchange, writeHead } from './http-exchange.ts'
import { probeAnswer, type Readiness } from './probes.ts'

export interface PagesPorts extends Pick<AdminRoutesPorts, 'administration' | 'bodyLimit' | 'answerMs'> {
  readonly routes: CallRoutes
  readonly batch: (exchange: HttpExchange) => void
  readonly callers: () => Callers
  readonly readiness: () => Readiness
  /** The OpenAPI document; asked for once. */
  readonly openapi: () => object
  readonly scrape: (accept?: string) => Promise<{ readonly contentType: string; readonly text: string }>
  /** metrics.public: no key is needed for /metrics. */
  readonly metricsPublic: boolean
}

type Handler = (exchange: HttpExchange) => void | Promise<void>

export interface Pages {
  serve(exchange: HttpExchange): void
}

export function createPages(ports: PagesPorts): Pages {
  const exchanges = new WeakMap<ServerResponse, HttpExchange>()
  const app = express()
  app.disable('x-powered-by').enable('case sensitive routing').enable('strict routing')

  const exchangeOf = (res: Response): HttpExchange => {
    const exchange = exchanges.get(res)
    if (!exchange) throw new Error('a response without its exchange')
    return exchange
  }
  const get = (path: string, handler: Handler): void => {
    app.get(path, (_req, res) => handler(exchangeOf(res)))
    app.all(path, refuseMethod('GET, HEAD'))
  }
  const post = (path: string, handler: Handler): void => {
    app.post(path, (_req, res) => handler(exchangeOf(res)))
    app.all(path, refuseMethod('POST'))
  }
  const refuseMethod = (allow: string) => (req: Request, res: Response) => {
    const error = new GatewayError('MethodNotAllowed', `${shownPath(req)} takes ${allow} only.`)
    ports.routes.refuse(exchangeOf(res), error, ['Allow', allow])
  }

  post('/v1/requests', ports.routes.requests)
  post('/v1/prepare', ports.routes.prepare)
  post('/v1/batch', ports.batch)
  addProbes(get, ports)
  get('/metrics', (exchange) => serveMetrics(exchange, ports))
  addDocs(get, ports)
  addAdminRoutes(app, { ...ports, exchangeOf, refuse: ports.routes.refuse })

  app.use((req: Request, res: Response) => {
    const error = new GatewayError('NotFound', `There is no entrance at ${shownPath(req)}; /docs lists them.`)
    ports.routes.refuse(exchangeOf(res), error)
  })
  // Express tells an error handler by its four parameters.
  app.use((error: unknown, req: Request, res: Response, _next: NextFunction) => {
    const exchange = exchangeOf(res)
    if (exchange.answered || res.headersSent) res.destroy()
    else ports.routes.refuse(exchange, mapPageError(error, shownPath(req)))
  })

  return { serve: (exchange) => serveThrough(app, exchanges, exchange) }
}

function serveThrough(app: Express, exchanges: WeakMap<ServerResponse, HttpExchange>, exchange: HttpExchange): void {
  exchanges.set(exchange.res, exchange)
  app(exchange.req, exchange.res)
}

/** The path alone, for messages, cut at 200 characters. */
function shownPath(req: Request): string {
  const path = req.url.replace(/[?#].*/s, '')
  return path.length > 200 ? `${path.slice(0, 200)}…` : path
}

/** Express itself fails only where a path cannot be decoded or a file cannot be read. */
function mapPageError(error: unknown, path: string): GatewayError {
  const status = error instanceof Error ? (error as { status?: unknown }).status : undefined
  if (typeof status === 'number' && status >= 400 && status < 500)
    return new GatewayError('NotFound', `There is no entrance at ${path}; /docs lists them.`)
  return new GatewayError('InternalError', 'The gateway failed; report the requestId.', { cause: error })
}

function send(exchange: HttpExchange, status: number, type: string, body: string, extra: readonly string[] = []): void {
  const bytes = Buffer.from(body)
  writeHead(exchange, status, ['Content-Type', type, 'Content-Length', String(bytes.length), ...extra])
  exchange.res.end(bytes)
}

const NO_STORE = ['Cache-Control', 'no-store']

function addProbes(get: (path: string, handler: Handler) => void, { readiness }: PagesPorts): void {
  get('/healthz', (exchange) => send(exchange, 200, 'application/json', probeAnswer('/healthz', readiness).body, NO_STORE))
  get('/readyz', (exchange) => {
    const { status, body } = probeAnswer('/readyz', readiness)
    send(exchange, status, 'application/json', body, NO_STORE)
  })
}

async function serveMetrics(exchange: HttpExchange, ports: PagesPorts): Promise<void> {
  if (!ports.metricsPublic) {
    const caller = await ports.callers().identify(exchange)
    if (caller instanceof GatewayError) return ports.routes.refuse(exchange, caller)
    exchange.caller = caller.name
    if (!caller.admin)
      return ports.routes.refuse(
        exchange,
        new GatewayError(
          'Unauthenticated',
          'Metrics want the key of a caller with admin rights, metrics.public: true, or metrics.listen.',
        ),
      )
  }
  const { contentType, text } = await ports.scrape(exchange.req.headers.accept)
  if (!exchange.res.destroyed) send(exchange, 200, contentType, text, NO_STORE)
}

function addDocs(get: (path: string, handler: Handler) => void, { openapi }: PagesPorts): void {
  let document: string | null = null
  get('/openapi.json', (exchange) => {
    document ??= JSON.stringify(openapi())
    send(exchange, 200, 'application/json', document, ['X-Content-Type-Options', 'nosniff'])
  })
  get('/docs', (exchange) => send(exchange, 200, 'text/html; charset=utf-8', DOCS_HTML, DOCS_HEADERS))
  get('/docs/start.js', (exchange) => send(exchange, 200, 'text/javascript; charset=utf-8', DOCS_SCRIPT, DOCS_HEADERS))
  for (const [name, file] of docsAssets()) get(`/docs/${name}`, (exchange) => sendAsset(exchange, file))
}

function sendAsset(exchange: HttpExchange, file: string): Promise<void> {
  const res = exchange.res as Response
  res.setHeader('X-Request-Id', exchange.requestId)
  for (let i = 0; i < DOCS_HEADERS.length; i += 2) res.setHeader(DOCS_HEADERS[i] as string, DOCS_HEADERS[i + 1] as string)
  return new Promise((resolve, reject) => {
    const place = { root: dirname(file), dotfiles: 'allow' as const } // the installation itself may lie below a folder with a dot
    res.sendFile(basename(file), { ...place, cacheControl: false, headers: { 'Cache-Control': 'no-cache' } }, (error) => {
      // A caller that went away in the middle is no failure of ours.
      if (error && !res.headersSent && !res.destroyed) reject(error)
      else resolve()
    })
  })
}
