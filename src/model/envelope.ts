// The parts of the wire's envelope that grow while a call is under way. contract: "The response envelope".
import type { ErrorType } from '../errors/catalogue.ts'
import type { Sent } from '../errors/gateway-error.ts'
import type { HeaderList } from './header-list.ts'

export type WaitReason = 'backoff' | 'Retry-After' | 'rate limit' | 'queue' | 'renewed credential'
/** A wait before the attempt that is `next`th in the ledger, or in vain where there is none. */
export interface Wait {
  readonly because: WaitReason
  readonly ms: number
  readonly next: number
}

export type BreakerState = 'closed' | 'open' | 'half-open'

/** One try on the wire. The transport opens it and closes it; nobody else writes to it. */
export interface Attempt {
  readonly hop: number
  readonly method: string
  /** No query, no userinfo. */
  readonly url: string
  readonly adapter: string
  readonly origin: string
  address: string | null
  reused: boolean
  readonly waited: number
  readonly because: WaitReason | null
  status?: number
  error?: ErrorType
  sent: Sent
  connect: number | null
  firstByte: number | null
  elapsed: number
  /** Monotonic clock, ms; for traces, not shown. */
  readonly begun: number
  /** Its span's id, where that was sent upstream; not shown. */
  readonly span: string | null
}

/** A redirect hop that was followed, or a digest 401. */
export interface HistoryEntry {
  readonly method: string
  readonly status: number
  readonly reason: string
  readonly url: string
  readonly rawHeaders: readonly string[]
  readonly elapsed: number
}

/** The request as it went out, every secret masked; made by the credentials layer, the only one that knows them. */
export interface OutgoingView {
  readonly method: string
  readonly url: string
  readonly headers: HeaderList
  readonly body: Uint8Array | null
  /** As it was sent, where `body` is masked; absent: those of `body`. */
  readonly bodyBytes?: number
}
