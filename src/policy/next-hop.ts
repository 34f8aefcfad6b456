// What becomes of an answer that may be a redirect, and what the next request carries: Requests' rules (rebuild_method,
// rebuild_auth, should_strip_auth), and for a change of origin the contract's. contract: "Redirects".
import type { AdapterPolicy } from '../model/adapter-policy.ts'
import type { Descriptor, Pairs } from '../model/descriptor.ts'
import type { Outbound } from '../model/hop.ts'
import type { PreparedUrl } from '../model/prepared-request.ts'

export type NextHopVerdict =
  | { readonly kind: 'return'; readonly warning: string | null; readonly because: string }
  | { readonly kind: 'fail'; readonly type: 'TooManyRedirects'; readonly because: string }
  | FollowVerdict

export interface FollowVerdict {
  readonly kind: 'follow'
  readonly url: PreparedUrl
  readonly method: string
  readonly keepsBody: boolean
  /** Scheme, host or port differ from those of the hop just answered. */
  readonly originChanged: boolean
  readonly because: string
}

export interface NextHopFacts {
  readonly method: string
  readonly url: PreparedUrl
  readonly status: number
  /** Value of the Location header; absent or empty: none. */
  readonly location: string | undefined
  /** Redirects followed so far. */
  readonly followed: number
  /** Of the hop just answered. */
  readonly adapter: Pick<AdapterPolicy, 'name' | 'redirects'>
  readonly descriptor: Pick<Descriptor, 'method' | 'allowRedirects' | 'maxRedirects'>
}

/** No call follows more, whatever it asks for: each hop is kept, head and all, until the call has ended. */
export const MOST_REDIRECTS = 100

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
const NO_REDIRECT: NextHopVerdict = { kind: 'return', warning: null, because: 'the status is no redirect' }

/** @param resolve the Location against the URL that gave it; throws where it is no URL. Called only for one that may be followed. */
export function decideNextHop(
  facts: NextHopFacts,
  resolve: (from: PreparedUrl, location: string) => PreparedUrl,
): NextHopVerdict {
  const { status, location, descriptor, adapter, method } = facts
  if (!REDIRECTS.has(status)) return NO_REDIRECT
  if (!location) return stay(`${status} without a Location is no redirect`)
  if (!(descriptor.allowRedirects ?? descriptor.method !== 'HEAD')) {
    return stay(descriptor.allowRedirects === undefined ? 'HEAD follows no redirects by default' : 'allowRedirects is false')
  }
  if (adapter.redirects.follow === 'none') return stayWarned(status, `adapter ${adapter.name} has redirects: none`)
  const most = Math.min(descriptor.maxRedirects, MOST_REDIRECTS)
  if (facts.followed >= most) {
    const because = `${facts.url.hostname} redirects once more, beyond maxRedirects (${most}); see history, and call the final URL directly`
    return { kind: 'fail', type: 'TooManyRedirects', because }
  }
  const url = resolve(facts.url, location)
  const originChanged = url.origin !== facts.url.origin
  if (originChanged && adapter.redirects.follow === 'same-origin') {
    return stayWarned(status, `adapter ${adapter.name} has redirects: same-origin, and it leads to ${url.origin}`)
  }
  const next = methodAfter(status, method)
  const because = next === method ? `${status} keeps ${method}` : `${status} turns ${method} into ${next}`
  return { kind: 'follow', url, method: next, keepsBody: status === 307 || status === 308, originChanged, because }
}

function stay(because: string): NextHopVerdict {
  return { kind: 'return', warning: null, because }
}

function stayWarned(status: number, because: string): NextHopVerdict {
  return { kind: 'return', warning: `the ${status} redirect was not followed: ${because}`, because }
}

/** Requests' rebuild_method: what browsers do, not what RFC 9110 §15.4 would rather have. */
function methodAfter(status: number, method: string): string {
  if ((status === 303 || status === 302) && method !== 'HEAD') return 'GET'
  return status === 301 && method === 'POST' ? 'GET' : method
}

export interface Carrying {
  readonly verdict: FollowVerdict
  /** Header names that the adapter of the hop just answered lets go on a change of origin. */
  readonly drop: readonly string[]
  /** The first hop's; the descriptor's cookies belong to its host alone. */
  readonly first: Outbound
  /** Some hop so far was https. */
  readonly secured: boolean
}

/** The next hop before its adapter's headers, cookies and credentials are worked in. What was dropped once stays dropped. */
export function nextOutbound(from: Outbound, { verdict, drop, first, secured }: Carrying): Outbound {
  const { url, method, keepsBody, originChanged } = verdict
  const gone = new Set<string>()
  if (originChanged) {
    for (const name of drop) gone.add(name.toLowerCase())
    // Host is the old origin's name; Requests sends it on, to a server that it does not mean.
    gone.add('cookie').add('host')
    if (!isUpgrade(from.url, url)) gone.add('authorization')
  }
  return {
    hop: from.hop + 1,
    method,
    url,
    headers: withoutNamed(from.headers, (name) => gone.has(name) || (!keepsBody && describesBody(name))),
    body: keepsBody ? from.body : null,
    contentType: keepsBody ? from.contentType : null,
    cookies: mayHaveCookies(url, first.url, secured) ? first.cookies : [],
    idempotencyKey: from.idempotencyKey,
  }
}

/** should_strip_auth: http to https on the default ports of one host keeps Authorization. */
function isUpgrade(from: PreparedUrl, to: PreparedUrl): boolean {
  return from.hostname === to.hostname && from.scheme === 'http' && from.port === 80 && to.scheme === 'https' && to.port === 443
}

/** Requests purges Content-Type, Content-Length and Transfer-Encoding; RFC 9110 §15.4 the other Content- headers as well. */
function describesBody(name: string): boolean {
  return name.startsWith('content-') || name === 'transfer-encoding'
}

/** A pair that only removes a default or an adapter's header goes on: it carries nothing. */
function withoutNamed(headers: Pairs, isGone: (lowerName: string) => boolean): Pairs {
  return headers.filter(([name, value]) => value === null || !isGone(name.toLowerCase()))
}

function mayHaveCookies(to: PreparedUrl, first: PreparedUrl, secured: boolean): boolean {
  return to.hostname === first.hostname && (to.scheme === 'https' || !secured)
}
