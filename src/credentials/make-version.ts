// A record with one version more, or with one revoked: what the deeds of administer.ts come to. Instants are ms since 1970.
import { GatewayError } from '../errors/gateway-error.ts'
import type { Secret } from '../model/ports.ts'
import { revoke, supersede } from './change-versions.ts'
import { chooseVersion, stateOf } from './choose-version.ts'
import type { NewSecret } from './provision.ts'
import type { OpenedRecord, OpenedVersion } from './seal.ts'

/** When a new version serves. Instants are ms since 1970. */
export interface Terms {
  /** Not used before; absent: at once. Until then the present version serves on. */
  readonly notBefore?: number
  /** Not used from then on; absent or null: no end. */
  readonly expiresAt?: number | null
  /** How long the version before it is still good, ms, counted from when the new one begins. */
  readonly overlapMs?: number
}

export interface MadeVersions {
  readonly versions: readonly OpenedVersion[]
  /** The one that was made or revoked; null: none, or all. */
  readonly version: number | null
  readonly warnings: readonly string[]
}

/** Throws InvalidDescriptor where it could never serve. */
export function withVersion(found: OpenedRecord, given: NewSecret, terms: Terms, now: number): MadeVersions {
  const { notBefore = now, expiresAt = null, overlapMs = 0 } = terms
  const startsAt = Math.max(now, notBefore)
  if (expiresAt !== null && expiresAt <= startsAt)
    throw new GatewayError('InvalidDescriptor', `secret "${given.name}": it would expire before it begins to serve`)
  const { name, scheme, values, pool, origins, callers } = given
  const version = (found.versions.at(-1)?.version ?? found.revision) + 1
  const secret: Secret = { name, version, scheme, values, ...(pool ? { pool } : {}), origins, callers }
  const made: OpenedVersion = {
    ...{ version, scheme, origins: [...origins], callers: [...callers] },
    pool: pool ? { pick: pool.pick, size: pool.members.length } : null,
    ...{ createdAt: now, notBefore: startsAt, expiresAt, overlapUntil: null, revokedAt: null, secret },
  }
  const dropped = found.versions.filter((each) => stateOf(each, null, now) === 'next').map((each) => each.version)
  const superseded = dropped.map((number) => `version ${number}, which had yet to begin, is dropped`)
  const kept = supersede(found.versions, { now, startsAt, overlapMs })
  return { versions: [...kept, made], version, warnings: superseded }
}

/** `version` null: all of them. null: they are revoked already. Throws UnknownCredential where there is no such version. */
export function withoutVersion(found: OpenedRecord, version: number | null, now: number): MadeVersions | null {
  if (version !== null && !found.versions.some((each) => each.version === version))
    throw new GatewayError('UnknownCredential', `secret "${found.name}" has no version ${version}`)
  const versions = revoke(found.versions, version, now)
  if (versions.every((each, index) => each === found.versions[index])) return null
  const warnings = version === null ? [] : whatIsLeft(found.name, versions, now)
  return { versions: versions.map((each) => (each.revokedAt === null ? each : { ...each, secret: null })), version, warnings }
}

function whatIsLeft(name: string, versions: readonly OpenedVersion[], now: number): string[] {
  const { current, because } = chooseVersion(versions, now)
  if (current === null) return [`no version of "${name}" serves now: ${because}`]
  if (current.overlapUntil === null) return []
  return [`version ${current.version} serves in its place, and only until ${new Date(current.overlapUntil).toISOString()}`]
}
