// Every knob of one adapter, typed, units resolved: ms, bytes, ratios 0-1. Made by config/, trusted everywhere else.

import type { HeaderPair } from './header-list.ts'
import type { JsonPath } from './json-path.ts'

export interface TimeoutPolicy {
  readonly connectMs: number
  readonly readMs: number
  readonly totalMs: number
}

export interface RetryPolicy {
  /** Further tries after the first, all reasons together. 0: none. */
  readonly total: number
  /** null: bounded by total alone. */
  readonly connect: number | null
  readonly read: number | null
  readonly status: number | null
  readonly statusForcelist: readonly number[]
  /** null: any method. */
  readonly allowedMethods: readonly string[] | null
  readonly backoffFactorMs: number
  readonly backoffMaxMs: number
  readonly respectRetryAfterHeader: boolean
  /** A longer Retry-After ends the retrying. */
  readonly retryAfterMaxMs: number
  readonly raiseOnStatus: boolean
  /** Share of recent requests that may be retries, 0-1; null: no budget. Floor of 10 in 10 s. */
  readonly budget: number | null
}

export interface BreakerPolicy {
  /** failures / completed at or above which it trips, 0-1. */
  readonly errorRate: number
  /** Completed calls in the window below which it never trips. */
  readonly volume: number
  readonly windowMs: number
  readonly openForMs: number
  /** Calls admitted at once while half-open; all must succeed to close. */
  readonly probes: number
  /** Statuses that count as failures. */
  readonly statuses: readonly number[]
  /** A good answer that takes this long or longer counts as a failure; null: however long it takes. */
  readonly slowMs: number | null
  /** After it closed, a growing share is let through for so long. 0: everything at once. */
  readonly rampMs: number
}

export interface Rate {
  readonly count: number
  readonly perMs: number
  /** Bucket size; at most `count`. */
  readonly burst: number
}

export interface LimitsPolicy {
  /** Calls at once per adapter and origin. */
  readonly concurrency: number
  /** Calls waiting for a slot; one more is BulkheadFull. 0: no queue. */
  readonly queue: number
  readonly rate: Rate | null
  /** Who has a bucket of the rate: the origin, for all; or each caller or credential at the origin. */
  readonly rateBy: 'origin' | 'caller' | 'credential'
  /** Whoever finds the rate spent, or its credential cooled down, waits where its deadline allows, or never does. */
  readonly whenSpent: 'queue' | 'reject'
  /** observe: what would wait or be refused is let through, and told. */
  readonly mode: 'enforce' | 'observe'
  /** A 429 that says for how long holds every call with its credential back. */
  readonly cooldown: boolean
}

export interface PoolPolicy {
  /** Connections per origin. */
  readonly connections: number
  /** An unused connection is closed after this long. */
  readonly idleMs: number
  readonly http2: boolean
}

export interface TlsPolicy {
  readonly verify: boolean
  /** Name of a configured CA bundle; null: the system's roots. */
  readonly ca: string | null
  /** Name of a stored client certificate. */
  readonly cert: string | null
  /** Callers may say `verify: false`. */
  readonly allowInsecure: boolean
  /** With `verify: false`: stored secrets are still sent. */
  readonly allowInsecureSecrets: boolean
}

export interface ProxyPolicy {
  /** http:// or https:// origin of the proxy. */
  readonly url: string
  /** Stored secret of scheme proxy-basic. */
  readonly credentials: string | null
  /** 'local': the target is resolved and judged here and CONNECT names the judged address. */
  readonly resolve: 'local' | 'remote'
}

export interface EgressPolicy {
  /** CIDRs allowed although not global unicast. */
  readonly allow: readonly string[]
  /** CIDRs inside the metadata ranges need their own line. */
  readonly allowMetadata: readonly string[]
  /** Ports that may be dialled; null: any. */
  readonly ports: readonly number[] | null
  /** 'refuse' (default): one refused address refuses the name; 'filter': the others are used. */
  readonly mixedAnswers: 'refuse' | 'filter'
}

export interface AuditPolicy {
  readonly bodies: { readonly request: boolean; readonly response: boolean }
  /** So much of a body is recorded. */
  readonly bodyBytes: number
  /** Lower case, `*` for any characters. */
  readonly contentTypes: readonly string[]
  /** Masked in JSON. */
  readonly redact: readonly JsonPath[]
}

/**
 * Where the values of a secret of the scheme placeholder go. Texts name a value as `{name}`; `{{` is a brace. The upstream gets
 * the value there, everybody else sees `***`.
 */
export interface Placement {
  /** The whole path, with `**` for what follows the mount in the caller's; null: the path is the caller's. */
  readonly path: string | null
  /** Each replaces what the request has under that name. */
  readonly query: readonly (readonly [name: string, text: string])[]
  readonly headers: readonly HeaderPair[]
  /** Members of a JSON object, set or added at a JSON pointer (RFC 6901). */
  readonly body: readonly (readonly [pointer: string, text: string])[]
}

export interface AdapterPolicy {
  readonly name: string
  /** Normalised: scheme and host in lower case, default port left out. */
  readonly mount: string
  /** null: every method. */
  readonly methods: readonly string[] | null
  /** Path globs; null: every path. */
  readonly paths: readonly string[] | null
  /** Name of a stored secret that is attached where a descriptor has no `auth`. */
  readonly credentials: string | null
  /** Of that secret's values; null: its scheme knows where they go. */
  readonly placement: Placement | null
  readonly headers: readonly HeaderPair[]
  readonly params: readonly (readonly [string, string])[]
  readonly cookies: readonly (readonly [string, string])[]
  readonly timeout: TimeoutPolicy
  readonly retry: RetryPolicy
  /** null: off. */
  readonly breaker: BreakerPolicy | null
  readonly limits: LimitsPolicy
  readonly pool: PoolPolicy
  readonly tls: TlsPolicy
  readonly proxy: ProxyPolicy | null
  readonly egress: EgressPolicy
  readonly redirects: { readonly follow: 'follow' | 'same-origin' | 'none'; readonly drop: readonly string[] }
  /** Largest decoded body, bytes. */
  readonly responseSize: number
  readonly allowHostHeader: boolean
  readonly allowPlaintextSecrets: boolean
  /** Header names passed on upstream: traceparent, x-request-id. */
  readonly propagate: readonly string[]
  /** Header in which an upstream is told how long anybody still waits for its answer, ms; null: it is not told. */
  readonly timeoutHeader: string | null
  readonly idempotencyHeader: string
  /** 'shared': calls with a key need the shared store; 'local': this replica's own memory will do. */
  readonly idempotency: 'shared' | 'local'
  readonly idempotencyTtlMs: number
  readonly sessions: boolean
  readonly tunnel: boolean
  readonly audit: AuditPolicy
}

/** What no descriptor may exceed. */
export interface Ceilings {
  readonly timeout: TimeoutPolicy
  readonly maxRetries: number
  readonly responseSize: number
}
