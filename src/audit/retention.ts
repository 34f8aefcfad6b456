// Removes files that are older than they have to be kept. A note in the chain says which, and the last MAC of each, before they go:
// a file that is gone without one was removed by somebody else.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { AuditEntry } from './audit-record.ts'
import { lastBlockOf } from './chain-writer.ts'
import { dayEnd } from './compress.ts'
import { listFiles, type TrailFile } from './file-names.ts'

export interface RetentionOptions {
  readonly folder: string
  readonly writer: string
  readonly now: number
  /** Age of the end of a file's day from which on it goes. */
  readonly keepMs: number
  /** Must not go yet, whatever its age. */
  readonly needed: (file: TrailFile) => boolean
  /** Into the chain of that writer. Throws where it cannot be written; nothing is then removed. */
  readonly append: (entries: readonly AuditEntry[]) => void
}

/** Answers how many went. The newest file stays, so that the chain goes on from it. */
export function removeOld({ folder, writer, now, keepMs, needed, append }: RetentionOptions): number {
  const files = listFiles(folder, writer)
  const kept = files.findIndex((file, at) => at === files.length - 1 || dayEnd(file) + keepMs > now || needed(file))
  const old = files.slice(0, Math.max(0, kept))
  const last = old.at(-1)
  if (!last) return 0
  const removed = Object.fromEntries(old.map((file) => [file.name, lastBlockOf(folder, file)?.mac ?? '']))
  append([{ kind: 'note', note: `removed for their age: ${old.length} files, the last ${last.name}`, removed }])
  for (const file of old) for (const suffix of ['', '.gz']) rmSync(join(folder, `${file.name}${suffix}`), { force: true })
  return old.length
}
