// Every deed that changes or lists stored secrets, for the command line and the admin entrance alike. Values go in and never
// come out: no answer here holds one.
import type { SecretPool, SecretScheme } from '../model/ports.ts'
import type { NewSecret } from './provision.ts'

/** When a new version serves. Instants are ms since 1970. */
export interface Terms {
  /** Not used before; absent: at once. Until then the present version serves on. */
  readonly notBefore?: number
  /** Not used from then on; absent or null: no end. */
  readonly expiresAt?: number | null
  /** How long the version before it is still good, ms, counted from when the new one begins. */
  readonly overlapMs?: number
}

/** What a rotation changes; an absent key is as in the version before. */
export interface Rotation extends Partial<Omit<NewSecret, 'name' | 'values'>>, Terms {
  readonly values: NewSecret['values']
}

export interface SecretChange {
  readonly name: string
  /** The version that was made; null: none was. */
  readonly version: number | null
  /** The change is done, and yet something was not as it should be; for whoever asked for it. */
  readonly warnings: readonly string[]
}

/** current: what calls get. previous: still good. next: not yet. retired: superseded. */
export type VersionState = 'current' | 'previous' | 'next' | 'retired' | 'expired' | 'revoked'

/** Instants are ms since 1970; null: unknown or none. */
export interface ListedVersion {
  readonly version: number
  readonly state: VersionState
  readonly scheme: SecretScheme
  readonly origins: readonly string[]
  readonly callers: readonly string[]
  /** null: one set of values. */
  readonly pool: { readonly pick: SecretPool['pick']; readonly size: number } | null
  readonly createdAt: number | null
  readonly notBefore: number | null
  readonly expiresAt: number | null
  /** A superseded version is good until then. */
  readonly overlapUntil: number | null
  readonly revokedAt: number | null
}

export type ListedSecret =
  | { readonly name: string; readonly keyId: string; readonly versions: readonly ListedVersion[] }
  /** Its record cannot be used; why, without any value. */
  | { readonly name: string; readonly fault: string }

export interface RekeyReport {
  /** Id of the active key. */
  readonly keyId: string
  readonly resealed: readonly string[]
  /** Already under the active key. */
  readonly unchanged: number
  readonly failed: readonly { readonly name: string; readonly because: string }[]
}

/**
 * Each deed is one compare-and-set of one record, tried again where somebody else was first. They reject with InvalidDescriptor
 * (what was given is wrong), UnknownCredential (no such secret or version) or Overloaded (the store is away).
 */
export interface SecretAdministration {
  /** Stores `secret` as the next version of its name. The version before ends at once, unless `overlapMs` says otherwise. */
  set(secret: NewSecret, terms?: Terms): Promise<SecretChange>
  /** New values for a secret that exists; scheme, origins, callers and pool stay unless given. Overlap: 1 h by default. */
  rotate(name: string, rotation: Rotation): Promise<SecretChange>
  /** Wipes the values of one version, or of all (null), and keeps what is known of them. */
  revoke(name: string, version: number | null): Promise<SecretChange>
  /** Removes the record; a secret stored under that name later is never taken for a roll-back. */
  remove(name: string): Promise<SecretChange>
  /** Seals every record anew that is not under the active key. May be interrupted and run again, beside anything else. */
  rekey(onProgress?: (done: number, of: number) => void): Promise<RekeyReport>
  /** By name. */
  list(): Promise<readonly ListedSecret[]>
}
