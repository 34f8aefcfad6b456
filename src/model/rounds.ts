// Asking again and again, one question at a time: how a replica follows what stands in a store.
import type { Clock } from './ports.ts'

export interface Rounds {
  /** Asks now, or joins the question under way. Resolves when it is answered, well or badly. */
  refresh(): Promise<void>
  /** The very first question; null once it is answered. */
  readonly first: Promise<void> | null
  /** Ends the rounds; a question under way is still answered. */
  close(): void
}

/** Asks once now, and again each time `everyMs` after the last answer. `ask` never rejects. */
export function createRounds(clock: Pick<Clock, 'after'>, everyMs: number, ask: () => Promise<void>): Rounds {
  let underWay: Promise<void> | null = null
  let first: Promise<void> | null = null
  let stopTimer = (): void => {}
  let closed = false
  const refresh = (): Promise<void> => {
    underWay ??= ask().finally(() => {
      underWay = null
      first = null
    })
    return underWay
  }
  const next = (): void => {
    if (!closed) stopTimer = clock.after(everyMs, () => void refresh().then(next))
  }
  first = refresh()
  void first.then(next)
  return {
    refresh,
    get first() {
      return first
    },
    close() {
      closed = true
      stopTimer()
    },
  }
}
