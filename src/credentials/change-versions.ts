// What a new version, or a revocation, makes of the versions beside it. Pure: instants come in as arguments, ms since 1970.
import { chooseVersion, stateOf, type VersionTimes } from './choose-version.ts'

/** Beside the newest: those that are still good, and those that are only remembered. */
const MAX_GOOD = 2
const MAX_REVOKED = 3

/**
 * Those that stay beside a version that begins at `startsAt`, with the end of their overlap. What had yet to begin is dropped,
 * as is what has ended: its values should not be kept longer than they are of use.
 */
export function supersede<V extends VersionTimes>(
  versions: readonly V[],
  { now, startsAt, overlapMs }: { readonly now: number; readonly startsAt: number; readonly overlapMs: number },
): V[] {
  const { current, others } = chooseVersion(versions, now)
  const ends = startsAt + overlapMs
  const kept = [current, ...others]
    .filter((version) => version !== null)
    .slice(0, MAX_GOOD)
    .map((version) => ({
      ...version,
      // Of the current one it may stem from a successor that has yet to begin, and now is dropped.
      overlapUntil: version === current ? ends : Math.min(ends, version.overlapUntil ?? ends),
    }))
    .filter(({ overlapUntil }) => overlapUntil > now)
  const revoked = versions.filter(({ revokedAt }) => revokedAt !== null).slice(-MAX_REVOKED)
  return [...revoked, ...kept].sort((a, b) => a.version - b.version)
}

/**
 * `version` null: all. Where one is revoked before it began, the one that it would have superseded stays. The answer holds the
 * same objects where nothing changed.
 */
export function revoke<V extends VersionTimes>(versions: readonly V[], version: number | null, now: number): V[] {
  const revoked = versions.map((each) =>
    each.revokedAt === null && (version === null || each.version === version) ? { ...each, revokedAt: now } : each,
  )
  const { current } = chooseVersion(revoked, now)
  const neverBegan = versions.some((each) => each.version === version && stateOf(each, null, now) === 'next')
  if (!neverBegan || current === null) return revoked
  return revoked.map((each) => (each === current ? { ...each, overlapUntil: null } : each))
}
