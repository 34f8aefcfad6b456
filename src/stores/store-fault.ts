// Foreign errors of ioredis and SQLite become ours here, by this table and nowhere else. Their own text is never passed on:
// it may hold a URL, a command's arguments or a path.
import { GatewayError } from '../errors/gateway-error.ts'

/**
 * `refusing`: it answers, and says no. `silent`: no answer in time. `cut`: the connection ended, `unsent`: there was none; why is
 * not known here. `odd`: about this one command; says nothing of the store.
 */
export type StoreFaultKind = 'refusing' | 'silent' | 'cut' | 'unsent' | 'odd'

export interface StoreFault {
  readonly kind: StoreFaultKind
  /** Continues a sentence that begins with the store, and says what to do where there is something to do. */
  readonly reason: string
}

const ACL = 'give that user the rights that docs/redis.md lists'

/** First match by code or message wins: what ioredis wraps around another error stands first. All are refusals. */
const REFUSALS: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [/invalid reply: null|No such master/, 'is not known to its sentinels under that name; set store.redis.master right'],
  [/sentinel.*(?:WRONGPASS|NOAUTH)/, 'has sentinels that refuse our user or password; set store.redis.sentinelPassword right'],
  [/sentinel.*NOPERM/, `has sentinels that do not permit our user what Sallyport needs; ${ACL}`],
  [/failed to connect to sentinel|All sentinels .*Last error/, 'has no sentinel that answers; see store.redis'],
  [/WRONGPASS|NOAUTH|invalid (?:password|username)/i, 'refuses our user or password; set those under store.redis right'],
  [/NOPERM|user executing the script can't/, `does not permit our user what Sallyport needs; ${ACL}`],
  [/READONLY/, 'is a read-only replica; name the primary in store.redis, or its sentinels'],
  [/LOADING/, 'is still loading its data'],
  [/MASTERDOWN/, 'is a replica that has lost its primary'],
  [/CLUSTERDOWN/, 'is a cluster that is down or does not serve every slot'],
  [/Too many Cluster redirections|TRYAGAIN/, 'is a cluster that is moving our slot'],
  [/\b(?:MOVED|ASK)\b/, 'is a node of a cluster; list its nodes under store.redis.cluster'],
  [/CROSSSLOT/, 'is a cluster; write store.prefix with a hash tag: "{sallyport}:"'],
  [/\bOOM\b/, 'is full; raise its maxmemory, with maxmemory-policy noeviction'],
  [/\bMISCONF\b/, 'cannot write to its disk, and so takes no writes'],
  [/\bNOREPLICAS\b/, 'has fewer replicas than its min-replicas-to-write'],
  [/\bBUSY\b/, "is busy with somebody's script"],
  [/max number of clients/, 'has no connection left for us; raise its maxclients'],
  [/DB index is out of range/, 'has no database of that number; see store.redis'],
  [/unknown command/, 'does not know a command that Sallyport needs; it is older than 6.2, or a sentinel'],
  [/ECONNREFUSED/, 'refuses connections'],
  [/ENOTFOUND|EAI_AGAIN/, 'has a name that does not resolve'],
  [/EHOSTUNREACH|ENETUNREACH/, 'cannot be reached by any route'],
  [/CERT_HAS_EXPIRED/, 'shows a certificate that has expired'],
  [/CERT_NOT_YET_VALID/, 'shows a certificate that is not yet valid'],
  [/ALTNAME_INVALID/, 'shows a certificate for another name; where it is right all the same, say store.redis.tls.serverName'],
  [/SELF_SIGNED|UNABLE_TO_/, 'shows a certificate that nobody we trust has signed; give its CA in store.redis.tls.ca'],
  [/SSL.*ALERT.*(?:CERT|UNKNOWN_CA)/i, 'wants a client certificate, or another one; see store.redis.tls.cert'],
  [/\bCERT_|ERR_SSL|EPROTO|ERR_TLS/, 'fails in TLS; it may not speak TLS on that port'],
  [/RESP type|Please report this/, 'answers something that is not Redis; see its port, and rediss:// for TLS'],
  [/SQLITE_BUSY|database is locked/, 'is locked by another process'],
  [/SQLITE_FULL|disk is full|ENOSPC/, 'has no room on its disk'],
  [/SQLITE_READONLY|readonly database|EACCES|EROFS/, 'cannot be written'],
  [/SQLITE_CORRUPT|malformed|not a database/, 'is damaged'],
]

const SILENT = /timed out|timeout|ETIMEDOUT/i
const UNSENT = /isn't (?:writeable|ready)|slots cache|None of startup|All sentinels/
const CUT = /Connection is closed|ECONNRESET|EPIPE|aborted|max retries/i
const NOT_CONNECTED = 'is not connected'

export function storeFault(error: unknown): StoreFault {
  const { code, message } = error instanceof Error ? (error as NodeJS.ErrnoException) : { code: '', message: '' }
  const text = `${code ?? ''} ${message}`
  const refusal = REFUSALS.find(([pattern]) => pattern.test(text))
  if (refusal) return { kind: 'refusing', reason: refusal[1] }
  if (SILENT.test(text)) return { kind: 'silent', reason: 'does not answer in time' }
  if (UNSENT.test(text)) return { kind: 'unsent', reason: NOT_CONNECTED }
  return CUT.test(text) ? { kind: 'cut', reason: NOT_CONNECTED } : { kind: 'odd', reason: 'failed' }
}

/** `label`: what to call the store, without credentials. The foreign error is not kept as a cause. */
export function storeAway(label: string, { reason }: Pick<StoreFault, 'reason'>): GatewayError {
  return new GatewayError('Overloaded', `the store (${label}) ${reason}; try again once it is back`, {
    retryAfter: 1000,
    rule: 'store',
  })
}
