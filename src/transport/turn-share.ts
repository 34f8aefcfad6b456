// How much of large bodies is read in one turn of the event loop, over all connections. Where there is plenty to read, libuv takes
// 2 MB of each socket before it looks at the next: four such bodies would hold up everybody else for 20 ms.

/** Of bodies, bytes; about a millisecond's work. */
const MOST_BYTES = 1024 * 1024

export interface TurnShare {
  /** So many bytes were read. */
  take(bytes: number): void
  /** Nothing more is to be read in this turn. */
  isSpent(): boolean
  /** Calls once in a later turn, those first that asked first: no more of them in one turn than its share is enough for. */
  later(resume: () => void): void
}

/** `nextTurn` calls in the turn to come. */
export function createTurnShare(nextTurn: (begin: () => void) => void = setImmediate, mostBytes = MOST_BYTES): TurnShare {
  const waiting: (() => void)[] = []
  let taken = 0
  let isScheduled = false

  const schedule = (): void => {
    if (isScheduled) return
    isScheduled = true
    nextTurn(begin)
  }
  const begin = (): void => {
    isScheduled = false
    taken = 0
    while (taken < mostBytes) {
      const resume = waiting.shift()
      if (resume === undefined) return
      resume()
    }
  }
  return {
    take(bytes) {
      taken += bytes
      schedule()
    },
    isSpent: () => taken >= mostBytes,
    later(resume) {
      waiting.push(resume)
      schedule()
    },
  }
}
