// A breaker state that a person set by hand. It expires when it is next looked at: no timer is needed, and one of days is none.
import type { Clock } from '../model/ports.ts'

export interface ForcedState {
  /** null: nothing is forced, or no longer. */
  state(): 'open' | 'closed' | null
  /** Ms until it expires, `unknown` where it stands until lifted; null: nothing is forced. */
  remainingMs(unknown: number): number | null
  /** `until`: wall clock, ms since 1970; null: until lifted. */
  set(state: 'open' | 'closed' | null, until: number | null): void
}

export function createForcedState(clock: Pick<Clock, 'date'>): ForcedState {
  let forced: 'open' | 'closed' | null = null
  let expires: number | null = null
  const state = (): 'open' | 'closed' | null => {
    if (expires !== null && clock.date() >= expires) {
      forced = null
      expires = null
    }
    return forced
  }
  return {
    state,
    remainingMs(unknown) {
      if (state() === null) return null
      return expires === null ? unknown : expires - clock.date()
    },
    set(to, until) {
      forced = to
      expires = until
    },
  }
}
