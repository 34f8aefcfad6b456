// Foreign errors of ioredis and SQLite become ours here, by this table and nowhere else. Their own text is never passed on:
// it may hold a URL, a command's arguments or a path.
import { GatewayError } from '../errors/gateway-error.ts'

/** First match by code or message wins. */
const REASONS: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [/WRONGPASS|NOAUTH|invalid password|invalid username/i, 'refuses our user or password'],
  [/NOPERM/, 'does not permit this user what Sallyport needs'],
  [/READONLY/, 'is a read-only replica'],
  [/LOADING/, 'is still loading its data'],
  [/MASTERDOWN|CLUSTERDOWN|MOVED|CROSSSLOT/, 'is not a primary that answers for all keys'],
  [/OOM/, 'is out of memory'],
  [/ECONNREFUSED/, 'refuses connections'],
  [/ENOTFOUND|EAI_AGAIN/, 'has a name that does not resolve'],
  [/CERT|SSL|TLS|ERR_TLS/, 'fails in TLS'],
  [/timed out|timeout|ETIMEDOUT/i, 'does not answer in time'],
  [/isn't writeable|Connection is closed|ECONNRESET|EPIPE|aborted|max retries/i, 'is not connected'],
  [/SQLITE_BUSY|database is locked/, 'is locked by another process'],
  [/SQLITE_FULL|disk is full|ENOSPC/, 'has no room on its disk'],
  [/SQLITE_READONLY|readonly database|EACCES|EROFS/, 'cannot be written'],
  [/SQLITE_CORRUPT|malformed|not a database/, 'is damaged'],
]

export function faultReason(error: unknown): string {
  const { code, message } = error instanceof Error ? (error as NodeJS.ErrnoException) : { code: '', message: '' }
  const text = `${code ?? ''} ${message}`
  return REASONS.find(([pattern]) => pattern.test(text))?.[1] ?? 'failed'
}

/** `label`: what to call the store, without credentials. The foreign error is not kept as a cause. */
export function storeAway(label: string, error: unknown): GatewayError {
  return new GatewayError('Overloaded', `the store (${label}) ${faultReason(error)}; try again once it is back`, {
    retryAfter: 1000,
  })
}
