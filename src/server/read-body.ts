// The caller's own body, read whole up to a limit. How slow it may be is the HTTP server's clock (listener.ts).
import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../errors/gateway-error.ts'
import { tooLarge } from './door.ts'
import type { Exchange } from './exchange.ts'

/** Rejects with RequestTooLarge as soon as it is clear, or with the reason for which the exchange was stopped. */
export function readBody(req: IncomingMessage, exchange: Exchange, limit: number): Promise<Buffer> {
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
