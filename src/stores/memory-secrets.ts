// Secrets in this process alone: what stands in for a store where there is no key to seal with.
import type { SecretStore } from '../model/ports.ts'

export function createMemorySecrets(): SecretStore {
  const records = new Map<string, string>()
  const revisions = new Map<string, number>()
  let changes = 0
  const revisionOf = (name: string): number => revisions.get(name) ?? 0
  return {
    async load(digest) {
      const now = String(changes)
      return now === digest ? null : { digest: now, records: new Map(records) }
    },
    get: async (name) => ({ record: records.get(name) ?? null, revision: revisionOf(name) }),
    async put(name, record, { after, revision }) {
      if (revisionOf(name) !== after) return false
      revisions.set(name, revision)
      records.set(name, record)
      changes++
      return true
    },
    async delete(name) {
      if (!records.delete(name)) return null
      const revision = revisionOf(name) + 1
      revisions.set(name, revision)
      changes++
      return revision
    },
  }
}
