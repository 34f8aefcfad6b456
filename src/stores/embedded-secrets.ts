// Sealed secrets in the embedded store. A deleted one keeps its row, without its record, for its revision's sake.
import type { SecretStore } from '../model/ports.ts'
import type { EmbeddedStore } from './embedded.ts'

export function createEmbeddedSecrets(store: EmbeddedStore): SecretStore {
  let ownChanges = 0
  /** SQLite counts what other processes change; what this one does is counted here. */
  const digestNow = (): string => `${store.prepare('PRAGMA data_version').get()?.data_version} ${ownChanges}`
  const find = (name: string): { record: string | null; revision: number } => {
    const row = store.prepare('SELECT record, version FROM secrets WHERE name = ?').get(name)
    return { record: row?.record == null ? null : String(row.record), revision: Number(row?.version ?? 0) }
  }
  return {
    load: (digest) =>
      store.read(() => {
        const now = digestNow()
        if (now === digest) return null
        const rows = store.prepare('SELECT name, record FROM secrets WHERE record IS NOT NULL').all()
        return { digest: now, records: new Map(rows.map((row) => [String(row.name), String(row.record)])) }
      }),
    get: (name) => store.read(() => find(name)),
    put: (name, record, { after, revision }) =>
      store.write(() => {
        if (find(name).revision !== after) return false
        store.prepare('INSERT OR REPLACE INTO secrets (name, version, record) VALUES (?, ?, ?)').run(name, revision, record)
        ownChanges++
        return true
      }),
    delete: (name) =>
      store.write(() => {
        const { record, revision } = find(name)
        if (record === null) return null
        store.prepare('UPDATE secrets SET record = NULL, version = ? WHERE name = ?').run(revision + 1, name)
        ownChanges++
        return revision + 1
      }),
  }
}
