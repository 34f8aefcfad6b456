// The call's ledger: append-only, read by the envelope, audit, log and metrics. Layers write what they saw; nobody reads
// it to decide.

import type { Sent } from '../errors/gateway-error.ts'
import type { RefusalRule } from '../errors/refusal-rules.ts'
import type { AuditPolicy } from './adapter-policy.ts'
import type { Attempt, BreakerState, HistoryEntry, OutgoingView, Wait, WaitReason } from './envelope.ts'
import type { HoldsSecret } from './secret-traces.ts'

export interface Trail {
  readonly attempts: readonly Attempt[]
  readonly history: HistoryEntry[]
  readonly warnings: string[]
  /** Rules that would have refused or delayed the call, had its caller or the adapter's limits not been observed only. */
  readonly observed: RefusalRule[]
  /** Cookies set on the way, by name; the last value stands. */
  readonly cookies: ReadonlyMap<string, string>
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
  /** null: an answer removed it. */
  setCookie(name: string, value: string | null): void
  /** The last of `attempts` from now on. */
  begin(attempt: Attempt): void
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

const NO_COOKIES: ReadonlyMap<string, string> = new Map()

export function createTrail(): Trail {
  return new CallTrail()
}

/** A class: of closures, each call would make one for every method, and keep them until it ends. */
class CallTrail implements Trail {
  attempts: Attempt[] = []
  readonly history: HistoryEntry[] = []
  readonly warnings: string[] = []
  readonly observed: RefusalRule[] = []
  cookies = NO_COOKIES
  url: string | null = null
  adapter: string | null = null
  outgoing: OutgoingView | null = null
  credential: string | null = null
  bodyRules: AuditPolicy | null = null
  holdsSecret: HoldsSecret | null = null
  notRetried: string | null = null
  breaker: BreakerState | null = null
  cache: Trail['cache'] = null
  replayed = false
  span: string | null = null
  bytesOut = 0
  readonly waits: Wait[] = []
  queuedMs = 0
  #pendingMs = 0
  #pendingBecause: WaitReason | null = null
  #longestMs = 0
  #ownCookies: Map<string, string> | null = null

  setCookie(name: string, value: string | null): void {
    this.#ownCookies ??= new Map()
    this.cookies = this.#ownCookies
    if (value === null) this.#ownCookies.delete(name)
    else this.#ownCookies.set(name, value)
  }

  waited(ms: number, because: WaitReason): void {
    this.waits.push({ because, ms, next: this.attempts.length })
    this.#pendingMs += ms
    if (ms >= this.#longestMs) {
      this.#longestMs = ms
      this.#pendingBecause = because
    }
    this.queuedMs += ms
  }

  takeWait(): ReturnType<Trail['takeWait']> {
    const taken = { waited: this.#pendingMs, because: this.#pendingBecause }
    this.#pendingMs = 0
    this.#pendingBecause = null
    this.#longestMs = 0
    return taken
  }

  begin(attempt: Attempt): void {
    // Most calls have one alone, and a push into an empty list makes room for 17.
    if (this.attempts.length === 0) this.attempts = [attempt]
    else this.attempts.push(attempt)
  }

  warn(message: string): void {
    if (!this.warnings.includes(message)) this.warnings.push(message)
  }

  observe(rule: RefusalRule, because: string, what = 'be refused'): void {
    if (!this.observed.includes(rule)) this.observed.push(rule)
    this.warn(`would ${what}: ${because}`)
  }

  sent(): Sent {
    return this.attempts.reduce<Sent>((most, attempt) => greaterSent(most, attempt.sent), 'no')
  }
}
