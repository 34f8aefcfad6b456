// The audit trail of a worker: the primary writes the one chain. The records of one turn of the event loop go to it together, and
// each promise resolves when the primary has written them.
import type { Audit } from '../audit/audit.ts'
import type { AuditEntry } from '../audit/audit-record.ts'
import { streamPages } from '../audit/stream-pages.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import type { AuditPage, AuditPageQuery } from '../model/audit-search.ts'
import type { AuditLog } from '../model/ports.ts'
import type { Peer } from './peer.ts'

export type AuditBatch = readonly Exclude<AuditEntry, { readonly kind: 'note' }>[]

export interface AuditAnswers {
  /** The number of each record; rejects, with none of them counted, where they cannot be written. */
  readonly audit: (batch: AuditBatch) => Promise<readonly (number | null)[]>
  readonly auditWritable: (_: null) => boolean
  readonly searchAudit: (query: AuditPageQuery) => Promise<AuditPage>
}

/** What the primary answers. */
export function answerAudit({ search, ...trail }: Audit): AuditAnswers {
  const write = (entry: AuditBatch[number]): Promise<number | null> => {
    if (entry.kind === 'intent') return trail.intent(entry.record)
    return (entry.kind === 'result' ? trail.result(entry.record) : trail.act(entry.record)).then(() => null)
  }
  return {
    audit: (batch) => Promise.all(batch.map(write)),
    auditWritable: () => trail.writable(),
    searchAudit: (query) => search.search(query),
  }
}

/** `waits` false (best-effort): no call waits for its record. */
export function auditByPrimary(primary: Pick<Peer<AuditAnswers>, 'ask'>, { waits }: { readonly waits: boolean }): Audit {
  let closed = false
  let failing = false
  const told = (failed: boolean): void => {
    failing = failed && waits
  }
  // Apart, since the primary may refuse new calls while it records how others ended.
  const intents = createBatches(primary, told)
  const ends = createBatches(primary, told)

  const add = async (entry: AuditBatch[number]): Promise<number | null> => {
    if (closed && waits)
      throw new GatewayError('Overloaded', 'The gateway is stopping and records nothing more.', { rule: 'audit' })
    if (closed) return null
    const written = (entry.kind === 'intent' ? intents : ends).add(entry)
    return waits ? written : null
  }

  const search = (query: AuditPageQuery): Promise<AuditPage> => primary.ask('searchAudit', query)
  const result: AuditLog['result'] = async (record) => void (await add({ kind: 'result', record }))
  return {
    intent: (record) => add({ kind: 'intent', record }),
    result,
    act: async (record) => void (await add({ kind: 'act', record })),
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
      await Promise.all([intents.flushed(), ends.flushed()])
    },
  }
}

interface Batches {
  /** Resolves with the record's number, once it is written. */
  add(entry: AuditBatch[number]): Promise<number | null>
  /** Sends what waits; resolves when all was answered. */
  flushed(): Promise<unknown>
}

/** What comes in one turn of the event loop goes together. `told`: whether it failed. */
function createBatches(primary: Pick<Peer<AuditAnswers>, 'ask'>, told: (failed: boolean) => void): Batches {
  let pending: {
    readonly batch: AuditBatch[number][]
    readonly written: PromiseWithResolvers<readonly (number | null)[]>
  } | null = null
  const underWay = new Set<Promise<unknown>>()

  const flush = (): void => {
    if (!pending) return
    const { batch, written } = pending
    pending = null
    const asked = primary.ask('audit', batch).then(
      (numbers) => {
        told(false)
        written.resolve(numbers)
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
    add(entry) {
      if (!pending) {
        pending = { batch: [], written: Promise.withResolvers() }
        pending.written.promise.catch(() => {}) // in best-effort nobody listens
        setImmediate(flush)
      }
      const { batch, written } = pending
      const index = batch.push(entry) - 1
      const number = written.promise.then((numbers) => numbers[index] ?? null)
      number.catch(() => {})
      return number
    },
    flushed() {
      flush()
      return Promise.all(underWay)
    },
  }
}
