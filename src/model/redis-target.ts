// Which Redis, how and as whom: what config/ reads and stores/ connects to. It holds passwords and keys: never show one.
import type { Reading } from './units.ts'

export interface RedisAddress {
  readonly host: string
  readonly port: number
}

/** null: without. A user without a password is one whom Redis asks for none. */
export interface RedisLogin {
  readonly username: string | null
  readonly password: string | null
}

/** PEM text; `ca` null: the built-in roots. */
export interface RedisTls {
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
  /** What the certificate must be for, where that is not the address; null: the address. */
  readonly serverName: string | null
}

/** By the `host:port` that sentinels or cluster nodes tell: where this gateway reaches it. */
export type RedisNatMap = Readonly<Record<string, RedisAddress>>

interface Common {
  readonly login: RedisLogin
  /** null: plain TCP. */
  readonly tls: RedisTls | null
}

export interface SingleRedis extends Common {
  readonly kind: 'single'
  readonly address: RedisAddress
  readonly database: number
}

/** The primary that sentinels name. */
export interface SentinelRedis extends Common {
  readonly kind: 'sentinel'
  readonly sentinels: readonly RedisAddress[]
  /** Name of the primary. */
  readonly master: string
  readonly database: number
  readonly sentinelLogin: RedisLogin
  readonly sentinelTls: RedisTls | null
  readonly natMap: RedisNatMap
}

export interface ClusterRedis extends Common {
  readonly kind: 'cluster'
  /** Any of its nodes; the others are learnt from them. */
  readonly seeds: readonly RedisAddress[]
  readonly natMap: RedisNatMap
}

export type RedisTarget = SingleRedis | SentinelRedis | ClusterRedis

export const REDIS_PORT = 6379
export const SENTINEL_PORT = 26_379

const FORM = 'must be a URL such as redis://redis.internal:6379/0, or rediss:// for TLS'

/** A fault never repeats the URL. */
export function parseRedisUrl(written: string): Reading<SingleRedis> {
  const bad = (fault: string): Reading<SingleRedis> => ({ ok: false, fault })
  if (!/^rediss?:\/\//.test(written) || !URL.canParse(written)) return bad(FORM)
  const url = new URL(written)
  const path = /^(?:\/(\d{1,5})?)?$/.exec(url.pathname)
  if (url.hostname === '') return bad(FORM)
  if (!path) return bad('has a path that is no database number; write /0, or nothing')
  if (url.search !== '' || url.hash !== '')
    return bad('goes on after the database number; options have keys of their own below store.redis')
  const login = readLogin(url)
  if (login === null) return bad('has a user or password with a % in it that is no escape; write %25')
  return {
    ok: true,
    value: {
      kind: 'single',
      address: { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? REDIS_PORT : Number(url.port) },
      database: Number(path[1] ?? 0),
      login,
      tls: url.protocol === 'rediss:' ? NO_CERTIFICATES : null,
    },
  }
}

export const NO_LOGIN: RedisLogin = { username: null, password: null }
const NO_CERTIFICATES: RedisTls = { ca: null, cert: null, key: null, serverName: null }

/** null: it cannot be decoded. */
function readLogin({ username, password }: URL): RedisLogin | null {
  try {
    return { username: decodeURIComponent(username) || null, password: decodeURIComponent(password) || null }
  } catch {
    return null
  }
}

/** `host`, `host:port` or `[IPv6]:port`. */
export function parseRedisAddress(written: string, standardPort: number): RedisAddress | null {
  const found = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]{1,253}))(?::(\d{1,5}))?$/.exec(written.trim())
  const host = found?.[1] ?? found?.[2]
  const port = found?.[3] === undefined ? standardPort : Number(found[3])
  return host === undefined || port < 1 || port > 65_535 ? null : { host, port }
}

export function writeRedisAddress({ host, port }: RedisAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** What to call it in messages and logs: no user, no password. */
export function nameRedis(target: RedisTarget): string {
  const list = (addresses: readonly RedisAddress[]): string => addresses.map(writeRedisAddress).join(', ')
  switch (target.kind) {
    case 'single':
      return `redis at ${writeRedisAddress(target.address)}`
    case 'sentinel':
      return `redis ${target.master} of the sentinels ${list(target.sentinels)}`
    case 'cluster':
      return `redis cluster of ${list(target.seeds)}`
    default:
      return target satisfies never
  }
}

/** The part of a key that decides its slot, as in `{sallyport}:`; null: the whole key does. */
export function hashTag(prefix: string): string | null {
  return /^[^{]*\{([^}]+)\}/.exec(prefix)?.[1] ?? null
}
