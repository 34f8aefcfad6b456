// Which version of a secret serves at an instant, which other is still good, and why none does. Pure: instants come in as
// arguments, ms since 1970.

export interface VersionTimes {
  readonly version: number
  /** null: from when it was made. */
  readonly notBefore: number | null
  /** null: no end. */
  readonly expiresAt: number | null
  /** Superseded: good until then; null: not superseded. */
  readonly overlapUntil: number | null
  /** null: not revoked. */
  readonly revokedAt: number | null
}

/** current: what calls get. previous: still good. next: not yet. retired: superseded and past its overlap. */
export type VersionState = 'current' | 'previous' | 'next' | 'retired' | 'expired' | 'revoked'

export interface Choice<V> {
  readonly current: V | null
  /** The others that are good now, newest first. */
  readonly others: readonly V[]
  /** Why there is no current one; empty where there is. */
  readonly because: string
  /** The choice stands until then; Infinity: until the versions change. */
  readonly until: number
}

/** The newest that is good. `versions` in ascending order, at least one. */
export function chooseVersion<V extends VersionTimes>(versions: readonly V[], at: number): Choice<V> {
  const good = versions.filter((version) => isGood(version, at)).reverse()
  const [current = null, ...others] = good
  return { current, others, because: current === null ? whyNone(versions, at) : '', until: nextTurn(versions, at) }
}

export function stateOf<V extends VersionTimes>(version: V, current: V | null, at: number): VersionState {
  const { notBefore, expiresAt, overlapUntil, revokedAt } = version
  if (revokedAt !== null) return 'revoked'
  if (overlapUntil !== null && at >= overlapUntil) return 'retired'
  if (expiresAt !== null && at >= expiresAt) return 'expired'
  if (notBefore !== null && at < notBefore) return 'next'
  return version === current ? 'current' : 'previous'
}

function isGood(version: VersionTimes, at: number): boolean {
  return stateOf(version, null, at) === 'previous'
}

/** The first instant after `at` at which one of them begins or ends. */
function nextTurn(versions: readonly VersionTimes[], at: number): number {
  let next = Number.POSITIVE_INFINITY
  for (const { notBefore, expiresAt, overlapUntil, revokedAt } of versions) {
    if (revokedAt !== null) continue
    for (const turn of [notBefore, expiresAt, overlapUntil]) if (turn !== null && turn > at && turn < next) next = turn
  }
  return next
}

/** Of the newest, and of the one before it where the newest has yet to begin. */
function whyNone(versions: readonly VersionTimes[], at: number): string {
  const [newest, before] = versions.toReversed()
  if (!newest) return 'it has no version'
  const because = whyNot(newest, at)
  return before && stateOf(newest, null, at) === 'next' ? `${whyNot(before, at)}, and ${because}` : because
}

function whyNot(version: VersionTimes, at: number): string {
  const when = (instant: number | null): string => (instant === null ? '' : new Date(instant).toISOString())
  const it = `version ${version.version}`
  const state = stateOf(version, null, at)
  switch (state) {
    case 'revoked':
      return `${it} was revoked at ${when(version.revokedAt)}`
    case 'expired':
      return `${it} expired at ${when(version.expiresAt)}`
    case 'next':
      return `${it} is not valid before ${when(version.notBefore)}`
    case 'retired':
      return `${it} was superseded and good until ${when(version.overlapUntil)}`
    case 'previous':
    case 'current':
      return `${it} is good`
    default:
      return state satisfies never
  }
}
