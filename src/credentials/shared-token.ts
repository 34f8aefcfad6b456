// What the two ways of renewing have in common: whose shared state it is, how it is read, and how another's renewal is waited for.
import type { z } from 'zod'
import type { Errand, SharedState } from '../model/credential-scheme.ts'
import type { Clock } from '../model/ports.ts'

/** How often one looks whether the replica that renews is done, ms. */
const POLL_MS = 100

export function sharedStateOf({ credential, version, member, ports }: Errand): SharedState {
  return ports.shared(sharedTokenName(credential, version, member))
}

export function sharedTokenName(credential: string, version: number, member: number | null): string {
  return member === null ? `${credential}@${version}` : `${credential}@${version}#${member}`
}

/** null: nothing is kept, or nothing that this version of Sallyport reads. */
export function readSharedText<T>(text: string | null | undefined, schema: z.ZodType<T>): T | null {
  if (text === null || text === undefined) return null
  try {
    return schema.parse(JSON.parse(text))
  } catch {
    return null
  }
}

export function waitForOther(clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    clock.after(POLL_MS, resolve)
  })
}
