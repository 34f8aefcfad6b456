// Sealed secrets in the embedded store. A deleted one keeps its row, without its record, for the version's sake.
import { createHash } from 'node:crypto'
import type { SecretStore } from '../model/ports.ts'
import type { EmbeddedStore } from './embedded.ts'

export function createEmbeddedSecrets(store: EmbeddedStore): SecretStore {
  const versionOf = (name: string): number => {
    const row = store.prepare('SELECT version FROM secrets WHERE name = ?').get(name)
    return Number(row?.version ?? 0)
  }
  return {
    load: (digest) =>
      store.read(() => {
        const rows = store.prepare('SELECT name, record FROM secrets WHERE record IS NOT NULL ORDER BY name').all()
        const records = new Map(rows.map((row) => [String(row.name), String(row.record)]))
        const now = createHash('sha256')
          .update(JSON.stringify([...records]))
          .digest('hex')
        return now === digest ? null : { digest: now, records }
      }),
    version: (name) => store.read(() => versionOf(name)),
    put: (name, version, record) =>
      store.write(() => {
        if (version !== versionOf(name) + 1) return false
        store.prepare('INSERT OR REPLACE INTO secrets (name, version, record) VALUES (?, ?, ?)').run(name, version, record)
        return true
      }),
    delete: (name) =>
      store.write(() => {
        const deleted = store.prepare('UPDATE secrets SET record = NULL WHERE name = ? AND record IS NOT NULL').run(name)
        return deleted.changes === 1
      }),
  }
}
