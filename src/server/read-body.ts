// The caller's own body, read whole up to a limit. How slow it may be is the HTTP server's clock (listener.ts).
import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../errors/gateway-error.ts'
import { ArrivingRequest } from './arriving-request.ts'
import { tooLarge } from './door.ts'
import type { Exchange } from './exchange.ts'

const NOTHING = Buffer.alloc(0)

/** Rejects with RequestTooLarge as soon as it is clear, or with the reason for which the exchange was stopped. */
export function readBody(exchange: Exchange, limit: number): Promise<Buffer> {
  const { req } = exchange
  const length = Number(req.headers['content-length']) // NaN where it comes in chunks
  // What has been through express is no such request any more.
  if (req instanceof ArrivingRequest && length < req.readableHighWaterMark) return awaitBody(exchange, req, limit)
  return gatherBody(exchange, limit)
}

/** One that the request's own buffer can hold: it is waited for, then taken, without the events of a stream that is read. */
function awaitBody(exchange: Exchange, req: ArrivingRequest, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const take = (): void => {
      if (req.readableLength > limit) reject(tooLarge(limit))
      else resolve(takeBody(req))
    }
    if (req.complete) return take()
    exchange.stop = reject
    req.onWhole = take
  })
}

function takeBody(req: IncomingMessage): Buffer {
  const first: Buffer | null = req.read()
  if (first === null) return NOTHING
  if (req.readableLength === 0) return first
  const chunks = [first]
  for (let chunk: Buffer | null = req.read(); chunk !== null; chunk = req.read()) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function gatherBody(exchange: Exchange, limit: number): Promise<Buffer> {
  const { req } = exchange
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const take = (chunk: Buffer): void => {
      size += chunk.length
      if (size <= limit) return void chunks.push(chunk)
      req.off('data', take)
      chunks.length = 0
      reject(tooLarge(limit))
    }
    exchange.stop = reject
    req.on('data', take)
    req.on('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)))
  })
}

export function hungUp(): GatewayError {
  return new GatewayError('Cancelled', 'The caller closed the connection before its answer was complete.')
}
