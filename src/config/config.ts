// The configuration as the rest of the house knows it: complete, units resolved (ms, bytes, ratios), names checked.
import type { AdapterPolicy, Ceilings } from '../model/adapter-policy.ts'
import type { Caller } from '../model/caller.ts'
import type { LogLevel } from '../model/ports.ts'
import type { RedisTarget } from '../model/redis-target.ts'
import type { CertificateName } from '../policy/certificate-names.ts'

export interface ListenConfig {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  readonly descriptorBytes: number
  readonly headTimeoutMs: number
  /** From the first byte of a request to its last. */
  readonly bodyTimeoutMs: number
  readonly keepAliveMs: number
  readonly connections: number
  /** How long calls under way may take at shutdown. */
  readonly drainMs: number
  /** Of `drainMs`. */
  readonly drainNoticeMs: number
  /** What the listener's TLS asks of callers; null: plain HTTP. Its texts are `listenPems`. */
  readonly tls: { readonly asksClient: boolean; readonly requiresClient: boolean } | null
}

/** PEM texts. */
export interface ListenPems {
  readonly cert: string
  /** Never show it. */
  readonly key: string
  /** null: no client certificate is asked for. */
  readonly clientCa: string | null
}

export interface StoreConfig {
  /** With its passwords: never show it. null: the embedded store. */
  readonly redis: RedisTarget | null
  /** Ends in a colon: keys are prefix + `secret:NAME`. */
  readonly prefix: string
  /** Absolute path; null: see `key`. */
  readonly keyFile: string | null
  /** Sealing keys themselves, `id:base64`, several apart by spaces: never show them. null: see `keyFile`; at most one is set. */
  readonly key: string | null
  readonly installation: string
  /** Absolute path of the file with the secrets' high-water marks. */
  readonly highWater: string
  readonly staleForMs: number
}

export interface JwtConfig {
  readonly issuer: string
  readonly audience: string
  readonly jwksUri: string
  /** Name of a claim, and what it holds: in full, or as a glob. */
  readonly claims: readonly (readonly [name: string, glob: string])[]
}

export interface ConfiguredCaller {
  readonly caller: Caller
  /** SHA-256 of each key, lower-case hexadecimal. The keys themselves are not kept. */
  readonly keyHashes: readonly string[]
  readonly jwt: JwtConfig | null
  readonly certificates: readonly CertificateName[]
}

/** Where the audit trail is shipped to. */
export type AuditSinkConfig = { readonly name: string; readonly batch: number } & (
  | { readonly type: 'stdout' }
  | {
      readonly type: 'http' | 'otlp-logs'
      readonly url: string
      /** May hold secrets: never show their values. */
      readonly headers: Readonly<Record<string, string>>
      /** PEM of a CA bundle; null: the built-in authorities. */
      readonly ca: string | null
    }
)

export interface Config {
  readonly listen: ListenConfig
  /** null: plain HTTP. */
  readonly listenPems: ListenPems | null
  /** Absolute path. */
  /** Processes that serve; 1: this one. */
  readonly workers: number
  readonly dataDir: string
  readonly dns: {
    /** `address:port` (IPv6 in brackets); empty: the system's own. */
    readonly servers: readonly string[]
  }
  readonly store: StoreConfig
  /** Empty: anyone on loopback is `local` with admin rights. */
  readonly callers: readonly ConfiguredCaller[]
  readonly ceilings: Ceilings
  readonly adapters: readonly AdapterPolicy[]
  /** PEM text by name. */
  readonly caBundles: ReadonlyMap<string, string>
  readonly audit: {
    readonly durability: 'process' | 'strict' | 'best-effort'
    /** Absolute path; null: see `key`. */
    readonly keyFile: string | null
    /** Keys of the chain themselves, as in StoreConfig. null: see `keyFile`; neither: derived, or the installation's own. */
    readonly key: string | null
    /** A larger file is followed by another of the same day. */
    readonly fileBytes: number
    /** After the end of a file's day; null: never. */
    readonly compressAfterMs: number | null
    /** null: for ever. */
    readonly retentionMs: number | null
    /** null: none. `file`: absolute path; null: into the log. */
    readonly checkpoint: { readonly everyMs: number; readonly file: string | null } | null
    readonly sinks: readonly AuditSinkConfig[]
    /** In Redis; null: none. `refuseAfterMs`: calls are refused while it is further behind; null: never. */
    readonly stream: { readonly maxRecords: number; readonly group: string; readonly refuseAfterMs: number | null } | null
  }
  readonly overload: {
    readonly calls: number
    readonly eventLoopDelayMs: number
    /** 0-1. */
    readonly memory: number
  }
  readonly metrics: {
    readonly public: boolean
    /** null: no listener of its own. */
    readonly listen: { readonly host: string; readonly port: number } | null
  }
  readonly log: { readonly level: LogLevel }
  /** A session unused for this long is forgotten. */
  readonly sessions: { readonly ttlMs: number }
  readonly idempotency: { readonly ttlMs: number }
}
