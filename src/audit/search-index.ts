// The index beside the files: where each call, act and note stands, and what it can be found by (columns.ts). One SQLite file that may
// be thrown away at any time; several processes may fill and read it at once. Knows nothing of reading files.
import { closeSync, openSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { adopt } from './adopt.ts'

/** Another layout: what stands there is thrown away. */
const LAYOUT = 2
const LOCK_WAIT_MS = 5000

const SCHEMA = `
  CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, pos INTEGER NOT NULL, mac TEXT NOT NULL, done INTEGER NOT NULL) STRICT;
  CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, file INTEGER NOT NULL, chain INTEGER NOT NULL, count INTEGER NOT NULL,
    min_at INTEGER NOT NULL, max_at INTEGER NOT NULL) STRICT;
  CREATE INDEX chunks_of_file ON chunks (file, chain);
  CREATE TABLE columns (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
  CREATE TABLE terms (chunk INTEGER NOT NULL, term INTEGER NOT NULL, rows BLOB NOT NULL, PRIMARY KEY (chunk, term)) STRICT, WITHOUT ROWID;
  CREATE TABLE open_calls (
    chain INTEGER NOT NULL, seq INTEGER NOT NULL, id TEXT, caller TEXT, adapter TEXT, row INTEGER NOT NULL,
    PRIMARY KEY (chain, seq)) STRICT, WITHOUT ROWID;
  CREATE INDEX open_calls_by_id ON open_calls (id);
  CREATE INDEX open_calls_by_row ON open_calls (row);
  CREATE TABLE early_results (
    chain INTEGER NOT NULL, seq INTEGER NOT NULL, intent INTEGER, id TEXT, caller TEXT, adapter TEXT,
    file INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL, line TEXT NOT NULL,
    PRIMARY KEY (chain, seq)) STRICT, WITHOUT ROWID;
  CREATE INDEX early_results_by_intent ON early_results (intent);
`

export interface SearchIndex {
  /** Compiled once for each text. */
  prepare(sql: string): StatementSync
  all(sql: string, ...values: SQLInputValue[]): Record<string, SQLInputValue>[]
  /** In one transaction that writes. */
  write<T>(work: () => T): T
  /** In one transaction that reads, so that nothing changes meanwhile. */
  read<T>(work: () => T): T
  close(): void
}

/** `path` null: in memory, for those who may read the trail but write nothing. Throws where it cannot be opened even after it was made anew. */
export function openSearchIndex(path: string | null): SearchIndex {
  const database = path === null ? open(':memory:') : openFile(path)
  const statements = new Map<string, StatementSync>()
  const prepare = (sql: string): StatementSync => {
    const known = statements.get(sql)
    if (known) return known
    const statement = database.prepare(sql)
    statements.set(sql, statement)
    return statement
  }
  return {
    prepare,
    all: (sql, ...values) => prepare(sql).all(...values) as Record<string, SQLInputValue>[],
    write: (work) => within(database, 'BEGIN IMMEDIATE', work),
    read: (work) => within(database, 'BEGIN', work),
    close() {
      if (database.isOpen) database.close()
    },
  }
}

function within<T>(database: DatabaseSync, begin: string, work: () => T): T {
  database.exec(begin)
  try {
    const result = work()
    database.exec('COMMIT')
    return result
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

/** It is made from the files and holds nothing else: damaged, or of another layout, it is made anew. */
function openFile(path: string): DatabaseSync {
  try {
    return openAt(path)
  } catch (error) {
    if (!isDamage(error)) throw error
    removeIndex(path)
    return openAt(path)
  }
}

function openAt(path: string): DatabaseSync {
  closeSync(openSync(path, 'a', 0o600))
  adopt(path, dirname(path))
  return open(path)
}

function open(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: LOCK_WAIT_MS })
  try {
    // A crash may lose its last moments, which are then read from the files again.
    database.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -32000; PRAGMA temp_store = MEMORY;',
    )
    database.exec('BEGIN IMMEDIATE')
    const layout = database.prepare('PRAGMA user_version').get()?.user_version
    if (layout === 0) database.exec(`${SCHEMA} PRAGMA user_version = ${LAYOUT};`)
    else if (layout !== LAYOUT) throw new OtherLayout()
    database.exec('COMMIT')
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

class OtherLayout extends Error {}

export function removeIndex(path: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true })
}

/** SQLITE_CORRUPT, SQLITE_NOTADB and their extended forms; a layout that is not ours; SQLITE_ERROR, of a table that is not there. */
export function isDamage(error: unknown): boolean {
  if (error instanceof OtherLayout) return true
  const code = (error as { errcode?: unknown }).errcode
  return typeof code === 'number' && [1, 11, 26].includes(code & 0xff)
}
