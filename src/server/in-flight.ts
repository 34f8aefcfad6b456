// The requests under way, and how they are waited for and ended when the gateway stops.
import type { GatewayError } from '../errors/gateway-error.ts'
import type { Exchange } from './exchange.ts'
import { hungUp } from './read-body.ts'

export interface InFlight {
  begin(exchange: Exchange): void
  /** A caller that hung up before its answer was complete: what is done for it is stopped. */
  end(exchange: Exchange): void
  readonly size: number
  /** How many have ended since the beginning. */
  readonly ended: number
  /** Every answer from now on ends its connection. */
  closeAfterAnswers(): void
  stopAll(reason: GatewayError): void
  /** True once nothing is under way; false where that is still not so after `ms`. */
  emptyWithin(ms: number): Promise<boolean>
}

export function createInFlight(): InFlight {
  const open = new Set<Exchange>()
  let onEmpty: (() => void) | null = null
  let ended = 0
  return {
    begin: (exchange) => void open.add(exchange),
    end(exchange) {
      open.delete(exchange)
      ended++
      if (!exchange.res.writableFinished) exchange.stop?.(hungUp())
      if (open.size === 0) onEmpty?.()
    },
    get size() {
      return open.size
    },
    get ended() {
      return ended
    },
    closeAfterAnswers() {
      for (const exchange of open) exchange.closes = true
    },
    stopAll(reason) {
      for (const exchange of open) exchange.stop?.(reason)
    },
    emptyWithin(ms) {
      if (open.size === 0) return Promise.resolve(true)
      return new Promise((resolve) => {
        const end = (empty: boolean): void => {
          clearTimeout(timer)
          onEmpty = null
          resolve(empty)
        }
        const timer = setTimeout(end, ms, false)
        onEmpty = () => end(true)
      })
    },
  }
}
