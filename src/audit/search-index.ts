// The index beside the files: where each call, act and note stands, and what it can be found by. One SQLite file that may be thrown
// away at any time; several processes may fill and read it at once. Knows nothing of reading files.
import { closeSync, openSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { adopt } from './adopt.ts'

/** Another layout: what stands there is thrown away. */
const LAYOUT = 1
const LOCK_WAIT_MS = 5000

const SCHEMA = `
  CREATE TABLE names (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE files (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, pos INTEGER NOT NULL, mac TEXT NOT NULL, done INTEGER NOT NULL) STRICT;
  CREATE TABLE records (
    at INTEGER NOT NULL, chain INTEGER NOT NULL, seq INTEGER NOT NULL, kind INTEGER NOT NULL,
    id TEXT, caller INTEGER, adapter INTEGER, credential INTEGER, version INTEGER,
    status INTEGER, error INTEGER, duration INTEGER,
    file INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL,
    result_file INTEGER, result_start INTEGER, result_length INTEGER,
    PRIMARY KEY (at, chain, seq)) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX by_seq ON records (chain, seq);
  CREATE INDEX by_id ON records (id) WHERE id IS NOT NULL;
  CREATE INDEX by_caller ON records (caller);
  CREATE INDEX by_error ON records (error) WHERE error IS NOT NULL;
  CREATE INDEX by_credential ON records (credential) WHERE credential IS NOT NULL;
  CREATE TABLE terms (
    term INTEGER NOT NULL, at INTEGER NOT NULL, chain INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (term, at, chain, seq)) STRICT, WITHOUT ROWID;
`

export interface SearchIndex {
  /** Compiled once for each text. */
  prepare(sql: string): StatementSync
  all(sql: string, ...values: SQLInputValue[]): Record<string, SQLInputValue>[]
  /** In one transaction that writes. */
  write<T>(work: () => T): T
  /** Number of a name, made where there is none. */
  nameOf(text: string): number
  /** null: no record has it. */
  findName(text: string): number | null
  close(): void
}

/** `path` null: in memory, for those who may read the trail but write nothing. Throws where it cannot be opened even after it was made anew. */
export function openSearchIndex(path: string | null): SearchIndex {
  const database = path === null ? open(':memory:') : openFile(path)
  const statements = new Map<string, StatementSync>()
  const names = new Map<string, number>()
  const prepare = (sql: string): StatementSync => {
    const known = statements.get(sql)
    if (known) return known
    const statement = database.prepare(sql)
    statements.set(sql, statement)
    return statement
  }
  const findName = (text: string): number | null => {
    const known = names.get(text)
    if (known !== undefined) return known
    const row = prepare('SELECT id FROM names WHERE text = ?').get(text)
    if (!row) return null
    // Tags may have no end of values.
    if (names.size > 50_000) names.clear()
    names.set(text, row.id as number)
    return row.id as number
  }
  return {
    prepare,
    all: (sql, ...values) => prepare(sql).all(...values) as Record<string, SQLInputValue>[],
    write(work) {
      database.exec('BEGIN IMMEDIATE')
      try {
        const result = work()
        database.exec('COMMIT')
        return result
      } catch (error) {
        names.clear()
        if (database.isTransaction) database.exec('ROLLBACK')
        throw error
      }
    },
    nameOf(text) {
      const found = findName(text)
      if (found !== null) return found
      const id = Number(prepare('INSERT INTO names (text) VALUES (?)').run(text).lastInsertRowid)
      names.set(text, id)
      return id
    },
    findName,
    close() {
      if (database.isOpen) database.close()
    },
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
