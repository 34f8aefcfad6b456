// One hop of a call: the request and the rules it goes under. Redirects make further hops, each routed anew.
import type { AdapterPolicy, RetryPolicy } from './adapter-policy.ts'
import type { DescriptorAuth, Pairs } from './descriptor.ts'
import type { PreparedRequest, PreparedUrl } from './prepared-request.ts'

/** Which credential a hop may carry. Values of stored secrets are fetched by the credentials layer, never before. */
export type CredentialChoice =
  | { readonly kind: 'none' }
  | { readonly kind: 'given'; readonly auth: Exclude<DescriptorAuth, { secret: string }> }
  | { readonly kind: 'stored'; readonly name: string; readonly from: 'descriptor' | 'adapter' }

/** The adapter's policy with the descriptor's wishes worked in and clamped. Made by policy/plan-hop.ts. */
export interface HopPlan {
  readonly adapter: AdapterPolicy
  /** Why this adapter: "longest prefix https://api.github.com/ of 2 that match". */
  readonly because: string
  readonly connectMs: number
  readonly readMs: number
  readonly retry: RetryPolicy
  /** Method or idempotency key make a repeat safe even if the request may have arrived. */
  readonly repeatable: boolean
  readonly maxResponseBytes: number
  readonly tls: { readonly verify: boolean; readonly ca: string | null; readonly cert: string | null }
  readonly credential: CredentialChoice
}

export interface HopRequest extends PreparedRequest {
  /** 0 for the first. */
  readonly hop: number
  readonly plan: HopPlan
  /** What this request was composed from; a redirect makes its next hop of it. Its body is this request's, held once. */
  readonly outbound: Outbound
  /** What may be shown of a path that holds a secret; absent: the path itself. */
  readonly shownPath?: string
}

/** A request before an adapter's headers and the cookies were worked in: what a redirect carries from hop to hop. */
export interface Outbound {
  /** 0 for the first. */
  readonly hop: number
  readonly method: string
  readonly url: PreparedUrl
  /** The caller's own; null removes a default or an adapter's header. */
  readonly headers: Pairs
  readonly body: Uint8Array | null
  /** What the body's encoding sets unless the caller gave one; null: nothing. */
  readonly contentType: string | null
  /** The descriptor's cookies that may go to this hop. */
  readonly cookies: readonly (readonly [name: string, value: string])[]
  readonly idempotencyKey: string | null
}
