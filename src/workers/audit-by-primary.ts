// The audit trail of a worker: it forms its records, the primary writes the one chain. Those of one turn of the event loop go to it
// together, and each promise resolves when the primary has written them.
import type { Audit, OwnAudit } from '../audit/audit.ts'
import { type AuditEntry, type FormedEntry, formRecord } from '../audit/audit-record.ts'
import { streamPages } from '../audit/stream-pages.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import type { AuditPage, AuditPageQuery } from '../model/audit-search.ts'
import type { Peer } from './peer.ts'

/** `records`: each one's text, a line each. */
export interface AuditBatch {
  readonly kind: 'intents' | 'ends'
  readonly records: string
}

export interface AuditAnswers {
  /** The number of the first record; null: nobody waits for records. Rejects, with none of them counted, where they cannot be written. */
  readonly audit: (batch: AuditBatch) => Promise<number | null>
  readonly auditWritable: (_: null) => boolean
  readonly searchAudit: (query: AuditPageQuery) => Promise<AuditPage>
}

/** What the primary answers. */
export function answerAudit(trail: Pick<OwnAudit, 'formed' | 'writable' | 'search'>): AuditAnswers {
  return {
    audit: ({ kind, records }) => trail.formed(kind, records.split('\n')),
    auditWritable: () => trail.writable(),
    searchAudit: (query) => trail.search.search(query),
  }
}

/** `waits` false (best-effort): no call waits for its record. */
export function auditByPrimary(primary: Pick<Peer<AuditAnswers>, 'ask'>, { waits }: { readonly waits: boolean }): Audit {
  let closed = false
  let failing = false
  const told = (failed: boolean): void => {
    failing = failed && waits
  }
  let scheduled = false
  /** Together, so that they are one message. */
  const flush = (): void => {
    scheduled = false
    ends.flush()
    intents.flush()
  }
  const soon = (): void => {
    if (!scheduled) setImmediate(flush)
    scheduled = true
  }
  // Apart, since the primary may refuse new calls while it records how others ended.
  const intents = createBatches(primary, { kind: 'intents', told, soon })
  const ends = createBatches(primary, { kind: 'ends', told, soon })

  /** null: nobody waits for it. */
  const add = (batches: Batches, entry: Exclude<AuditEntry, FormedEntry>): Added | null => {
    if (closed && waits)
      throw new GatewayError('Overloaded', 'The gateway is stopping and records nothing more.', { rule: 'audit' })
    const added = closed ? null : batches.add(formRecord(entry))
    return waits ? added : null
  }

  const search = (query: AuditPageQuery): Promise<AuditPage> => primary.ask('searchAudit', query)
  const end = async (entry: Exclude<AuditEntry, FormedEntry>): Promise<void> => void (await add(ends, entry)?.written)
  return {
    async intent(record) {
      const added = add(intents, { kind: 'intent', record })
      const first = (await added?.written) ?? null
      return added === null || first === null ? null : first + added.index
    },
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
      flush()
      await Promise.all([intents.answered(), ends.answered()])
    },
  }
}

interface Added {
  /** Of the batch's first record: its number, once all of it is written. */
  readonly written: Promise<number | null>
  /** Of this record in the batch. */
  readonly index: number
}

interface Batches {
  add(text: string): Added
  /** Sends what waits. */
  flush(): void
  /** Resolves when all that was sent was answered. */
  answered(): Promise<unknown>
}

interface Batch {
  records: string
  count: number
  readonly written: PromiseWithResolvers<number | null>
}

interface BatchPorts {
  readonly kind: AuditBatch['kind']
  /** Whether a batch failed. */
  readonly told: (failed: boolean) => void
  /** Something waits to be flushed. */
  readonly soon: () => void
}

function createBatches(primary: Pick<Peer<AuditAnswers>, 'ask'>, { kind, told, soon }: BatchPorts): Batches {
  let pending: Batch | null = null
  const underWay = new Set<Promise<unknown>>()

  const flush = (): void => {
    if (!pending) return
    const { records, written } = pending
    pending = null
    const asked = primary.ask('audit', { kind, records }).then(
      (first) => {
        told(false)
        written.resolve(first)
      },
      (error: unknown) => {
        told(true)
        written.reject(error)
      },
    )
    underWay.add(asked)
    void asked.then(() => underWay.delete(asked))
  }

  return {
    flush,
    add(text) {
      if (!pending) {
        pending = { records: text, count: 1, written: Promise.withResolvers() }
        pending.written.promise.catch(() => {}) // in best-effort nobody listens
        soon()
        return { written: pending.written.promise, index: 0 }
      }
      pending.records += `\n${text}`
      return { written: pending.written.promise, index: pending.count++ }
    },
    answered: () => Promise.all(underWay),
  }
}
