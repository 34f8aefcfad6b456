// When the index of a running gateway follows the files: soon while somebody searches, else only while there is time to spare, since
// what it lacks is read by the next search. Nobody's call pays for searches that nobody makes.
import type { Clock } from '../model/ports.ts'
import type { TrailSearch } from './search.ts'

/** While somebody searches: each then has at most so much to read first. */
const SOON_MS = 1000
/** Nobody searched for so long: nobody searches. */
const SEARCHING_MS = 60_000
/** While nobody does: what was added since is indexed together, which costs less a record. */
const SELDOM_MS = 10_000
/** So long a search waits at most while the index is filled on its own. */
const TURN_MS = 200

export interface KeeperPorts {
  readonly clock: Pick<Clock, 'now' | 'after'>
  readonly hasTimeToSpare: () => boolean
}

/** Goes on until the process ends; a failure is tried again, and a search says what is wrong. Answers what is to be told of each search. */
export function keepIndex(
  { catchUp }: Pick<TrailSearch, 'catchUp'>,
  { clock, hasTimeToSpare }: KeeperPorts,
): { searched(): void } {
  let searchedAt = Number.NEGATIVE_INFINITY
  let stopTimer = clock.after(SOON_MS, follow)

  const again = (ms: number): void => {
    stopTimer()
    stopTimer = clock.after(ms, follow)
  }

  function follow(): void {
    const spare = hasTimeToSpare()
    const searching = clock.now() - searchedAt < SEARCHING_MS
    const next = searching ? SOON_MS : SELDOM_MS
    if (spare || searching)
      void catchUp(TURN_MS).then(
        (whole) => again(whole ? next : 0),
        () => again(next),
      )
    else again(next)
  }

  return {
    searched() {
      const first = clock.now() - searchedAt >= SEARCHING_MS
      searchedAt = clock.now()
      if (first) again(SOON_MS)
    },
  }
}
