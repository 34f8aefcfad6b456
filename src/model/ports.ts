// The outside, as the inside sees it. Layers receive these; only app.ts knows which implementation stands behind one.
import type { Blame, ErrorType } from '../errors/catalogue.ts'
import type { RefusalRule } from '../errors/refusal-rules.ts'
import type { AdapterPolicy, Ceilings, Rate } from './adapter-policy.ts'
import type { Caller } from './caller.ts'
import type { Attempt, Wait, WaitReason } from './envelope.ts'
import type { PreparedUrl } from './prepared-request.ts'

export interface Clock {
  /** Monotonic, ms, fractional. */
  now(): number
  /** Wall clock, ms since 1970. */
  date(): number
  /** Runs `callback` once after `ms` (≥ 0; longer than 2^31-1 is cut there). Returns how to stop it. */
  after(ms: number, callback: () => void): () => void
}

/** In [0, 1). */
export type Random = () => number

export interface Routes {
  readonly ceilings: Ceilings
  /** Names that `verify` may give. */
  readonly caBundles: ReadonlySet<string>
  /** The adapter mounted on the longest matching prefix; null: none. */
  find(url: PreparedUrl): { readonly adapter: AdapterPolicy; readonly because: string } | null
}

/** RFC 6265 cookies of one call or one session. */
export interface CookieJar {
  /** Value of the Cookie header for that URL, or null. */
  header(url: PreparedUrl): string | null
  /** Takes the set-cookie values of an answer. Returns name and value of those the answer set, null where it removed one. */
  store(url: PreparedUrl, setCookies: readonly string[]): readonly (readonly [name: string, value: string | null])[]
  /** True where something changed since the jar was opened, or its expiry is due to be put off. */
  readonly changed: boolean
  /** True where what was stored could not be read, and the jar began empty. */
  readonly lost?: boolean
}

/** Named cookie jars, private to a caller. */
export interface Sessions {
  /** Throws Overloaded where the store cannot be reached. */
  open(caller: string, name: string): Promise<CookieJar>
  /** Merges what changed into the stored jar. */
  save(caller: string, name: string, jar: CookieJar): Promise<void>
  /** A jar of this call alone, for cookies set and sent along its redirects. */
  transient(): CookieJar
}

export type SecretScheme =
  | 'basic'
  | 'bearer'
  | 'digest'
  | 'header'
  | 'query'
  | 'proxy-basic'
  | 'mtls'
  | 'aws-sigv4'
  | 'hmac'
  | 'oauth2-client-credentials'
  | 'oauth2-refresh-token'
  | 'jwt-bearer'
  | 'placeholder'

/** Keys that may stand in for one another. */
export interface SecretPool {
  readonly pick: 'round-robin' | 'least-used'
  /** At least two sets of values, each complete. */
  readonly members: readonly Readonly<Record<string, string>>[]
}

/** A stored secret, opened. Exists only below the credentials layer; never log or serialise one. */
export interface Secret {
  readonly name: string
  readonly version: number
  readonly scheme: SecretScheme
  /** By the names of its scheme's fields, such as username and password; what is optional may be absent or empty. */
  readonly values: Readonly<Record<string, string>>
  /** Several keys behind the one name, of which `values` is the first; absent: just the one. */
  readonly pool?: SecretPool
  readonly origins: readonly string[]
  readonly callers: readonly string[]
}

export interface SecretUse {
  readonly origin: string
  readonly caller: string
}

export interface Secrets {
  /**
   * Synchronous when the secret is in memory, which is the rule. Checks origin and caller bindings. Answers the same object
   * for as long as the version stands.
   * Throws UnknownCredential (no such name, or not for this origin or caller) or CredentialUnavailable.
   */
  find(name: string, use: SecretUse): Secret | Promise<Secret>
}

/** Versions of one secret that stand beside each other for a while. */
export interface SecretVersions extends Secrets {
  /**
   * A version that is good now beside `secret`, which the upstream refused: the one before it while their overlap lasts, or one
   * that has come since. Checks the same bindings; null: there is none.
   */
  other(secret: Secret, use: SecretUse): Secret | null
  /** The upstream took `secret` after it had refused another version: `find` answers it for that origin until the versions change. */
  prefer(secret: Secret, use: SecretUse): void
}

/** All sealed records by name, and a digest that differs whenever one of them does. */
export interface SecretSnapshot {
  readonly digest: string
  readonly records: ReadonlyMap<string, string>
}

/**
 * Where sealed secrets are kept: opaque text under a name, and how often it was changed, the name's revision. Rejects with
 * Overloaded where the store is away.
 */
export interface SecretStore {
  /** null: all is still as it was when `digest` was given. */
  load(digest: string | null): Promise<SecretSnapshot | null>
  /** `record` null: none. `revision`: the greatest that name ever had, deletions included; 0: never stored. */
  get(name: string): Promise<{ readonly record: string | null; readonly revision: number }>
  /** False, and nothing written, where the revision is not `after` any more: somebody else was first. `revision` is greater. */
  put(name: string, record: string, revision: { readonly after: number; readonly revision: number }): Promise<boolean>
  /** The revision of the deletion; null: there was no record. A record written before cannot come after it. */
  delete(name: string): Promise<number | null>
}

export interface AuditIntent {
  readonly id: string
  readonly caller: string
  readonly method: string
  /** No userinfo; query values of listed keys masked. */
  readonly url: string | null
  readonly adapter: string | null
  readonly credential: string | null
  readonly tags: Readonly<Record<string, string>>
}

export interface AuditResult {
  readonly id: string
  /** Number of its intent's record, which tells calls with one id apart. null: it has none, or its number is not known. */
  readonly intent: number | null
  readonly caller: string
  readonly url: string | null
  readonly adapter: string | null
  readonly status: number | null
  readonly error: ErrorType | null
  readonly sent: 'no' | 'maybe' | 'yes'
  readonly credential: string | null
  readonly attempts: readonly Pick<Attempt, 'hop' | 'origin' | 'address' | 'status' | 'error' | 'sent' | 'elapsed'>[]
  readonly durationMs: number
  readonly bytesOut: number
  readonly bytesIn: number
  /** Rules that would have refused it, had its caller not been observed only. Absent or null: none. */
  readonly observed?: readonly RefusalRule[] | null
  /** Of the last hop, where its adapter has bodies recorded; absent: it has not. */
  readonly bodies?: RecordedBodies | undefined
}

/** `bytes`: of the body as it was. */
export type RecordedBody =
  | { readonly bytes: number; readonly text: string; readonly cut?: true }
  | { readonly bytes: number; readonly omitted: string }

/** null: there was none; absent: it is not recorded. */
export interface RecordedBodies {
  readonly request?: RecordedBody | null
  readonly response?: RecordedBody | null
}

/** Something that an operator did, or tried to do. */
export interface AuditAct {
  /** The caller's name at the admin entrance; the operating system's user at the command line. */
  readonly who: string
  readonly via: 'admin' | 'cli'
  /** Noun and deed, such as `secret.rotate`. */
  readonly act: string
  /** What it was done to, by name; null: the gateway as a whole. */
  readonly subject: string | null
  /** null: done, or only begun. 'Failed': it failed, for a reason that has no name of its own. */
  readonly error: ErrorType | 'Failed' | null
  /** Of an act that has two records, before and after, with one `id`. Absent: one record says all. */
  readonly phase?: 'begun' | 'ended'
  readonly id?: string
  /** Never a value of a secret. */
  readonly detail: Readonly<Record<string, string | number | boolean | null>>
}

/** Two records a call, one an act. Each resolves when the record is with the operating system; rejects with Overloaded if it cannot be. */
export interface AuditLog {
  /** Answers the record's number; null: nobody waits for records. */
  intent(record: AuditIntent): Promise<number | null>
  result(record: AuditResult): Promise<void>
  act(record: AuditAct): Promise<void>
  /** False: calls are refused because the last record could not be written, nor can one now. */
  writable(): boolean
  close(): Promise<void>
}

export interface AdapterSample {
  readonly origin: string
  readonly breaker: 'closed' | 'open' | 'half-open' | null
  readonly connections: number
  readonly idle: number
  readonly inFlight: number
  readonly queued: number
  /** The most that `inFlight` and `queued` can be. */
  readonly slots: number
  readonly places: number
  /** What of the rate can be spent at once, 0 to 1; null: no rate. */
  readonly rateLeft: number | null
  /** Ms until the last credential that a 429 holds back is free; 0: none is held back. */
  readonly cooldownMs: number
}

/** What a TLS handshake failed for. */
export type TlsFailure =
  | 'expired'
  | 'hostname'
  | 'untrusted'
  | 'certificate'
  | 'client-certificate'
  | 'protocol'
  | 'closed'
  | 'timeout'

/** What the metrics tell of a call, or of a refusal at the door. */
export interface CallDeed {
  readonly entrance: string
  /** Of the first hop. */
  readonly adapter: string | null
  readonly caller: string | null
  readonly status: number | null
  readonly error: ErrorType | null
  readonly fault: 'none' | Blame
  /** Of a refusal. */
  readonly rule: RefusalRule | null
  /** null: nothing was done that took time. */
  readonly seconds: number | null
  /** Of `seconds`, what was neither a try nor a wait; null: not known, since somebody else's call was shared. */
  readonly ownSeconds: number | null
  /** W3C trace id; null: none. */
  readonly traceId: string | null
  readonly bytesOut: number
  readonly bytesIn: number
  readonly replayed: boolean
}

/** Of the version that calls get, or the last that they got. Ms since 1970. */
export interface CredentialSample {
  readonly name: string
  /** null: unknown. */
  readonly createdAt: number | null
  /** null: never. */
  readonly expiresAt: number | null
}

/** The rule by which a failure is not tried again although tries were configured. */
export type RefusedRetry = 'budget' | 'breaker' | 'deadline' | 'exhausted' | 'method' | 'retry-after' | 'size'

/** Deeds, not series: names, labels and buckets are telemetry/metrics.ts' own business. */
export interface Meter {
  callEnded(call: CallDeed): void
  attemptEnded(attempt: {
    readonly adapter: string
    readonly status: number | null
    readonly error: ErrorType | null
    readonly seconds: number
    /** It went out on a connection already open. */
    readonly reused: boolean
  }): void
  /** A rule that would have refused a call, had its caller not been observed only. */
  refusalObserved(rule: RefusalRule): void
  /** A wait before a try, or in vain. */
  waited(adapter: string | null, because: WaitReason, seconds: number): void
  /** A connection was opened. */
  connected(adapter: string, seconds: number): void
  tlsShaken(seconds: number, resumed: boolean): void
  tlsFailed(adapter: string, reason: TlsFailure): void
  /** What became of spans sent to the collector. */
  spansExported(count: number, failed: boolean): void
  sessionUsed(outcome: 'unchanged' | 'saved' | 'lost'): void
  retried(adapter: string, reason: 'connect' | 'read' | 'status' | 'other' | 'stale'): void
  retryRefused(adapter: string, rule: RefusedRetry): void
  breakerMoved(adapter: string, to: 'closed' | 'open' | 'half-open'): void
  /** A 429 began to hold a credential back. */
  cooledDown(adapter: string): void
  resolved(seconds: number, outcome: 'hit' | 'answered' | 'failed' | 'refused'): void
  insecure(adapter: string): void
  storeHealthy(store: string, healthy: boolean): void
  storeAnswered(store: string, seconds: number, failed: boolean): void
  auditFailed(): void
  /** refused: the sink had no room; failed: it did not answer as it should. `count` of records, or of times. */
  auditShipped(sink: string, outcome: 'shipped' | 'refused' | 'failed', count: number): void
  /** An administrative act that ended; `act`: noun and deed. */
  acted(act: string, error: ErrorType | null): void
  /** `shared`: another replica had renewed it already. */
  tokenRenewed(renewal: {
    readonly scheme: SecretScheme
    readonly outcome: 'renewed' | 'shared' | 'failed'
    readonly seconds: number
  }): void
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal'

/** Fields come from an allow-list (telemetry/logger.ts); an object of a caller or an error as such is never passed. */
export interface Logger {
  log(level: LogLevel, event: string, fields?: Readonly<Record<string, string | number | boolean | null | undefined>>): void
}

/** One finished call, or refusal at the door, as its log line tells it. */
export interface CallLine {
  readonly requestId: string
  /** Of the W3C trace context that the caller sent, which joins this line to the caller's own; null: none. */
  readonly traceId: string | null
  readonly caller: string | null
  readonly entrance: string
  readonly adapter: string | null
  readonly method: string | null
  /** The logger writes scheme, host and path of it alone. */
  readonly url: string | null
  /** The upstream's; null where none answered. */
  readonly status: number | null
  readonly error: ErrorType | null
  readonly source: 'upstream' | 'gateway'
  /** Whose doing a failure was; `none`: it went well. */
  readonly fault: 'none' | Blame
  /** Of a refusal, which rule it was. */
  readonly rule: RefusalRule | null
  readonly sent: 'no' | 'maybe' | 'yes'
  readonly attempts: number
  readonly durationMs: number
  readonly queuedMs: number
  readonly breaker: 'closed' | 'open' | 'half-open' | null
  /** Name and version, such as `github-token@3`. */
  readonly credential: string | null
  readonly bytesOut: number
  readonly bytesIn: number
  /** As in AuditResult. */
  readonly observed?: readonly RefusalRule[] | null
}

/** Tells calls as spans. */
export interface CallTracer {
  begin(call: {
    readonly entrance: string
    /** Well-formed, or null. */
    readonly traceparent: string | null
    readonly tracestate: string | null
  }): CallTrace
}

/** One call, from its beginning on. */
export interface CallTrace {
  readonly traceId: string
  newSpanId(): string
  /** What an upstream is sent to continue that span. */
  traceparent(spanId: string): string
  end(call: FinishedCall): void
}

export interface FinishedCall {
  readonly line: CallLine
  /** The gateway's own answer. */
  readonly httpStatus: number
  readonly attempts: readonly Attempt[]
  readonly waits: readonly Wait[]
  /** Monotonic clock, ms. */
  readonly endedAt: number
}

export interface CallLog {
  callLine(call: CallLine): void
}

/** Where the outcomes of calls with an idempotency key are remembered. Throws Overloaded where the store is away. */
export interface IdempotencyStore {
  /**
   * Claims `key` (already scoped to its caller) for the request with that fingerprint. The claim is leased for `leaseMs`
   * and renewed by nobody: a call cannot outlive its own deadline.
   */
  claim(key: string, fingerprint: string, leaseMs: number): Promise<IdempotencyClaim>
}

export type IdempotencyClaim =
  /** First: carry the call out, then complete it, or release it where nothing was sent. */
  | { readonly state: 'mine'; complete(outcome: string, ttlMs: number): Promise<void>; release(): Promise<void> }
  | { readonly state: 'done'; readonly outcome: string }
  /** Another replica is at it. */
  | { readonly state: 'running' }
  /** The key belongs to another request. */
  | { readonly state: 'conflict' }
  /** Its first call ended without telling. */
  | { readonly state: 'lost' }

/** Address and port of a dial, as judged. `port` matters because the gateway's own listeners are never dialled. */
export interface OwnListeners {
  has(address: string, port: number): boolean
}

export interface QuotaRefusal {
  /** Names the caller and the key of its configuration. */
  readonly because: string
  readonly retryAfterMs: number
}

/** What is left of one key of a caller's quota. */
export interface QuotaLevel {
  readonly caller: string
  /** The key under `quota`. */
  readonly quota: 'rate' | 'concurrency'
  /** 0 to 1: of the burst, or of the calls at once. */
  readonly left: number
}

/** What callers have left of their quotas. Asked once a call, before anything is done for it; of no concern to callers without one. */
export interface Quotas {
  /** Takes a place and spends a call, or says what refuses it. A caller that is only observed has its place all the same. */
  enter(caller: Caller): QuotaRefusal | null | Promise<QuotaRefusal | null>
  /** Gives the place back: once for each call that had one. */
  leave(caller: Caller): void
  /** What would refuse the next call; takes nothing. */
  peek(caller: Caller): QuotaRefusal | null
  /** How much is left, as far as this process knows: a level for each key of the quota; none where there is none. Takes nothing. */
  levels(caller: Caller): readonly QuotaLevel[]
}

/** The callers' own keys, so that none of them is ever forwarded. */
export interface CallerKeys {
  /** True where `value` is, or carries as a Bearer or Basic credential, the key of any caller. */
  isKey(value: string): boolean
}

/** Seals texts of the gateway's own for the store. `kind` and `key` say what a text is and whose: it opens under the same alone. */
export interface SealedTexts {
  seal(kind: string, key: string, text: string): string
  /** null: it cannot be opened, since it was edited or moved, or its key is gone. */
  open(kind: string, key: string, sealed: string): string | null
}

/** Small texts kept under a key, most with an expiry, changed only by compare-and-set. Rejects with Overloaded where the store is away. */
export interface KeyValueStore {
  /** null: no such key, or expired. */
  get(key: string): Promise<{ readonly value: string; readonly version: number } | null>
  /** The version alone, for whoever has the value already. */
  version(key: string): Promise<number | null>
  /**
   * Writes where the stored version is still `ifVersion` (null: where there is no such key). False: somebody else was first.
   * The expiry starts anew with each write. `ttlMs` null: none, it is kept until it is deleted. `keepExpiry`: that of a text
   * that is there goes on instead.
   */
  put(
    key: string,
    value: string,
    options: { readonly ttlMs: number | null; readonly ifVersion: number | null; readonly keepExpiry?: true },
  ): Promise<boolean>
  delete(key: string): Promise<void>
}

/** What one replica tells the others of its breakers; each key names an adapter and an origin. */
export interface BreakerReport {
  readonly replica: string
  /** Open or half-open by what this replica saw itself. */
  readonly tripped: readonly string[]
  /** Half-open, with calls that would be probes. */
  readonly wanted: readonly string[]
  /** Closed by this replica's probes since its last report. */
  readonly recovered: readonly string[]
}

export interface BreakerNews {
  /** Replicas that reported within the last two seconds, this one included. */
  readonly live: number
  /** How many of them have tripped, by key. */
  readonly votes: ReadonlyMap<string, number>
  /** Keys for which this replica, and no other, may probe, for two seconds from when it last wanted to. */
  readonly leases: ReadonlySet<string>
  /** Keys that a replica's probes closed lately, and when by the store's clock, ms. */
  readonly recovered: ReadonlyMap<string, number>
}

/** Where replicas tell each other of their breakers. Rejects with Overloaded where the store is away. */
export interface BreakerBoard {
  exchange(report: BreakerReport): Promise<BreakerNews>
}

/** A credential that a 429 holds back, as another replica told it. */
export interface CooldownNews {
  /** Of the entry, for as long as it stands. */
  readonly id: string
  readonly key: string
  /** By the store's clock, ms. */
  readonly endsAt: number
  readonly leftMs: number
}

/** Where replicas tell each other of cool-downs. Rejects with Overloaded where the store is away. */
export interface CooldownBoard {
  /** Tells what was begun or made longer here, and answers all that stands of other replicas. Keys hold no credential. */
  exchange(replica: string, told: readonly { readonly key: string; readonly leftMs: number }[]): Promise<readonly CooldownNews[]>
}

/** What one holder tells of its lease on a bucket that several share, and what it asks for. Tokens are whole. */
export interface RateRequest {
  /** Names the bucket among all. */
  readonly bucket: string
  readonly rate: Rate
  /** One bucket object of one process. */
  readonly holder: string
  /** Greater with each request: one that arrives after a later one does nothing. */
  readonly turn: number
  /** Tokens that it keeps for the calls to come. */
  readonly kept: number
  /** Tokens that it will not spend. What is neither kept nor returned is spent, or lost. */
  readonly returned: number
  /** Ms since it last spent or lost one. */
  readonly idleMs: number
  /** Tokens for calls that wait for them now. */
  readonly need: number
  /** They go on waiting where there are fewer: later ones of other holders are not served before the first of them. */
  readonly inLine: boolean
  /** How many it would have in hand for the calls to come, `kept` included; at most an even share of half the burst is granted. */
  readonly ahead: number
  /** How long it may spend what it has in hand, from when it asked. */
  readonly leaseMs: number
  /** What the bucket holds where the store knows nothing of it. */
  readonly start: number
}

export interface RateAnswer {
  readonly granted: number
  /** What the bucket holds now. */
  readonly level: number
  /** Other holders in line, and how many of them came first. */
  readonly waiting: number
  readonly before: number
}

/** Where replicas share their rates. Rejects with Overloaded where the store is away. */
export interface RateStore {
  exchange(request: RateRequest): Promise<RateAnswer>
}
