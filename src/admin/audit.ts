// The audit trail as operators search and export it.
import type { AdminInput, AdminOutput } from '../descriptor/admin-entrances.ts'
import type { AdminExport } from '../model/administration.ts'
import { CSV_HEADER, csvRow } from '../model/audit-csv.ts'
import type { AuditFound, AuditQuery, AuditSearch } from '../model/audit-search.ts'
import { invalid } from './instants.ts'

export interface AuditPorts {
  readonly trail: AuditSearch
}

type Query = AdminInput<'searchAudit'>['query']

export function createAuditOperations({ trail }: AuditPorts) {
  return {
    async searchAudit({ query }: AdminInput<'searchAudit'>, format: string | null) {
      const { limit, cursor, order } = query
      const asked = { ...filtersOf(query), ...(cursor === undefined ? {} : { cursor }) }
      if (format !== null) {
        if (limit !== undefined) throw invalid('/limit', 'is for pages; an export is whole: leave it out')
        return exported(await begun(trail.stream({ ...asked, order: order ?? 'oldest' })), format)
      }
      const page = await trail.search({ ...asked, ...(limit === undefined ? {} : { limit }), order: order ?? 'newest' })
      return { json: page as unknown as AdminOutput<'searchAudit'> }
    },
  }
}

function filtersOf({ tag, minDuration, limit: _limit, cursor: _cursor, order: _order, ...query }: Query): AuditQuery {
  const filters = { ...query, tags: tag, minDurationMs: minDuration }
  return Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined)) as AuditQuery
}

/** With its first record found: what cannot be searched is refused ahead of any answer. */
async function begun<T>(found: AsyncIterable<T>): Promise<AsyncIterable<T>> {
  const reading = found[Symbol.asyncIterator]()
  const first = await reading.next()
  return (async function* () {
    if (first.done) return
    yield first.value
    yield* { [Symbol.asyncIterator]: () => reading }
  })()
}

function exported(found: AsyncIterable<AuditFound>, format: string): AdminExport {
  const csv = format === 'text/csv'
  return {
    contentType: csv ? 'text/csv; charset=utf-8; header=present' : format,
    fileName: csv ? 'audit.csv' : 'audit.ndjson',
    pieces: csv ? rows(found) : lines(found),
  }
}

async function* lines(found: AsyncIterable<AuditFound>): AsyncGenerator<string> {
  for await (const record of found) yield `${JSON.stringify(record)}\n`
}

async function* rows(found: AsyncIterable<AuditFound>): AsyncGenerator<string> {
  yield CSV_HEADER
  for await (const record of found) yield csvRow(record)
}
