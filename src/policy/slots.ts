// Counted slots with a bounded, fair queue. A freed slot goes straight to whoever's turn it is, so that nobody who comes later
// can take it in between.
import { createFairQueue, type Waiter } from './fair-queue.ts'

export interface Slots {
  readonly inUse: number
  readonly queued: number
  /** True: a slot is taken, to be given back with `release`. */
  tryTake(): boolean
  /**
   * Waits in the queue; its `onTurn` runs once a slot is taken for it. Returns how to leave, or null where the queue is full.
   * Leaving is true where the place was given up; false where the turn had come and the slot must be released.
   */
  queue(waiter: Waiter): (() => boolean) | null
  /** Exactly once for each slot taken. */
  release(): void
}

/** `concurrency`: slots; `queue`: waiters, 0 for none. */
export function createSlots(limits: { readonly concurrency: number; readonly queue: number }): Slots {
  let inUse = 0
  const waiters = createFairQueue(limits.queue)
  return {
    get inUse() {
      return inUse
    },
    get queued() {
      return waiters.length
    },
    tryTake() {
      if (inUse >= limits.concurrency) return false
      inUse++
      return true
    },
    queue: (waiter) => (waiters.push(waiter) ? () => waiters.delete(waiter) : null),
    release() {
      const next = waiters.shift()
      if (next === null) inUse--
      else next.onTurn()
    },
  }
}
