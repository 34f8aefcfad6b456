// What may be asked of the audit trail, and what it answers. Behind the port stands audit/; nothing here knows files.
import type { AuditAct, AuditIntent, AuditResult, RecordedBodies } from './ports.ts'

/** All that is given has to hold; nothing given: everything. */
export interface AuditQuery {
  /** Instant, ms since 1970, of the intent (of a call), else of the record: that and later. */
  readonly from?: number
  /** Earlier than that. */
  readonly to?: number
  /** The caller; of an act, who did it. */
  readonly caller?: string
  readonly adapter?: string
  /** Of any hop of the call: `api.example.com`, or with its port where that is not the scheme's own. */
  readonly host?: string
  /** Of the upstream's answer: the status, its class such as `5xx`, or `none` where no answer came. */
  readonly status?: number | AuditStatusClass
  /** `error.type`; `any`: it failed; `none`: it did not. */
  readonly error?: string
  /** Each `name` or `name=value`. */
  readonly tags?: readonly string[]
  readonly requestId?: string
  /** Name, or name@version. Also finds the acts on that secret. */
  readonly credential?: string
  readonly minDurationMs?: number
  readonly kind?: AuditFound['kind']
}

export const AUDIT_STATUS_CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx', 'none'] as const
export type AuditStatusClass = (typeof AUDIT_STATUS_CLASSES)[number]

export interface AuditPageQuery extends AuditQuery {
  /** 1-1000; default 100. */
  readonly limit?: number
  /** `nextCursor` of the page before. */
  readonly cursor?: string
  /** Default: newest first. */
  readonly order?: 'newest' | 'oldest'
}

/** Where a record stands in the trail: the chain and its number there. */
interface Place {
  readonly chain: string
  readonly seq: number
  /** RFC 3339, UTC. */
  readonly at: string
}

/** Intent and result as one. What only the result tells is null while the call is under way, and for ever where it was lost. */
export interface AuditCall extends Place {
  readonly kind: 'call'
  readonly id: string
  readonly caller: string
  /** null: refused before there was an intent. */
  readonly method: string | null
  readonly url: string | null
  readonly adapter: string | null
  readonly credential: string | null
  readonly tags: AuditIntent['tags']
  /** When its result was written; null: it has none. */
  readonly endedAt: string | null
  readonly status: number | null
  readonly error: string | null
  readonly sent: AuditResult['sent'] | null
  readonly attempts: AuditResult['attempts']
  readonly durationMs: number | null
  readonly bytesOut: number | null
  readonly bytesIn: number | null
  /** Where the adapter has them recorded. */
  readonly bodies: RecordedBodies | null
}

export interface AuditActFound extends Place, Omit<AuditAct, 'id'> {
  readonly kind: 'act'
  /** Of an act in two phases. */
  readonly id: string | null
}

export interface AuditNoteFound extends Place {
  readonly kind: 'note'
  readonly note: string
}

export type AuditFound = AuditCall | AuditActFound | AuditNoteFound

export interface AuditPage {
  readonly records: readonly AuditFound[]
  /**
   * null: that was the last page. One with fewer records than the limit, or none, may have a next one: records may be large, or not
   * all be indexed yet. What is written while somebody pages moves nothing that was on a page.
   */
  readonly nextCursor: string | null
}

export interface AuditSearch {
  /** Rejects with InvalidDescriptor where the cursor is none of ours. What was recorded before the question is found. */
  search(query: AuditPageQuery): Promise<AuditPage>
  /** All that matches, fetched page by page as it is read. */
  stream(query: Omit<AuditPageQuery, 'limit'>): AsyncIterable<AuditFound>
}
