// One RFC 6265 jar behind the CookieJar port. Parsing, domain, path and public-suffix rules are tough-cookie's; the clock,
// expiry as an instant, and the bounds are ours. A jar that meets no cookie makes none of it.
import { Cookie, getPublicSuffix, MemoryCookieStore, type SerializedCookie, CookieJar as ToughJar } from 'tough-cookie'
import type { Clock, CookieJar } from '../model/ports.ts'
import type { PreparedUrl } from '../model/prepared-request.ts'
import { heldLength, type JarLimits, overflow } from './jar-limits.ts'

/** A set-cookie line as it came, so that it can be taken again by a jar that others have changed meanwhile. */
export interface Taken {
  readonly url: PreparedUrl
  readonly line: string
  /** Wall clock, ms: what Max-Age counts from. */
  readonly at: number
}

export interface RecordingJar extends Omit<CookieJar, 'changed'> {
  /** What was taken since the jar was made, in order. */
  readonly taken: readonly Taken[]
  take(line: Taken): void
  /** Unexpired cookies, oldest first. */
  serialize(): SerializedCookie[]
}

export function createCookieJar(
  clock: Pick<Clock, 'date'>,
  limits: JarLimits,
  stored: readonly SerializedCookie[],
): RecordingJar {
  let shelf: Shelf | null = stored.length === 0 ? null : createShelf(limits, stored)
  const taken: Taken[] = []
  const take = (entry: Taken): readonly [name: string, value: string | null] | null => {
    shelf ??= createShelf(limits, [])
    const result = shelf.take(entry)
    if (result !== null) taken.push(entry)
    return result
  }
  return {
    taken,
    take,
    header: (url) => shelf?.header(url, clock.date()) ?? null,
    store(url, setCookies) {
      const at = clock.date()
      return setCookies.flatMap((line) => {
        const pair = take({ url, line, at })
        return pair === null ? [] : [pair]
      })
    },
    serialize: () => shelf?.alive(clock.date()).map((cookie) => cookie.toJSON()) ?? [],
  }
}

interface Shelf {
  /** null: refused. A null value: removed. */
  take(entry: Taken): readonly [name: string, value: string | null] | null
  header(url: PreparedUrl, now: number): string | null
  alive(now: number): Cookie[]
}

function createShelf(limits: JarLimits, stored: readonly SerializedCookie[]): Shelf {
  const memory = new MemoryCookieStore()
  // RFC 6265 to the letter, which knows neither 6265bis' exception for localhost nor its refusal of Secure over http.
  const jar = new ToughJar(memory, { allowSecureOnLocal: false, enforceSecureOriginOnStorage: false })
  const remove = ({ domain, path, key }: Cookie): void => memory.removeCookie(domain ?? '', path ?? '', key, () => {})
  const all = (): Cookie[] => {
    let cookies: Cookie[] = []
    memory.getAllCookies((_error, found) => {
      cookies = found ?? []
    })
    return cookies
  }
  const alive = (now: number): Cookie[] => all().filter((cookie) => !isExpired(cookie, now))
  for (const entry of stored) {
    const cookie = Cookie.fromJSON(entry)
    if (cookie) memory.putCookie(cookie, () => {})
  }
  return {
    alive,
    take({ url, line, at }) {
      const parsed = Cookie.parse(line)
      if (!parsed || heldLength(parsed) > limits.cookieLength || !fitsHeader(parsed)) return null
      parsed.extensions = null
      pinExpiry(parsed, at)
      keepToHost(parsed, url.hostname)
      const cookie = jar.setCookieSync(parsed, siteOf(url), { ignoreError: true, now: new Date(at) })
      if (!cookie) return null
      for (const gone of isExpired(cookie, at) ? [cookie] : overflow(alive(at), limits)) remove(gone)
      return [cookie.key, isExpired(cookie, at) ? null : cookie.value]
    },
    header(url, now) {
      const cookies = jar.getCookiesSync(siteOf(url), { expire: false, sort: true }).filter((cookie) => !isExpired(cookie, now))
      return cookies.length === 0 ? null : cookies.map((cookie) => cookie.cookieString()).join('; ')
    },
  }
}

/** A cookie that no header can carry back would fail every later call of its session. */
function fitsHeader({ key, value }: Cookie): boolean {
  return !/[^\t\x20-\x7e\x80-\xff]/.test(key + value)
}

function siteOf(url: PreparedUrl): string {
  return url.origin + url.path
}

/** Max-Age becomes an instant (RFC 6265 §5.3 step 3): the library would count it from the last use. */
function pinExpiry(cookie: Cookie, now: number): void {
  if (typeof cookie.maxAge !== 'number') return
  cookie.expires = new Date(cookie.maxAge <= 0 ? 0 : Math.min(now + cookie.maxAge * 1000, LATEST))
  cookie.maxAge = null
}

/** The latest instant that a Date can hold. */
const LATEST = 8.64e15

/** RFC 6265 §5.3 step 5: a public suffix, such as the bare name of a container, may still keep a cookie to itself. */
function keepToHost(cookie: Cookie, hostname: string): void {
  if (cookie.domain === hostname && getPublicSuffix(hostname, { allowSpecialUseDomain: true, ignoreError: true }) === undefined) {
    cookie.domain = null
  }
}

function isExpired(cookie: Cookie, now: number): boolean {
  return cookie.expires instanceof Date && cookie.expires.getTime() <= now
}
