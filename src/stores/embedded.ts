// The store of an installation without Redis: one SQLite file in the data folder, for its owner's eyes alone. Another process
// (the command line) may have it open at the same time. What is kept there is the business of embedded-*.ts.
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Logger, Meter } from '../model/ports.ts'
import { storeAway, storeFault } from './store-fault.ts'

export interface EmbeddedStore {
  /** Compiled once for each text. */
  prepare(sql: string): StatementSync
  /** Runs `work` in one transaction that writes; a rejection is Overloaded. */
  write<T>(work: () => T): Promise<T>
  read<T>(work: () => T): Promise<T>
  healthy(): boolean
  close(): void
}

const FILE = 'sallyport.db'
/** How long the event loop may wait for another process that writes, ms. */
const LOCK_WAIT_MS = 200

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, version INTEGER NOT NULL, record TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value TEXT NOT NULL, version INTEGER NOT NULL, expires INTEGER NOT NULL) STRICT;
  CREATE INDEX IF NOT EXISTS kv_expires ON kv (expires);
  CREATE TABLE IF NOT EXISTS idempotency (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, token TEXT NOT NULL, outcome TEXT,
    lease_ends INTEGER NOT NULL, expires INTEGER NOT NULL) STRICT;
  CREATE INDEX IF NOT EXISTS idempotency_expires ON idempotency (expires);
`

export interface EmbeddedPorts {
  readonly meter: Pick<Meter, 'storeHealthy' | 'storeAnswered'>
  readonly log: Logger
}

/** Throws where the folder or the file cannot be used. */
export function openEmbedded(dataDir: string, { meter, log }: EmbeddedPorts): EmbeddedStore {
  const database = openFile(dataDir)
  const statements = new Map<string, StatementSync>()
  let healthy = true
  meter.storeHealthy('embedded', true)

  const attempt = async <T>(work: () => T): Promise<T> => {
    const begun = performance.now()
    const told = (failed: boolean): void => meter.storeAnswered('embedded', (performance.now() - begun) / 1000, failed)
    try {
      const result = work()
      told(false)
      if (!healthy) {
        meter.storeHealthy('embedded', true)
        log.log('info', 'store connected', { store: 'embedded' })
      }
      healthy = true
      return result
    } catch (error) {
      const fault = storeFault(error)
      told(true)
      if (healthy) {
        meter.storeHealthy('embedded', false)
        log.log('warn', 'store away', { store: 'embedded', because: fault.reason })
      }
      healthy = false
      throw storeAway('embedded', fault)
    }
  }

  return {
    prepare(sql) {
      const known = statements.get(sql)
      if (known) return known
      const statement = database.prepare(sql)
      statements.set(sql, statement)
      return statement
    },
    write: (work) => attempt(() => inTransaction(database, work)),
    read: attempt,
    healthy: () => healthy,
    close() {
      if (database.isOpen) database.close()
    },
  }
}

function openFile(dataDir: string): DatabaseSync {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const file = join(dataDir, FILE)
  // Made with its permissions before SQLite sees it: its journal files take them over.
  closeSync(openSync(file, 'a', 0o600))
  chmodSync(file, 0o600)
  const database = new DatabaseSync(file, { timeout: LOCK_WAIT_MS })
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON;')
  database.exec(SCHEMA)
  return database
}

function inTransaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    database.exec('COMMIT')
    return result
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}
