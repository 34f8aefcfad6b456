// The audit trail of a running gateway, joined: what writes it and what searches it. app.ts opens it.
import { join } from 'node:path'
import type { AuditSearch } from '../model/audit-search.ts'
import type { AuditLog, Clock, Logger, Meter } from '../model/ports.ts'
import type { AuditKeys } from './audit-keys.ts'
import { createAuditLog } from './audit-log.ts'
import { keepHouse } from './housekeeping.ts'
import { createSearchThread } from './search-thread.ts'

/** As the configuration has it. */
export interface AuditSettings {
  readonly durability: 'process' | 'strict' | 'best-effort'
  readonly fileBytes: number
  /** null: files are kept as they were written. */
  readonly compressAfterMs: number | null
  readonly retentionMs: number | null
  readonly checkpoint: { readonly everyMs: number; readonly file: string | null } | null
}

export interface AuditPorts {
  readonly dataDir: string
  readonly keys: AuditKeys
  readonly clock: Clock
  readonly meter: Pick<Meter, 'auditFailed'>
  readonly log: Logger
}

export interface Audit extends AuditLog {
  readonly search: AuditSearch
}

/** Throws where the folder or today's file cannot be used. */
export function openAudit(settings: AuditSettings, { dataDir, keys, clock, meter, log }: AuditPorts): Audit {
  const { durability, fileBytes, compressAfterMs } = settings
  const trail = createAuditLog({ dataDir, clock, meter, durability, fileBytes, keys })
  const folder = join(dataDir, 'audit')
  const search = createSearchThread({ dataDir, compressAfterMs }, { clock, log })
  const stopHousekeeping = keepHouse(settings, { folder, keys, clock, log, trail, needed: () => false })
  return {
    ...trail,
    search,
    async close() {
      await search.close()
      await trail.close()
      await stopHousekeeping()
    },
  }
}
