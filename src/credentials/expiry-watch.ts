// Says in the log, once for each threshold, that a secret is about to end, as long as no version is there to come after it.
import type { Logger } from '../model/ports.ts'
import { decideExpiryWarning } from './expiry-warning.ts'
import type { Entry, Held } from './follow-secrets.ts'
import type { OpenedVersion } from './seal.ts'

export function createExpiryWatch(log: Logger) {
  /** By name and version: the threshold that was announced last. */
  const announced = new Map<string, number>()
  return {
    look(entries: ReadonlyMap<string, Entry>, now: number): void {
      for (const [name, entry] of entries) {
        if ('fault' in entry) continue
        const ending = endingOf(entry)
        if (!ending || ending.expiresAt === null) continue
        const credential = `${name}@${ending.version}`
        const threshold = decideExpiryWarning(ending.expiresAt - now, announced.get(credential) ?? null)
        if (threshold === null) continue
        announced.set(credential, threshold)
        const until = new Date(ending.expiresAt).toISOString()
        if (threshold === 0) log.log('error', 'secret expired', { credential, until })
        else log.log('warn', 'secret expires soon', { credential, until, afterMs: ending.expiresAt - now })
      }
    },
  }
}

/** The newest, unless it is revoked: whoever rotates in time hears nothing of the version before. */
function endingOf({ versions }: Held): OpenedVersion | null {
  const newest = versions.at(-1)
  return newest && newest.revokedAt === null ? newest : null
}
