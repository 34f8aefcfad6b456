// What travels beside a request, once per call. Immutable but for its trail, which only grows.
import type { Caller } from './caller.ts'
import type { Cancellation } from './cancellation.ts'
import type { Descriptor } from './descriptor.ts'
import type { CallTrace, CookieJar, Routes } from './ports.ts'
import type { Trail } from './trail.ts'

export interface CallContext {
  readonly requestId: string
  /** W3C trace context as the caller sent it; passed on only where an adapter says so. */
  readonly traceparent: string | null
  /** Beside it, as the caller sent it. Absent or null: none. */
  readonly tracestate?: string | null
  /** null or absent: calls are not traced. */
  readonly trace?: CallTrace | null
  readonly caller: Caller
  readonly descriptor: Descriptor
  /** Ends every wait of the call: total clock, hang-up, shutdown. */
  readonly cancellation: Cancellation
  /** On the monotonic clock, ms: when the total clock runs out. */
  readonly deadline: number
  /** The mounted adapters as they were when the call began; a reload does not change a call under way. */
  readonly routes: Routes
  readonly jar: CookieJar
  readonly trail: Trail
}
