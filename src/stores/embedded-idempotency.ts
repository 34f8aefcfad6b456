// Outcomes by idempotency key in the embedded store: they outlive a restart of the process.
import { randomUUID } from 'node:crypto'
import type { Clock, IdempotencyClaim, IdempotencyStore } from '../model/ports.ts'
import type { EmbeddedStore } from './embedded.ts'
import { RETAIN_LOST_MS } from './retain-lost.ts'

export function createEmbeddedIdempotency(store: EmbeddedStore, clock: Clock): IdempotencyStore {
  const claimRow = (
    key: string,
    fingerprint: string,
    token: string,
    leaseMs: number,
  ): Exclude<IdempotencyClaim, { state: 'mine' }> | null => {
    const now = clock.date()
    store.prepare('DELETE FROM idempotency WHERE expires <= ?').run(now)
    const row = store.prepare('SELECT fingerprint, outcome, lease_ends FROM idempotency WHERE key = ?').get(key)
    if (row) {
      if (row.fingerprint !== fingerprint) return { state: 'conflict' }
      if (row.outcome !== null) return { state: 'done', outcome: String(row.outcome) }
      return { state: now < Number(row.lease_ends) ? 'running' : 'lost' }
    }
    const leaseEnds = now + Math.ceil(leaseMs)
    store
      .prepare('INSERT INTO idempotency (key, fingerprint, token, outcome, lease_ends, expires) VALUES (?, ?, ?, NULL, ?, ?)')
      .run(key, fingerprint, token, leaseEnds, leaseEnds + RETAIN_LOST_MS)
    return null
  }
  /** Over its own claim, or where there is none any more; never over another's. */
  const completeRow = (key: string, fingerprint: string, token: string, outcome: string, expires: number): void => {
    store
      .prepare(
        `INSERT INTO idempotency (key, fingerprint, token, outcome, lease_ends, expires) VALUES (?, ?, ?, ?, 0, ?)
         ON CONFLICT (key) DO UPDATE SET outcome = excluded.outcome, expires = excluded.expires WHERE token = excluded.token`,
      )
      .run(key, fingerprint, token, outcome, expires)
  }

  return {
    async claim(key, fingerprint, leaseMs) {
      const token = randomUUID()
      const taken = await store.write(() => claimRow(key, fingerprint, token, leaseMs))
      if (taken) return taken
      return {
        state: 'mine',
        complete: (outcome, ttlMs) =>
          store.write(() => completeRow(key, fingerprint, token, outcome, clock.date() + Math.ceil(ttlMs))),
        release: () =>
          store.write(() => {
            store.prepare('DELETE FROM idempotency WHERE key = ? AND token = ?').run(key, token)
          }),
      }
    },
  }
}
