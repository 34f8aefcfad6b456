// How a credential gets into a request: what each scheme in credentials/ offers and the credentials layer carries out.
// Which secret, for whom and where to is not decided here.
import type { Sent } from '../errors/gateway-error.ts'
import type { HopRequest } from './hop.ts'
import type { Clock, Logger, Meter, Secret, SecretScheme } from './ports.ts'
import type { PreparedUrl } from './prepared-request.ts'
import type { UpstreamResponse } from './upstream-response.ts'

export interface InjectedHeader {
  readonly name: string
  readonly value: string
  /** What is shown instead of `value`. */
  readonly masked: string
}

/** A request with the credential in its URL or body, and what is shown of the two instead. */
export interface Rewriting {
  readonly url: PreparedUrl
  readonly body: Uint8Array | null
  readonly shown: { readonly url: PreparedUrl; readonly body: Uint8Array | null }
}

/** What a credential adds. Plain data, so that sending and masking are made from the same thing. */
export interface Injection {
  /** Each replaces whatever header of that name the request had. */
  readonly headers: readonly InjectedHeader[]
  /** Unencoded; replaces parameters of that name. null: none. */
  readonly query: { readonly name: string; readonly value: string } | null
  /** Takes the place of the request's own URL and body; absent: they stay. */
  readonly rewritten?: Rewriting
  /** Which of a pool's keys it is, from 1; absent: there is just the one. */
  readonly member?: number
}

export const NO_INJECTION: Injection = { headers: [], query: null }

/**
 * What follows from an answer. null: it stands. Else the request goes out again with a new `inject`: 'challenge' where that
 * answers what the upstream asked (the 401 then stands in the envelope's `history`, as Requests has it for digest), 'renewed'
 * where the credential is another one now.
 */
export type Sequel = null | 'challenge' | 'renewed'

/** What a scheme makes of the outcome of each request that it was injected into (RFC 9110 §11.6.1). */
export interface Dialogue {
  /** Any answer, whatever its status. `answered`: how often the request has gone out again already. */
  heard(request: HopRequest, response: UpstreamResponse, answered: number): Sequel
  /** No answer came: a connection failure, a time limit, a hang-up. Absent: it says nothing of the credential. */
  failed?(request: HopRequest): void
}

/** A request of the gateway's own to a token endpoint (RFC 6749 §3.2). Holds secrets: never log or serialise one. */
export interface TokenRequest {
  readonly url: string
  readonly form: readonly (readonly [name: string, value: string])[]
  /** Client authentication in the Authorization header; null: none. */
  readonly basic: { readonly username: string; readonly password: string } | null
  /** What it presents is used up by being sent: it goes out once, and a shutdown waits for its answer. Absent: it may be repeated. */
  readonly once?: true
}

export type TokenAnswer =
  | { readonly kind: 'answer'; readonly status: number; readonly body: Buffer }
  /** None came, or it was never asked; why, for callers and, with hosts and addresses, for operators. */
  | { readonly kind: 'none'; readonly because: string; readonly privateDetail: string; readonly sent: Sent }

/** Judged, limited and recorded like any other call. `on`: the secret's name, and the id of the call that needs the token. */
export type TokenExchange = (
  request: TokenRequest,
  on: { readonly credential: string; readonly requestId: string },
) => Promise<TokenAnswer>

/** What all replicas know of one credential: a text, sealed, changed only by compare-and-set. Rejects with Overloaded where the store is away. */
export interface SharedState {
  /** null: nothing is kept. `text` null: what is kept cannot be opened. */
  read(): Promise<{ readonly text: string | null; readonly version: number } | null>
  /** As KeyValueStore.put. */
  write(text: string, options: { readonly ttlMs: number | null; readonly ifVersion: number | null }): Promise<boolean>
  /** null: another has it. It is prolonged until it is released, and ends by itself a few seconds after its holder has died. */
  lease(): Promise<{ release(): Promise<void> } | null>
  /** A shutdown waits for `work`, for a while. */
  hold<T>(work: Promise<T>): Promise<T>
}

export interface TokenPorts {
  readonly clock: Clock
  readonly exchange: TokenExchange
  /** `credential`: name, version and key of a pool, such as `crm-token@3#2`. */
  readonly shared: (credential: string) => SharedState
  readonly meter: Pick<Meter, 'tokenRenewed'>
  readonly log: Logger
}

/** On whose behalf a credential is obtained, and with what. */
export interface Errand {
  /** The secret's name, for messages. */
  readonly credential: string
  readonly version: number
  /** Which of a pool's keys, from 1; null: there is just the one. */
  readonly member: number | null
  readonly requestId: string
  readonly ports: TokenPorts
}

/** One credential with its values, made once per secret version; keeps what must be remembered between requests. */
export interface OpenCredential {
  /**
   * Absent: it is always at hand. Else asked before each `inject`. null: it is at hand now; else resolves when it is, one
   * errand serving all who wait, and rejects with CredentialUnavailable. It does not end with the call that it was begun for.
   */
  obtain?(errand: Errand, request: HopRequest): Promise<void> | null
  /** Asked exactly once per request sent. */
  inject(request: HopRequest): Injection
  /**
   * An answer's headers as they may be followed and shown: without this credential where their URLs repeat it, and with the
   * paths that the caller knows. The same list where nothing changed. Absent: the credential stands in no URL.
   */
  cleanHeaders?(rawHeaders: readonly string[], request: HopRequest): readonly string[]
  /** null: nothing follows from any answer. */
  readonly dialogue: Dialogue | null
}

/** Several keys behind one name, as one credential. `members`: one for each of `secret.pool`, in its order. */
export type OpenPool = (secret: Secret, members: readonly OpenCredential[]) => OpenCredential

/** An answer that a key may be the cause of. */
export interface KeyRefusal {
  readonly status: 401 | 429
  readonly rawHeaders: readonly string[]
  /** In a row with this one, from 1. */
  readonly refusals: number
  /** Wall clock, ms since 1970. */
  readonly date: number
}

/** How long a key is set aside. */
export interface KeyRest {
  readonly ms: number
  readonly because: string
}

export interface CredentialScheme {
  readonly name: SecretScheme
  /** Where such a credential is used: in a request to an upstream, toward an upstream proxy, or as a TLS client certificate. */
  readonly place: 'request' | 'proxy' | 'tls'
  /** Throws InvalidHeader where a value cannot be sent. */
  open(values: Readonly<Record<string, string>>): OpenCredential
}
