// Which credentials an upstream's 429 holds back, and until when. It only remembers; who waits is layers/cooldown.ts.
import type { Clock } from '../model/ports.ts'

export interface Cooldowns {
  /** Nothing is held back. */
  readonly none: boolean
  /** Holds `key` back until that instant. 'known': it is held back for as long already; 'begun': it was free. */
  begin(key: string, until: number, because: string): 'begun' | 'longer' | 'known'
  /** null: it is free. Ms that are left, and the header that asked. */
  of(key: string): { readonly leftMs: number; readonly because: string } | null
  /** Of the one held back longest; 0: none is. */
  longestMs(): number
}

interface Held {
  readonly until: number
  readonly because: string
}

/** Timers and wall clocks are so inexact: whoever waited for just that length has waited. */
const EARLY_MS = 3
/** Made-up credentials must not fill the memory; past it the first to have come is free. */
const MOST = 1000

export function createCooldowns(clock: Pick<Clock, 'now'>): Cooldowns {
  const held = new Map<string, Held>()
  const isOver = ({ until }: Held): boolean => until - clock.now() <= EARLY_MS
  const makeRoom = (): void => {
    for (const [key, each] of held) if (isOver(each)) held.delete(key)
    const first = held.size < MOST ? undefined : held.keys().next().value
    if (first !== undefined) held.delete(first)
  }
  const find = (key: string): Held | null => {
    const found = held.get(key)
    if (found === undefined) return null
    if (!isOver(found)) return found
    held.delete(key)
    return null
  }
  return {
    get none() {
      return held.size === 0
    },
    begin(key, until, because) {
      const before = find(key)
      if (before !== null && before.until >= until) return 'known'
      if (before === null) makeRoom()
      held.set(key, { until, because })
      return before === null ? 'begun' : 'longer'
    },
    of(key) {
      const found = find(key)
      return found && { leftMs: found.until - clock.now(), because: found.because }
    },
    longestMs() {
      let longest = 0
      for (const [key, each] of held) {
        if (isOver(each)) held.delete(key)
        else longest = Math.max(longest, each.until - clock.now())
      }
      return longest
    },
  }
}
