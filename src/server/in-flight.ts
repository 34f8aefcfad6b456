// The requests under way, and how they are waited for and ended when the gateway stops.
import type { GatewayError } from '../errors/gateway-error.ts'
import type { Exchange } from './exchange.ts'

export interface InFlight {
  begin(exchange: Exchange): void
  /** Its answer was taken, or will never be. */
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
  // In no order, each at its `place`. A set that always changes is a chain of tables to V8, an old one leading to the next: one that
  // lived long enough kept all later ones, and every request in them, until the next collection of the whole heap.
  const open: Exchange[] = []
  let onEmpty: (() => void) | null = null
  let ended = 0
  return {
    begin(exchange) {
      exchange.place = open.length
      open.push(exchange)
    },
    end(exchange) {
      const last = open.pop()
      if (last !== undefined && last !== exchange) {
        last.place = exchange.place
        open[exchange.place] = last
      }
      ended++
      if (open.length === 0) onEmpty?.()
    },
    get size() {
      return open.length
    },
    get ended() {
      return ended
    },
    closeAfterAnswers() {
      for (const exchange of open) exchange.closes = true
    },
    stopAll(reason) {
      for (const exchange of [...open]) exchange.stop?.(reason) // who is refused within that leaves the list
    },
    emptyWithin(ms) {
      if (open.length === 0) return Promise.resolve(true)
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
