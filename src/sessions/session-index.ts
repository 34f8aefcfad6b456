// Which sessions a caller has, for operators: a store of keys and values cannot be asked for all of a kind. It may lag behind: a
// name in it whose jar has expired is dropped when it is next looked at.
import type { KeyValueStore } from '../model/ports.ts'

export interface SessionIndex {
  /** A session began. Never rejects: one that is not noted is not listed, and works all the same. */
  note(caller: string, name: string): Promise<void>
  /** The newest last. Rejects with Overloaded where the store is away. */
  names(caller: string): Promise<readonly string[]>
  /** Takes out names that are no more. Never rejects. */
  drop(caller: string, gone: ReadonlySet<string>): Promise<void>
}

/** Of one caller; those that began earlier are not listed. */
const MOST_NAMES = 1000
/** Two at once are rare. */
const MAX_TRIES = 5

export function createSessionIndex(store: KeyValueStore): SessionIndex {
  const keyOf = (caller: string): string => `sessions:${encodeURIComponent(caller)}`
  const change = async (caller: string, edit: (names: readonly string[]) => readonly string[]): Promise<void> => {
    try {
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const found = await store.get(keyOf(caller))
        const names = edit(parseNames(found?.value))
        if (await store.put(keyOf(caller), JSON.stringify(names), { ttlMs: null, ifVersion: found?.version ?? null })) return
      }
    } catch {
      // The store is away, and says so itself.
    }
  }
  return {
    note: (caller, name) => change(caller, (names) => [...names.filter((known) => known !== name), name].slice(-MOST_NAMES)),
    names: async (caller) => parseNames((await store.get(keyOf(caller)))?.value),
    drop: (caller, gone) => change(caller, (names) => names.filter((name) => !gone.has(name))),
  }
}

function parseNames(text: string | undefined): string[] {
  try {
    const names: unknown = JSON.parse(text ?? '[]')
    return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : []
  } catch {
    return []
  }
}
