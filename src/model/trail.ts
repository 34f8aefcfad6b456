// The call's ledger: append-only, read by the envelope, audit, log and metrics. Layers write what they saw; nobody reads
// it to decide.

import type { Sent } from '../errors/gateway-error.ts'
import type { RefusalRule } from '../errors/refusal-rules.ts'
import type { AuditPolicy } from './adapter-policy.ts'
import type { Attempt, BreakerState, HistoryEntry, OutgoingView, Wait, WaitReason } from './envelope.ts'
import type { HoldsSecret } from './secret-traces.ts'

export interface Trail {
  readonly attempts: Attempt[]
  readonly history: HistoryEntry[]
  readonly warnings: string[]
  /** Rules that would have refused or delayed the call, had its caller or the adapter's limits not been observed only. */
  readonly observed: RefusalRule[]
  /** Cookies set on the way, by name; the last value stands. */
  readonly cookies: Map<string, string>
  /** Final hop's URL, no userinfo; null until the URL could be prepared. */
  url: string | null
  /** The first hop's adapter. */
  adapter: string | null
  /** Masked; null where no request could be prepared. */
  outgoing: OutgoingView | null
  /** Name and version of the credential attached last, such as `github-token@3`; null: none. */
  credential: string | null
  /** What of the last hop's bodies is recorded; null: nothing was sent. */
  bodyRules: AuditPolicy | null
  /** Whether a text holds a credential that was attached on the way; null: none was, or no bodies are recorded. */
  holdsSecret: HoldsSecret | null
  notRetried: string | null
  breaker: BreakerState | null
  cache: 'hit' | 'miss' | 'revalidated' | 'bypass' | null
  replayed: boolean
  /** Id of the span that the attempt begun next has, where it went upstream; the transport takes it. */
  span: string | null
  /** Request bodies sent, bytes, all attempts. */
  bytesOut: number
  readonly waits: Wait[]
  /** All waits before bytes moved, ms. */
  readonly queuedMs: number
  /** A wait before the next attempt; several add up, the reason of the longest stands. */
  waited(ms: number, because: WaitReason): void
  /** Hands the accumulated wait to the attempt that begins now. */
  takeWait(): { readonly waited: number; readonly because: WaitReason | null }
  warn(message: string): void
  /** Takes note of a rule that would have refused the call, and warns of it. `what` it would: default 'be refused'. */
  observe(rule: RefusalRule, because: string, what?: string): void
  /** The greatest `sent` of all attempts. */
  sent(): Sent
}

const ORDER: Record<Sent, number> = { no: 0, maybe: 1, yes: 2 }

export function greaterSent(a: Sent, b: Sent): Sent {
  return ORDER[a] >= ORDER[b] ? a : b
}

export function createTrail(): Trail {
  let pendingMs = 0
  let pendingBecause: WaitReason | null = null
  let longestMs = 0
  const attempts: Attempt[] = []
  const warnings: string[] = []
  const observed: RefusalRule[] = []
  // Plain properties, no getters: V8 gives every object with getters of its own a shape of its own.
  const trail: Trail & { queuedMs: number } = {
    attempts,
    history: [],
    warnings,
    observed,
    cookies: new Map(),
    url: null,
    adapter: null,
    outgoing: null,
    credential: null,
    bodyRules: null,
    holdsSecret: null,
    notRetried: null,
    breaker: null,
    cache: null,
    replayed: false,
    span: null,
    bytesOut: 0,
    waits: [],
    queuedMs: 0,
    waited(ms, because) {
      trail.waits.push({ because, ms, next: attempts.length })
      pendingMs += ms
      if (ms >= longestMs) {
        longestMs = ms
        pendingBecause = because
      }
      trail.queuedMs += ms
    },
    takeWait() {
      const taken = { waited: pendingMs, because: pendingBecause }
      pendingMs = 0
      pendingBecause = null
      longestMs = 0
      return taken
    },
    warn(message) {
      if (!warnings.includes(message)) warnings.push(message)
    },
    observe(rule, because, what = 'be refused') {
      if (!observed.includes(rule)) observed.push(rule)
      trail.warn(`would ${what}: ${because}`)
    },
    sent() {
      return attempts.reduce<Sent>((most, attempt) => greaterSent(most, attempt.sent), 'no')
    },
  }
  return trail
}
