// Counted slots with a bounded first-come-first-served queue. A freed slot goes straight to the longest waiter, so nobody
// who comes later can take it in between.

export interface Slots {
  readonly inUse: number
  readonly queued: number
  /** True: a slot is taken, to be given back with `release`. */
  tryTake(): boolean
  /**
   * Waits in the queue; `onTurn` runs once a slot is taken for it. Returns how to leave, or null where the queue is full.
   * Leaving is true where the place was given up; false where the turn had come and the slot must be released.
   */
  queue(onTurn: () => void): (() => boolean) | null
  /** Exactly once for each slot taken. */
  release(): void
}

/** `concurrency`: slots; `queue`: waiters, 0 for none. */
export function createSlots(limits: { readonly concurrency: number; readonly queue: number }): Slots {
  let inUse = 0
  const waiters = new Set<() => void>() // in order of arrival
  return {
    get inUse() {
      return inUse
    },
    get queued() {
      return waiters.size
    },
    tryTake() {
      if (inUse >= limits.concurrency) return false
      inUse++
      return true
    },
    queue(onTurn) {
      if (waiters.size >= limits.queue) return null
      const waiter = (): void => onTurn() // its own identity, should two waiters bring the same function
      waiters.add(waiter)
      return () => waiters.delete(waiter)
    },
    release() {
      const { value: first } = waiters.values().next()
      if (first === undefined) {
        inUse--
        return
      }
      waiters.delete(first)
      first()
    },
  }
}
