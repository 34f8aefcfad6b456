// The audit trail of a running gateway, joined: what writes it and what searches it. app.ts opens it.
import type { AuditSearch } from '../model/audit-search.ts'
import type { AuditLog, Clock, Meter } from '../model/ports.ts'
import type { AuditKeys } from './audit-keys.ts'
import { createAuditLog } from './audit-log.ts'
import { createSearchThread } from './search-thread.ts'

/** As the configuration has it. */
export interface AuditSettings {
  readonly durability: 'process' | 'strict' | 'best-effort'
  readonly fileBytes: number
}

export interface AuditPorts {
  readonly dataDir: string
  readonly keys: AuditKeys
  readonly clock: Clock
  readonly meter: Pick<Meter, 'auditFailed'>
}

export interface Audit extends AuditLog {
  readonly search: AuditSearch
}

/** Throws where the folder or today's file cannot be used. */
export function openAudit({ durability, fileBytes }: AuditSettings, { dataDir, keys, clock, meter }: AuditPorts): Audit {
  const log = createAuditLog({ dataDir, clock, meter, durability, fileBytes, keys })
  const search = createSearchThread({ dataDir, clock })
  return {
    ...log,
    search,
    async close() {
      await search.close()
      await log.close()
    },
  }
}
