// Why a call must stop now, told to everyone who waits. A plain callback list: an AbortController a call costs more than
// all of its policies, and every listener here wants the GatewayError, not a DOMException.
import type { GatewayError } from '../errors/gateway-error.ts'

export type CancelListener = (reason: GatewayError) => void

export interface Cancellation {
  /** Set once; null while the call may go on. */
  readonly reason: GatewayError | null
  /** The first reason wins; later ones are ignored. May be handed on by itself. */
  readonly cancel: CancelListener
  /** Runs `listener` once, at once if already cancelled. Returns how to stop listening. */
  onCancel(listener: CancelListener): () => void
  /** The same where the listener is at hand to be forgotten: nothing is made for it. */
  listen(listener: CancelListener): void
  forget(listener: CancelListener): void
  throwIfCancelled(): void
}

export function createCancellation(): Cancellation {
  return new CallCancellation()
}

/** A class: of closures, each call would make one for every method, and keep them until it ends. */
class CallCancellation implements Cancellation {
  reason: GatewayError | null = null
  /** Mostly there is one at a time. */
  #listener: CancelListener | null = null
  /** All of them, in order, once there were two; null: never. */
  #listeners: CancelListener[] | null = null

  readonly cancel = (reason: GatewayError): void => {
    if (this.reason) return
    this.reason = reason
    this.#listener?.(reason)
    for (const listener of this.#listeners?.splice(0) ?? []) listener(reason)
  }

  onCancel(listener: CancelListener): () => void {
    this.listen(listener)
    return () => this.forget(listener)
  }

  listen(listener: CancelListener): void {
    if (this.reason) listener(this.reason)
    else if (this.#listeners !== null) this.#listeners.push(listener)
    else if (this.#listener === null) this.#listener = listener
    else {
      this.#listeners = [this.#listener, listener]
      this.#listener = null
    }
  }

  forget(listener: CancelListener): void {
    if (this.#listener === listener) this.#listener = null
    const at = this.#listeners?.indexOf(listener) ?? -1
    if (at >= 0) this.#listeners?.splice(at, 1)
  }

  throwIfCancelled(): void {
    if (this.reason) throw this.reason
  }
}
