// Why a call must stop now, told to everyone who waits. A plain callback list: an AbortController a call costs more than
// all of its policies, and every listener here wants the GatewayError, not a DOMException.
import type { GatewayError } from '../errors/gateway-error.ts'

export interface Cancellation {
  /** Set once; null while the call may go on. */
  readonly reason: GatewayError | null
  /** The first reason wins; later ones are ignored. */
  cancel(reason: GatewayError): void
  /** Runs `listener` once, at once if already cancelled. Returns how to stop listening. */
  onCancel(listener: (reason: GatewayError) => void): () => void
  throwIfCancelled(): void
}

export function createCancellation(): Cancellation {
  const listeners: ((reason: GatewayError) => void)[] = []
  // A plain property, no getter: V8 gives every object with getters of its own a shape of its own.
  const cancellation: Cancellation & { reason: GatewayError | null } = {
    reason: null,
    cancel(error) {
      if (cancellation.reason) return
      cancellation.reason = error
      for (const listener of listeners.splice(0)) listener(error)
    },
    onCancel(listener) {
      if (cancellation.reason) {
        listener(cancellation.reason)
        return () => {}
      }
      listeners.push(listener)
      return () => {
        const at = listeners.indexOf(listener)
        if (at >= 0) listeners.splice(at, 1)
      }
    },
    throwIfCancelled() {
      if (cancellation.reason) throw cancellation.reason
    },
  }
  return cancellation
}
