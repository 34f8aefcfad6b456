// The caller's own body, read whole up to a limit. How slow it may be is the HTTP server's clock (listener.ts).
import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../errors/gateway-error.ts'
import { tooLarge } from './door.ts'
import type { Exchange } from './exchange.ts'

const NOTHING = Buffer.alloc(0)

/**
 * The body, where all of it has arrived; null: there is more to come. A small one comes with its head, and is complete as soon as
 * the parser is through with what it was given: taken so, it costs none of a stream's events. Throws RequestTooLarge.
 */
export function bodyAtHand(req: IncomingMessage, limit: number): Buffer | null {
  if (!req.complete) return null
  if (req.readableLength > limit) throw tooLarge(limit)
  const first: Buffer | null = req.read()
  if (first === null) return NOTHING
  if (req.readableLength === 0) return first
  const chunks = [first]
  for (let chunk = req.read(); chunk !== null; chunk = req.read()) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Rejects with RequestTooLarge as soon as it is clear, or with the reason for which the exchange was stopped. */
export function readBody(exchange: Exchange, limit: number): Promise<Buffer> {
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
