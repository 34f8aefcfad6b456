// What a caller asked, after parsing: every field typed, every unit resolved, order kept. Made by descriptor/,
// trusted everywhere else. Where a field is absent, the adapter's own value applies.

/** A scalar as it will be written: numbers keep their own text (2.0 stays "2.0"). null: the pair is dropped (params). */
export type PairValue = string | null
/** Name and value in the order of the descriptor's text; a list was unrolled into repeated names. */
export type Pairs = readonly (readonly [name: string, value: PairValue])[]

export interface FilePart {
  readonly name: string
  readonly content: Uint8Array
  /** null: a plain field without a filename. */
  readonly filename: string | null
  readonly contentType?: string
  readonly headers: readonly (readonly [name: string, value: string])[]
}

export type RequestBody =
  | { readonly kind: 'json'; readonly bytes: Uint8Array } // the value's own text as it stood in the descriptor
  | { readonly kind: 'form'; readonly pairs: Pairs }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'raw'; readonly bytes: Uint8Array }
  | { readonly kind: 'multipart'; readonly fields: Pairs; readonly files: readonly FilePart[] }

export type DescriptorAuth =
  | { readonly secret: string }
  | { readonly type: 'basic' | 'digest'; readonly username: string; readonly password: string }
  | { readonly type: 'bearer'; readonly token: string }
  | { readonly type: 'header' | 'query'; readonly name: string; readonly value: string }

/** urllib3's Retry in camelCase; absent keys are the adapter's. Durations in ms. */
export interface RetryAsk {
  readonly total?: number
  readonly connect?: number
  readonly read?: number
  readonly status?: number
  readonly statusForcelist?: readonly number[]
  /** null (adapters only): any method. */
  readonly allowedMethods?: readonly string[] | null
  readonly backoffFactor?: number
  readonly backoffMax?: number
  readonly respectRetryAfterHeader?: boolean
  readonly raiseOnStatus?: boolean
}

export type Decode = 'auto' | 'json' | 'text' | 'base64' | 'none'

export interface Descriptor {
  /** Upper case; never CONNECT. */
  readonly method: string
  /** As given, userinfo still inside: never log it. */
  readonly url: string
  /** A string is appended to the query as it stands. */
  readonly params?: Pairs | string
  /** null removes a default's or an adapter's header. */
  readonly headers: Pairs
  readonly body?: RequestBody
  readonly cookies: readonly (readonly [name: string, value: string])[]
  /** undefined: the adapter's credentials; null: none at all. */
  readonly auth?: DescriptorAuth | null
  readonly timeout: { readonly connect?: number; readonly read?: number; readonly total?: number }
  readonly maxRetries?: RetryAsk
  /** Bytes of the decoded body. */
  readonly maxResponseSize?: number
  /** Absent: true, but false for HEAD. */
  readonly allowRedirects?: boolean
  /** Default 30. */
  readonly maxRedirects: number
  /** Absent or true: the adapter's own; false: unverified; a string names a CA bundle. */
  readonly verify?: boolean | string
  readonly cert?: string
  readonly session?: string
  readonly encoding?: string
  readonly decode: Decode
  readonly idempotencyKey?: string
  readonly inspect: boolean
  readonly tags: Readonly<Record<string, string>>
  /** Warnings met while parsing, such as a timeout so short that seconds were probably meant. */
  readonly warnings: readonly string[]
}
