// What `store.redis` comes to: the files that it names, what its keys mean together, the target that stores/ connects to. Its
// keys each for itself: redis-schema.ts.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { hashTag, NO_LOGIN, parseRedisUrl, type RedisLogin, type RedisTarget, type RedisTls } from '../model/redis-target.ts'
import type { Reading } from '../model/units.ts'
import type { KeyPath, Objection } from './faults.ts'
import { readBundle, readText } from './files.ts'
import type { RedisSectionWritten, RedisTlsWritten, RedisWritten } from './redis-schema.ts'

/** Text by the path that was written. */
export type PemTexts = ReadonlyMap<string, string>

interface RedisFiles {
  readonly pems: PemTexts
  readonly objections: readonly Objection[]
}

const PATH: KeyPath = ['store', 'redis']

/** `near`: a written path as an absolute one. */
export async function readRedisFiles(written: RedisWritten, near: (path: string) => string): Promise<RedisFiles> {
  const pems = new Map<string, string>()
  const objections: Objection[] = []
  for (const { key, tls } of tlsSections(written)) {
    for (const name of ['ca', 'cert', 'key'] as const) {
      const path = tls[name]
      if (!path) continue
      const text = name === 'key' ? readKey(await readText(near(path)), near(path)) : await readBundle(near(path))
      if (text.ok) pems.set(path, text.value)
      else objections.push({ path: [...PATH, key, name], message: `names a file: ${text.fault}` })
    }
  }
  return { pems, objections }
}

/** The files that it names, as written. */
export function redisFiles(written: RedisWritten): readonly string[] {
  return tlsSections(written).flatMap(({ tls }) =>
    [tls.ca, tls.cert, tls.key].filter((path) => typeof path === 'string' && path !== ''),
  ) as string[]
}

function tlsSections(written: RedisWritten): readonly { readonly key: 'tls' | 'sentinelTls'; readonly tls: RedisTlsWritten }[] {
  if (typeof written !== 'object' || written === null) return []
  return (['tls', 'sentinelTls'] as const).flatMap((key) => {
    const tls = written[key]
    return tls ? [{ key, tls }] : []
  })
}

function readKey(text: Reading<string>, path: string): Reading<string> {
  if (!text.ok) return text
  try {
    createPrivateKey(text.value)
    return text
  } catch {
    return { ok: false, fault: `${path} holds no private key without a passphrase; it should be PEM text with BEGIN PRIVATE KEY` }
  }
}

/** null: the embedded store. What redisChecks() objects to may come out as anything. */
export function resolveRedis(written: RedisWritten, pems: PemTexts): RedisTarget | null {
  if (written === undefined || written === null) return null
  if (typeof written === 'string') return targetOf(written)
  const { url, sentinels, cluster } = written
  const login = loginOf(written.username, written.password)
  const tls = written.tls ? tlsOf(written.tls, pems) : null
  const natMap = written.natMap ?? {}
  if (sentinels)
    return {
      ...{ kind: 'sentinel', sentinels, master: written.master ?? '', database: written.db ?? 0, login, tls, natMap },
      sentinelLogin: loginOf(written.sentinelUsername, written.sentinelPassword),
      sentinelTls: written.sentinelTls === undefined ? tls : written.sentinelTls && tlsOf(written.sentinelTls, pems),
    }
  if (cluster) return { kind: 'cluster', seeds: cluster, login, tls, natMap }
  const target = url ? targetOf(url) : null
  if (target === null) return null
  const own = login === NO_LOGIN ? target.login : login
  return { ...target, login: own, tls: tls ?? target.tls, database: written.db ?? target.database }
}

function targetOf(url: string): Extract<RedisTarget, { kind: 'single' }> | null {
  const target = parseRedisUrl(url)
  return target.ok ? target.value : null
}

function loginOf(username: string | null | undefined, password: string | null | undefined): RedisLogin {
  return username || password ? { username: username ?? null, password: password ?? null } : NO_LOGIN
}

function tlsOf({ ca, cert, key, serverName }: RedisTlsWritten, pems: PemTexts): RedisTls {
  const pem = (path: string | null | undefined): string | null => (path ? (pems.get(path) ?? null) : null)
  return { ca: pem(ca), cert: pem(cert), key: pem(key), serverName: serverName ?? null }
}

/** What the keys mean together. */
export function redisChecks(written: RedisWritten, prefix: string, target: RedisTarget | null): Objection[] {
  if (typeof written !== 'object' || written === null) return []
  const at = (key: string, message: string): Objection => ({ path: [...PATH, key], message, or: PATH })
  return [
    ...kinds(written, at),
    ...belonging(written, at),
    ...logins(written, at),
    ...certificates(written, target, at),
    ...(written.cluster && hashTag(prefix) === null ? [NO_HASH_TAG] : []),
  ]
}

type At = (key: string, message: string) => Objection

const NO_HASH_TAG: Objection = {
  path: ['store', 'prefix'],
  or: [...PATH, 'cluster'],
  message: 'needs a hash tag in a cluster, where all keys have to be in one slot; write prefix: "{sallyport}:"',
}

function kinds(written: RedisSectionWritten, at: At): Objection[] {
  const given = (['url', 'sentinels', 'cluster'] as const).filter((key) => written[key])
  const [first, second] = given
  if (first === undefined) return [{ path: PATH, message: 'names no server; give it url, sentinels or cluster, or leave it out' }]
  return second === undefined ? [] : [at(second, `stands beside store.redis.${first}; keep one of the two`)]
}

/** Keys that are for one kind alone. */
function belonging(written: RedisSectionWritten, at: At): Objection[] {
  const { sentinels, cluster } = written
  const only = (key: keyof RedisSectionWritten, allowed: boolean, for_: string): Objection[] =>
    written[key] === undefined || written[key] === null || allowed ? [] : [at(key, `is for ${for_}; leave it out`)]
  return [
    ...only('master', sentinels !== undefined, 'store.redis.sentinels'),
    ...only('sentinelUsername', sentinels !== undefined, 'store.redis.sentinels'),
    ...only('sentinelPassword', sentinels !== undefined, 'store.redis.sentinels'),
    ...only('sentinelTls', sentinels !== undefined, 'store.redis.sentinels'),
    ...only('natMap', sentinels !== undefined || cluster !== undefined, 'store.redis.sentinels and store.redis.cluster'),
    ...only('db', cluster === undefined || written.db === 0, 'a single primary, since a cluster has database 0 alone'),
    ...(sentinels && !written.master ? [at('master', 'is missing; give the name by which the sentinels know the primary')] : []),
  ]
}

function logins(written: RedisSectionWritten, at: At): Objection[] {
  const inUrl = written.url ? targetOf(written.url) : null
  const alone = (name: 'username' | 'sentinelUsername', password: 'password' | 'sentinelPassword'): Objection[] =>
    written[name] && !written[password] ? [at(name, `stands without store.redis.${password}; give both`)] : []
  return [
    ...alone('username', 'password'),
    ...alone('sentinelUsername', 'sentinelPassword'),
    ...(inUrl && (inUrl.login.username ?? inUrl.login.password) !== null && (written.username || written.password)
      ? [at(written.password ? 'password' : 'username', 'stands in store.redis.url too; keep one of the two')]
      : []),
    ...(inUrl && inUrl.database !== 0 && written.db !== undefined && written.db !== inUrl.database
      ? [at('db', 'is another database than that of store.redis.url; keep one of the two')]
      : []),
    ...(inUrl && inUrl.tls === null && written.tls
      ? [at('url', 'says redis://, which is without TLS, beside store.redis.tls; write rediss://')]
      : []),
  ]
}

function certificates(written: RedisSectionWritten, target: RedisTarget | null, at: At): Objection[] {
  return tlsSections(written).flatMap(({ key, tls }) => {
    if (Boolean(tls.cert) !== Boolean(tls.key)) {
      const [lone, other] = tls.cert ? ['cert', 'key'] : ['key', 'cert']
      return [{ ...at(key, `stands without store.redis.${key}.${other}; give both`), path: [...PATH, key, lone ?? ''] }]
    }
    const read = target && (key === 'tls' ? target.tls : target.kind === 'sentinel' ? target.sentinelTls : null)
    if (!read?.cert || !read.key || new X509Certificate(read.cert).checkPrivateKey(createPrivateKey(read.key))) return []
    return [{ path: [...PATH, key, 'key'], message: `is not the private key of store.redis.${key}.cert` }]
  })
}
