// One writer at a time for one chain of the trail, across processes. The lock is the operating system's own (by way of SQLite),
// so that it ends with the process that held it, however that ended.
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { adopt } from './adopt.ts'

export interface FolderLock {
  release(): void
}

/** null: another process holds it, and still did after `waitMs`. Throws where the folder cannot be written. */
export function takeLock(folder: string, name: string, waitMs: number): FolderLock | null {
  const path = join(folder, `.${name}.lock`)
  closeSync(openSync(path, 'a', 0o600))
  adopt(path, folder)
  const database = new DatabaseSync(path, { timeout: waitMs })
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (isBusy(error)) return null
    throw error
  }
  return {
    release() {
      if (database.isOpen) database.close()
    },
  }
}

/** SQLITE_BUSY and its extended forms. */
function isBusy(error: unknown): boolean {
  const code = (error as { errcode?: unknown }).errcode
  return typeof code === 'number' && (code & 0xff) === 5
}
