// Page after page as one stream, fetched as it is read.
import type { AuditFound, AuditPage, AuditPageQuery } from '../model/audit-search.ts'

const PAGE = 500

export async function* streamPages(
  search: (query: AuditPageQuery) => Promise<AuditPage>,
  query: Omit<AuditPageQuery, 'limit'>,
): AsyncGenerator<AuditFound> {
  let cursor = query.cursor
  for (;;) {
    const page: AuditPage = await search({ ...query, limit: PAGE, ...(cursor === undefined ? {} : { cursor }) })
    yield* page.records
    if (page.nextCursor === null) return
    cursor = page.nextCursor
  }
}
