// What is kept for each of many, such as a bucket for each caller: so many at once, and beyond them one for all others together. It
// forgets whoever has nothing worth keeping and is not in use.
import type { Clock } from '../model/ports.ts'

export interface Place<Kept> {
  readonly kept: Kept
  /** False: it is that of all others together. */
  readonly own: boolean
  /** How many are in it now. */
  users: number
}

export interface Holders<Kept> {
  /** Each `enter` is followed by one `leave`: what is kept stays the same in between. */
  enter(key: string): Place<Kept>
  leave(place: Place<Kept>): void
  /** All that are kept and worth it. */
  kept(): Kept[]
  close(): void
}

export interface HoldersPorts<Kept> {
  /** `key` null: for all others together. */
  open(key: string | null): Kept
  /** Opened anew it would be the same. */
  isIdle(kept: Kept): boolean
  close(kept: Kept): void
  /** At once, since made-up names must not fill the memory. */
  readonly most: number
  readonly clock: Pick<Clock, 'now'>
}

/** The idle are looked for no more often, since that costs a look at each. */
const SWEEP_MS = 1000

export function createHolders<Kept>({ open, isIdle, close, most, clock }: HoldersPorts<Kept>): Holders<Kept> {
  const places = new Map<string, Place<Kept>>()
  let others: Place<Kept> | null = null
  let sweptAt = clock.now()

  const sweep = (): void => {
    sweptAt = clock.now()
    for (const [key, { kept, users }] of places) {
      if (users > 0 || !isIdle(kept)) continue
      places.delete(key)
      close(kept)
    }
  }
  const settle = (key: string): Place<Kept> => {
    if (clock.now() - sweptAt >= SWEEP_MS) sweep()
    if (places.size >= most) {
      others ??= { kept: open(null), own: false, users: 0 }
      return others
    }
    const place = { kept: open(key), own: true, users: 0 }
    places.set(key, place)
    return place
  }
  const all = (): Kept[] => [...places.values(), ...(others === null ? [] : [others])].map(({ kept }) => kept)

  return {
    enter(key) {
      const place = places.get(key) ?? settle(key)
      place.users++
      return place
    },
    leave(place) {
      place.users--
    },
    kept() {
      sweep()
      return all()
    },
    close() {
      for (const kept of all()) close(kept)
    },
  }
}
