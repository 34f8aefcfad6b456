// The admin entrance as server/ sees it.
import type { Caller } from './caller.ts'

export interface AdminAsk {
  /** Its name in the table of admin entrances. */
  readonly operation: string
  readonly caller: Caller
  readonly requestId: string
  /** The names that stood in braces in its path, decoded. */
  readonly params: Readonly<Record<string, string>>
  /** Without the question mark. */
  readonly query: string
  /** Accept of the request; empty: none. */
  readonly accept: string
  /** Empty where there is none. */
  readonly body: Buffer
}

/** A whole JSON answer, or a text that is written piece by piece as it is read. */
export type AdminReply = { readonly json: unknown } | AdminExport

export interface AdminExport {
  readonly contentType: string
  /** What a browser would keep it as. */
  readonly fileName: string
  readonly pieces: AsyncIterable<string>
}

export interface Administration {
  /** Rejects with a GatewayError. What changes something, and what is refused, is recorded before it is answered. */
  perform(ask: AdminAsk): Promise<AdminReply>
}
