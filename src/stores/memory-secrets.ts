// Secrets in this process alone: what stands in for a store where there is no key to seal with.
import type { SecretStore } from '../model/ports.ts'

export function createMemorySecrets(): SecretStore {
  const records = new Map<string, string>()
  const versions = new Map<string, number>()
  let changes = 0
  return {
    async load(digest) {
      const now = String(changes)
      return now === digest ? null : { digest: now, records: new Map(records) }
    },
    version: async (name) => versions.get(name) ?? 0,
    async put(name, version, record) {
      if (version !== (versions.get(name) ?? 0) + 1) return false
      versions.set(name, version)
      records.set(name, record)
      changes++
      return true
    },
    async delete(name) {
      if (!records.delete(name)) return false
      changes++
      return true
    },
  }
}
