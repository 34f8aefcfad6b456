// The admin entrance on express: a route for each row of its table. Who may, what is asked and the record of it are the
// administration's affair; it is served while the gateway drains, too.
import { pipeline } from 'node:stream/promises'
import type { Express, Request, Response } from 'express'
import type { Callers } from '../callers/callers.ts'
import { ADMIN_ENTRANCES, type AdminEntrance } from '../descriptor/admin-entrances.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import type { AdminExport, Administration } from '../model/administration.ts'
import { byteText } from '../model/answer-body.ts'
import type { Caller } from '../model/caller.ts'
import { judgeJsonHead } from './door.ts'
import { isOver, writeAnswer } from './exchange.ts'
import { type HttpExchange, writeHead } from './http-exchange.ts'

export interface AdminRoutesPorts {
  readonly administration: Administration
  readonly callers: () => Callers
  readonly exchangeOf: (res: Response) => HttpExchange
  readonly refuse: (exchange: HttpExchange, error: GatewayError, extra?: readonly string[]) => void
  /** Bytes of a body. */
  readonly bodyLimit: number
  readonly answerMs: number
}

const NO_STORE: readonly string[] = ['Cache-Control', 'no-store']
const NOTHING = Buffer.alloc(0)

export function addAdminRoutes(app: Express, ports: AdminRoutesPorts): void {
  const { exchangeOf, refuse } = ports
  const methods = new Map<string, string[]>()
  for (const [operation, entrance] of Object.entries<AdminEntrance>(ADMIN_ENTRANCES)) {
    const path = entrance.path.replace(/\{(\w+)\}/g, ':$1')
    const verb = entrance.method.toLowerCase() as 'get' | 'put' | 'post' | 'delete'
    methods.set(path, [...(methods.get(path) ?? []), ...(verb === 'get' ? ['GET', 'HEAD'] : [entrance.method])])
    app[verb](path, async (req: Request, res: Response) => {
      const exchange = exchangeOf(res)
      try {
        await serve(exchange, { operation, entrance, params: req.params as Readonly<Record<string, string>> }, ports)
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error
        refuse(exchange, error, NO_STORE)
      }
    })
  }
  for (const [path, allowed] of methods)
    app.all(path, (_req, res) => {
      const error = new GatewayError('MethodNotAllowed', `This entrance takes ${allowed.join(', ')} only.`)
      refuse(exchangeOf(res), error, ['Allow', allowed.join(', ')])
    })
}

interface Asked {
  readonly operation: string
  readonly entrance: AdminEntrance
  readonly params: Readonly<Record<string, string>>
}

async function serve(exchange: HttpExchange, { operation, entrance, params }: Asked, ports: AdminRoutesPorts): Promise<void> {
  const { req, requestId } = exchange
  const caller = await ports.callers().identify(exchange)
  if (caller instanceof GatewayError) throw caller
  exchange.caller = caller.name
  const body = await receive(exchange, entrance, caller, ports.bodyLimit)
  const question = req.url?.indexOf('?') ?? -1
  const query = question < 0 ? '' : (req.url?.slice(question + 1) ?? '')
  const accept = req.headers.accept ?? ''
  const reply = await ports.administration.perform({ operation, caller, requestId, params, query, accept, body })
  if (isOver(exchange)) return
  if (!('json' in reply)) return writeExport(exchange, reply, ports.answerMs)
  const json = byteText(JSON.stringify(reply.json))
  writeAnswer(exchange, { status: 200, retryAfterSeconds: null, body: json }, NO_STORE)
}

/** Of who has no right to be here nothing is read: what they asked is refused whatever it was. */
async function receive(exchange: HttpExchange, { body }: AdminEntrance, caller: Caller, limit: number): Promise<Buffer> {
  if (body === undefined || !caller.admin) return NOTHING
  const refusal = judgeJsonHead(exchange.req.headers, limit)
  if (refusal) throw refusal
  return exchange.wire.read(exchange, limit)
}

/** What fails while it is written breaks it off: nobody takes a part for the whole. */
async function writeExport(
  exchange: HttpExchange,
  { contentType, fileName, pieces }: AdminExport,
  answerMs: number,
): Promise<void> {
  const { req, res } = exchange
  const name = `attachment; filename="${fileName}"`
  writeHead(exchange, 200, ['Content-Type', contentType, 'Content-Disposition', name, ...NO_STORE])
  if (req.method === 'HEAD') return void res.end()
  exchange.stop = () => res.destroy()
  res.socket?.setTimeout(answerMs)
  await pipeline(pieces, res).catch(() => res.destroy())
}
