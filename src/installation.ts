// What of an installation the gateway and the command line both open: its stores, its keys, its clock. Its calls are app.ts' affair,
// which the command line has no need to load.

import { BREAKER_OVERRIDES } from './admin/shared-overrides.ts'
import { type AuditKeys, createAuditKeys, deriveAuditKeys, readOwnKey } from './audit/audit-keys.ts'
import type { AdministeredCaller } from './callers/administration.ts'
import { CALLER_KEY_USE } from './callers/key-use.ts'
import { CALLER_KEYS } from './callers/stored-keys.ts'
import type { Config } from './config/config.ts'
import type { KeyRing } from './credentials/key-ring.ts'
import type { LastingText } from './credentials/lasting-texts.ts'
import { openKeyRing } from './credentials/open-secrets.ts'
import { createTextSealer, type TextSealer } from './credentials/seal-text.ts'
import { parseKeys, readKeys } from './credentials/sources/key-source.ts'
import type { Clock } from './model/ports.ts'
import { openStores, type Stores, type StoresPorts } from './stores/open-stores.ts'

/** What stands in the store for long, under the sealing keys. */
export const LASTING_TEXTS: readonly LastingText[] = [CALLER_KEYS, CALLER_KEY_USE, BREAKER_OVERRIDES]

export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, Math.min(ms, 2 ** 31 - 1))
    return () => clearTimeout(timer)
  },
}

/** The configured callers, as far as administration wants to know them. */
export function administered({ callers }: Config): AdministeredCaller[] {
  return callers.map(({ caller, keyHashes, jwt, certificates }) => ({
    ...{ name: caller.name, admin: caller.admin, keyHashes, jwt: jwt !== null, certificates: certificates.length },
  }))
}

/** `canSeal`: a sealing key is configured; without one, secrets stay in memory. */
export function openConfiguredStores(
  { store, dataDir }: Config,
  { canSeal, ...ports }: StoresPorts & { readonly canSeal: boolean },
): Stores {
  return openStores({ redis: store.redis, prefix: store.prefix, dataDir, canSeal }, ports)
}

/** Its own keys; else out of the sealing keys; else one that this installation makes for itself. Throws SealError. */
export function openAuditKeys({ audit, dataDir, store }: Config, ring: KeyRing | null): AuditKeys {
  if (audit.keyFile !== null) return createAuditKeys(readKeys({ file: audit.keyFile }).keys)
  if (audit.key !== null) return createAuditKeys(parseKeys(audit.key, 'audit.key').keys)
  if (ring !== null) return deriveAuditKeys(ring, store.installation)
  const { text, file } = readOwnKey(dataDir)
  return createAuditKeys(parseKeys(text, file).keys)
}

/** For small texts, under the same keys. null: no key is configured. */
export function openTextSealer(config: Config): TextSealer | null {
  const ring = openKeyRing(config.store)
  return ring && createTextSealer({ ring, installation: config.store.installation })
}
