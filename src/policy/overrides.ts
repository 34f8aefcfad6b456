// The breaker states that operators set by hand, by adapter and origin. They live outside the stacks, so that one covers an
// origin that comes later, or comes anew after it was idle. Each expires when it is next looked at: no timer is needed.
import type { Override, OverrideEntry, OverrideScope } from '../model/breaker-override.ts'
import type { Clock } from '../model/ports.ts'

export interface Overrides {
  /** For that adapter and origin, to be asked at every call: what stands over it now. null: nothing. */
  over(adapter: string, origin: string): () => Override | null
  /** Those that have not expired. */
  all(): readonly OverrideEntry[]
  /** Takes the place of the one with the same scope; null lifts that. */
  set(scope: OverrideScope, override: Override | null): void
  replace(entries: readonly OverrideEntry[]): void
}

export function createOverrides(clock: Pick<Clock, 'date'>): Overrides {
  // Never changed, only replaced: that it is another one tells those who remember what they found in it.
  let entries: readonly OverrideEntry[] = []
  const stands = ({ until }: Override): boolean => until === null || clock.date() < until

  return {
    over(adapter, origin) {
      let seen: readonly OverrideEntry[] | null = null
      let mine: readonly OverrideEntry[] = []
      return () => {
        if (seen !== entries) {
          seen = entries
          mine = covering(entries, adapter, origin)
        }
        return mine.length === 0 ? null : (mine.find(stands) ?? null)
      }
    },
    all: () => entries.filter(stands),
    set(scope, override) {
      entries = withOverride(entries.filter(stands), scope, override)
    },
    replace(next) {
      entries = next
    },
  }
}

/** Entries with that scope's replaced, added or, for null, taken out. */
export function withOverride(
  entries: readonly OverrideEntry[],
  { adapter, origin }: OverrideScope,
  override: Override | null,
): OverrideEntry[] {
  const others = entries.filter((entry) => entry.adapter !== adapter || entry.origin !== origin)
  if (override === null) return others
  const { state, by, reason, since, until } = override
  return [...others, { adapter, origin, state, by, reason, since, until }]
}

/** The narrower scope first: one origin may be opened under an adapter that is shut. */
function covering(entries: readonly OverrideEntry[], adapter: string, origin: string): OverrideEntry[] {
  const mine = entries.filter((entry) => entry.adapter === adapter)
  return [...mine.filter((entry) => entry.origin === origin), ...mine.filter((entry) => entry.origin === null)]
}
