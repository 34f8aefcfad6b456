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
  /** Empty where there is none. */
  readonly body: Buffer
}

export interface AdminReply {
  readonly json: unknown
}

export interface Administration {
  /** Rejects with a GatewayError. What changes something, and what is refused, is recorded before it is answered. */
  perform(ask: AdminAsk): Promise<AdminReply>
}
