// Small texts with an expiry in the embedded store. Versions begin at the wall clock, so that one of a key that expired and
// came again is no old one.
import type { Clock, KeyValueStore } from '../model/ports.ts'
import type { EmbeddedStore } from './embedded.ts'

/** Of what has no expiry; the column wants a number. */
const NEVER = Number.MAX_SAFE_INTEGER

export function createEmbeddedValues(store: EmbeddedStore, clock: Clock): KeyValueStore {
  const find = (key: string): { value: string; version: number } | null => {
    const row = store.prepare('SELECT value, version FROM kv WHERE key = ? AND expires > ?').get(key, clock.date())
    return row ? { value: String(row.value), version: Number(row.version) } : null
  }
  return {
    get: (key) => store.read(() => find(key)),
    version: (key) => store.read(() => find(key)?.version ?? null),
    put: (key, value, { ttlMs, ifVersion, keepExpiry }) =>
      store.write(() => {
        const now = clock.date()
        const version = find(key)?.version ?? null
        if (version !== ifVersion) return false
        store.prepare('DELETE FROM kv WHERE expires <= ?').run(now)
        const next = version === null ? now : version + 1
        if (keepExpiry && version !== null)
          store.prepare('UPDATE kv SET value = ?, version = ? WHERE key = ?').run(value, next, key)
        else
          store
            .prepare('INSERT OR REPLACE INTO kv (key, value, version, expires) VALUES (?, ?, ?, ?)')
            .run(key, value, next, ttlMs === null ? NEVER : now + ttlMs)
        return true
      }),
    delete: (key) =>
      store.write(() => {
        store.prepare('DELETE FROM kv WHERE key = ?').run(key)
      }),
  }
}
