// Sessions as operators see them: whose, and how many cookies for which domains. Never a cookie's name or value.
import type { KeyValueStore } from '../model/ports.ts'
import type { SessionIndex } from './session-index.ts'
import { EMPTY_JAR, jarKey, parseJar } from './stored-jar.ts'

export interface SessionRow {
  readonly caller: string
  readonly name: string
  /** Expired ones that were not yet cleared away included. */
  readonly cookies: number
  readonly domains: readonly string[]
  /** Wall clock, ms since 1970. */
  readonly writtenAt: number
}

/** Every function rejects with Overloaded where the store is away. */
export interface SessionList {
  /** By name. */
  list(caller: string): Promise<SessionRow[]>
  /** False: there was none. */
  forget(caller: string, name: string): Promise<boolean>
}

export function createSessionList(store: KeyValueStore, index: SessionIndex): SessionList {
  return {
    async list(caller) {
      const names = await index.names(caller)
      const rows: SessionRow[] = []
      for (const name of [...names].sort()) {
        const found = await store.get(jarKey(caller, name))
        if (found !== null) rows.push(rowOf(caller, name, found.value))
      }
      const alive = new Set(rows.map(({ name }) => name))
      if (alive.size < names.length) await index.drop(caller, new Set(names.filter((name) => !alive.has(name))))
      return rows
    },
    async forget(caller, name) {
      const there = (await store.version(jarKey(caller, name))) !== null
      if (there) await store.delete(jarKey(caller, name))
      await index.drop(caller, new Set([name]))
      return there
    },
  }
}

function rowOf(caller: string, name: string, text: string): SessionRow {
  const { writtenAt, cookies } = parseJar(text) ?? EMPTY_JAR
  const domains = new Set(cookies.map(({ domain }) => domain).filter((domain) => typeof domain === 'string'))
  return { caller, name, cookies: cookies.length, domains: [...domains].sort(), writtenAt }
}
