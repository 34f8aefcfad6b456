// When the stored secrets were made and when they end, read off at the scrape. Their names are a label, and so bounded.
import type { CredentialSample } from '../model/ports.ts'
import type { Exposition } from './exposition.ts'
import { SERIES } from './series.ts'

const MAX_NAMES = 1000

export type CredentialSampler = () => Iterable<CredentialSample>

export function createCredentialGauges({ gauge }: Exposition): (from: CredentialSampler) => void {
  const expires = gauge(SERIES.credentialExpires)
  const created = gauge(SERIES.credentialCreated)
  return (sampler) => {
    // One that was deleted, or has no end any more, must not keep its last values.
    expires.reset()
    created.reset()
    const others = { expiresAt: Number.POSITIVE_INFINITY, createdAt: Number.POSITIVE_INFINITY }
    let count = 0
    for (const { name, createdAt, expiresAt } of sampler()) {
      if (++count <= MAX_NAMES) {
        if (expiresAt !== null) expires.set({ credential: name }, expiresAt / 1000)
        if (createdAt !== null) created.set({ credential: name }, createdAt / 1000)
      } else {
        others.expiresAt = Math.min(others.expiresAt, expiresAt ?? others.expiresAt)
        others.createdAt = Math.min(others.createdAt, createdAt ?? others.createdAt)
      }
    }
    if (Number.isFinite(others.expiresAt)) expires.set({ credential: 'other' }, others.expiresAt / 1000)
    if (Number.isFinite(others.createdAt)) created.set({ credential: 'other' }, others.createdAt / 1000)
  }
}
