// The audit trail of a worker: it forms its records, the primary writes the one chain. Those of one turn of the event loop go to it
// together, and each promise resolves when the primary has written them.
import type { Audit, OwnAudit } from '../audit/audit.ts'
import { type AuditEntry, type FormedEntry, formRecord } from '../audit/audit-record.ts'
import { streamPages } from '../audit/stream-pages.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import type { AuditPage, AuditPageQuery } from '../model/audit-search.ts'
import type { Peer } from './peer.ts'
import type { Outcome, RecordPipe } from './record-pipe.ts'

export interface AuditAnswers {
  readonly auditWritable: (_: null) => boolean
  readonly searchAudit: (query: AuditPageQuery) => Promise<AuditPage>
}

/** What the primary answers. */
export function answerAudit(trail: Pick<OwnAudit, 'writable' | 'search'>): AuditAnswers {
  return {
    auditWritable: () => trail.writable(),
    searchAudit: (query) => trail.search.search(query),
  }
}

export interface AuditByPrimaryPorts {
  readonly primary: Pick<Peer<AuditAnswers>, 'ask'>
  readonly pipe: RecordPipe
}

/** `waits` false (best-effort): no call waits for its record. */
export function auditByPrimary({ primary, pipe }: AuditByPrimaryPorts, { waits }: { readonly waits: boolean }): Audit {
  let closed = false
  let failing = false
  // Apart, since the primary may refuse new calls while it records how others ended.
  let next = { ends: createBatch(), intents: createBatch() }
  let sending: Promise<void> | null = null

  /** What comes while a message is under way goes with the next one: the busier the machine, the more records a message has. */
  const send = async (): Promise<void> => {
    for (;;) {
      await endOfTurn()
      const { ends, intents } = next
      if (ends.count + intents.count === 0) break
      next = { ends: createBatch(), intents: createBatch() }
      const written = await pipe.ask({ ends: ends.records, intents: intents.records })
      failing = waits && (written.ends instanceof Error || written.intents instanceof Error)
      settle(ends, written.ends)
      settle(intents, written.intents)
    }
    sending = null
  }

  /** Resolves with the record's number; null: nobody waits for it. */
  const add = (kind: 'ends' | 'intents', entry: Exclude<AuditEntry, FormedEntry>): Promise<number | null> => {
    if (closed && waits) return Promise.reject(stopping())
    if (closed) return NOBODY_WAITS
    const batch = next[kind]
    const index = batch.count++
    batch.records += index === 0 ? formRecord(entry) : `\n${formRecord(entry)}`
    sending ??= send()
    return waits ? batch.written.promise.then((first) => (first === null ? null : first + index)) : NOBODY_WAITS
  }

  const search = (query: AuditPageQuery): Promise<AuditPage> => primary.ask('searchAudit', query)
  const end = async (entry: Exclude<AuditEntry, FormedEntry>): Promise<void> => void (await add('ends', entry))
  return {
    intent: (record) => add('intents', { kind: 'intent', record }),
    result: (record) => end({ kind: 'result', record }),
    act: (record) => end({ kind: 'act', record }),
    writable() {
      // Whoever asks next has the answer.
      if (failing)
        void primary.ask('auditWritable', null).then(
          (writable) => (failing = !writable),
          () => {},
        )
      return !failing
    },
    lags: () => [], // the primary tells them
    search: { search, stream: (query) => streamPages(search, query) },
    async close() {
      closed = true
      await sending
    },
  }
}

const NOBODY_WAITS: Promise<null> = Promise.resolve(null)

interface Batch {
  /** Each one's text, a line each. */
  records: string
  count: number
  /** Resolves with the number of the first one, once all are written. */
  readonly written: PromiseWithResolvers<number | null>
}

function createBatch(): Batch {
  const written = Promise.withResolvers<number | null>()
  written.promise.catch(() => {}) // in best-effort nobody listens
  return { records: '', count: 0, written }
}

function settle({ written }: Batch, outcome: Outcome): void {
  if (outcome instanceof Error) written.reject(outcome)
  else written.resolve(outcome)
}

function endOfTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}

function stopping(): GatewayError {
  return new GatewayError('Overloaded', 'The gateway is stopping and records nothing more.', { rule: 'audit' })
}
