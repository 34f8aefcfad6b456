// The trail of an installation without its gateway, for the command line: to be searched, followed and verified, beside a gateway
// that writes it, or as a copy.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { AuditFound, AuditQuery, AuditSearch } from '../model/audit-search.ts'
import type { AuditSink } from '../model/audit-sink.ts'
import type { AuditKeys } from './audit-keys.ts'
import type { ChainEnd } from './chain-writer.ts'
import { endOfTrail, followTrail } from './follow-trail.ts'
import { type TrailLine, toFound } from './found.ts'
import { matches } from './match.ts'
import { linesOf } from './read-blocks.ts'
import { openTrailSearch, type TrailSearch } from './search.ts'
import { openCursor } from './ship-cursor.ts'
import { shipTrail } from './ship-trail.ts'
import { type VerifyReport, verifyTrail } from './verify.ts'

export interface Trail extends AuditSearch {
  verify(checkpoints: readonly ChainEnd[]): Promise<VerifyReport>
  /** The newest that match, oldest of them first, and then each as it is recorded: a call when it has ended. */
  tail(query: AuditQuery, options: { readonly last: number; readonly follow: AbortSignal | null }): AsyncIterable<AuditFound>
  /** Everything from where the cursor stands. Rejects as the sink does. `cursorFile` null: from the beginning; one that cannot be written is told before anything is sent. */
  ship(
    sink: AuditSink,
    options: { readonly cursorFile: string | null; readonly batch: number; sent(records: readonly unknown[]): void },
  ): Promise<void>
  close(): Promise<void>
}

const FOLLOW_EVERY_MS = 200

/** `folder`: with the files. `keys` null: it cannot be verified. `copy`: nothing is written beside them, so that the index is made in memory. */
export function openTrail(folder: string, keys: AuditKeys | null, { copy }: { readonly copy: boolean }): Trail {
  let search: TrailSearch | null = null
  const searching = (): TrailSearch => {
    search ??= openBeside(folder, copy)
    return search
  }
  return {
    search: (query) => searching().search(query),
    stream: (query) => searching().stream(query),
    async verify(checkpoints) {
      if (keys === null) throw new Error('to verify wants the keys of the installation: --config FILE, or SALLYPORT_CONFIG')
      return verifyTrail({ folder, keys, checkpoints })
    },
    async *tail(query, { last, follow }) {
      const positions = await endOfTrail(folder)
      const shown = new Set<string>()
      for (const found of (await newest(searching(), query, last)).reverse()) {
        if (found.kind !== 'call' || found.endedAt !== null) shown.add(`${found.chain} ${found.seq}`)
        yield found
      }
      if (!follow) return
      for await (const found of endedSince(folder, positions, follow))
        if (matches(found, query) && !shown.delete(`${found.chain} ${found.seq}`)) yield found
    },
    async ship(sink, { cursorFile, batch, sent }) {
      const cursor = openCursor(cursorFile)
      cursor.write()
      await shipTrail({ folder, cursor, sink, batch, stopped: () => false, waiting: () => {}, sent })
    },
    close: async () => search?.close(),
  }
}

async function newest(search: AuditSearch, query: AuditQuery, most: number): Promise<AuditFound[]> {
  const found: AuditFound[] = []
  if (most === 0) return found
  for await (const each of search.stream(query)) if (found.push(each) === most) break
  return found
}

/** Who may read the trail but write nothing beside it has the index in memory. */
function openBeside(folder: string, copy: boolean): TrailSearch {
  if (!copy && existsSync(folder)) {
    try {
      return openTrailSearch(folder, join(dirname(folder), 'audit-index.db'))
    } catch {
      // Not ours to write.
    }
  }
  return openTrailSearch(folder, null)
}

async function* endedSince(folder: string, positions: Map<string, number>, signal: AbortSignal): AsyncGenerator<AuditFound> {
  const open = new Map<string, TrailLine>()
  for await (const block of followTrail(folder, positions, { signal, everyMs: FOLLOW_EVERY_MS })) {
    const { chain } = block.block
    for (const { line: bytes } of linesOf(block)) {
      const line = JSON.parse(bytes.toString('utf8')) as TrailLine
      if (line.kind === 'intent') {
        open.set(`${chain} ${line.seq}`, line)
        continue
      }
      const key = line.kind === 'result' ? `${chain} ${line.intent}` : ''
      const intent = open.get(key)
      open.delete(key)
      if (line.kind !== 'result' || intent) yield intent ? toFound(chain, intent, line) : toFound(chain, line)
      // Begun before we looked: the call is what stands at its intent.
      else yield { ...toFound(chain, line), seq: line.intent ?? line.seq }
    }
  }
}
