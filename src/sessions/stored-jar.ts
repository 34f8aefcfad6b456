// A session's cookies as they are stored, and where.
import type { SerializedCookie } from 'tough-cookie'

export interface StoredJar {
  /** Wall clock, ms since 1970. */
  readonly writtenAt: number
  readonly cookies: readonly SerializedCookie[]
}

export const EMPTY_JAR: StoredJar = { writtenAt: 0, cookies: [] }

/** Encoded, so that no caller's name can run into a session's. */
export function jarKey(caller: string, name: string): string {
  return `session:${encodeURIComponent(caller)}:${encodeURIComponent(name)}`
}

export function writeJar(jar: StoredJar): string {
  return JSON.stringify(jar)
}

/** null: no jar. It counts as an empty one, and is written over. */
export function parseJar(text: string): StoredJar | null {
  try {
    const value: unknown = JSON.parse(text)
    return isJar(value) ? value : null
  } catch {
    return null
  }
}

function isJar(value: unknown): value is StoredJar {
  return typeof value === 'object' && value !== null && 'cookies' in value && Array.isArray(value.cookies) && 'writtenAt' in value
}
