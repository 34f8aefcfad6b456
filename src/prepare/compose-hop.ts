// An Outbound under a plan → the request as it goes down the adapter's stack: header list complete but for what the
// connection adds and for credentials. Header merging is Requests' merge_setting over case-insensitive dictionaries.
import { GatewayError } from '../errors/gateway-error.ts'
import type { AdapterPolicy } from '../model/adapter-policy.ts'
import type { Pairs } from '../model/descriptor.ts'
import { getHeader, type HeaderList, type HeaderPair, setHeader } from '../model/header-list.ts'
import type { HopPlan, HopRequest, Outbound } from '../model/hop.ts'
import { VERSION } from '../model/version.ts'

/** What a hop may carry besides the caller's own. */
export interface HopExtras {
  /** The jar's Cookie value for the hop's URL; null: none. */
  readonly cookie: string | null
  readonly requestId: string
  /** W3C trace context to pass on where the adapter says so; null: none. */
  readonly traceparent: string | null
  /** Goes with it. Absent or null: none. */
  readonly tracestate?: string | null
}

const DEFAULTS: HeaderList = [
  ['User-Agent', `sallyport/${VERSION}`],
  ['Accept-Encoding', 'gzip, deflate, br, zstd'],
  ['Accept', '*/*'],
]

/** Throws InvalidHeader where the caller names a Host that the adapter does not open. */
export function composeHop(outbound: Outbound, plan: HopPlan, extras: HopExtras): HopRequest {
  const { adapter } = plan
  refuseHost(outbound.headers, adapter)
  const persisted = adapter.headers.length === 0 ? DEFAULTS : mergeHeaders(DEFAULTS, adapter.headers)
  const merged = mergeHeaders(persisted, outbound.headers)
  const cookie = getHeader(merged, 'cookie') === undefined ? cookieHeader(adapter.cookies, extras.cookie, outbound.cookies) : null
  if (cookie !== null) merged.push(['Cookie', cookie])
  if (outbound.contentType !== null && getHeader(merged, 'content-type') === undefined) {
    merged.push(['Content-Type', outbound.contentType])
  }
  const headers =
    outbound.idempotencyKey === null ? merged : setHeader(merged, adapter.idempotencyHeader, outbound.idempotencyKey)
  return {
    method: outbound.method,
    url: outbound.url,
    headers: adapter.propagate.length === 0 ? headers : propagate(headers, outbound.headers, adapter.propagate, extras),
    body: outbound.body,
    hop: outbound.hop,
    plan,
    outbound,
  }
}

function refuseHost(given: Pairs, adapter: AdapterPolicy): void {
  let seen = false
  for (const [name, value] of given) {
    if (value === null || !sameName(name, 'Host')) continue
    if (adapter.allowHostHeader && !seen) {
      seen = true
      continue
    }
    const message = adapter.allowHostHeader
      ? 'A request has one Host header; give one.'
      : `The adapter "${adapter.name}" does not let callers set Host; leave it out, or set allowHostHeader on the adapter.`
    throw new GatewayError('InvalidHeader', message, { detail: [{ pointer: `/headers/${name}`, message }] })
  }
}

/**
 * The position of what was there, the case and value of what comes later; null removes what was there, though never Host.
 * A name given more than once takes the earlier place with its first value; the further ones follow in the order given.
 */
function mergeHeaders(base: HeaderList, over: Pairs): HeaderPair[] {
  if (over.length === 0) return base.slice()
  const inherited: (HeaderPair | null)[] = base.slice()
  const added: HeaderPair[] = []
  const seen = new Set<string>()
  for (const pair of over) {
    const name = pair[0].toLowerCase()
    if (!isValued(pair)) {
      if (name !== 'host') replace(inherited, base, name, null)
    } else if (seen.has(name) || !replace(inherited, base, name, pair)) {
      added.push(pair)
    }
    seen.add(name)
  }
  const merged: HeaderPair[] = []
  for (const pair of inherited) if (pair !== null) merged.push(pair)
  for (const pair of added) merged.push(pair)
  return merged
}

function isValued(pair: Pairs[number]): pair is HeaderPair {
  return pair[1] !== null
}

/** Puts `pair` where the first of that (lower-case) name still stands as it was in `base`, and takes the rest of that name away. */
function replace(inherited: (HeaderPair | null)[], base: HeaderList, name: string, pair: HeaderPair | null): boolean {
  let next = pair
  let found = false
  for (let i = 0; i < base.length; i++) {
    const there = base[i] as HeaderPair
    if (inherited[i] !== there || there[0].length !== name.length || there[0].toLowerCase() !== name) continue
    inherited[i] = next
    next = null
    found = true
  }
  return found
}

function sameName(a: string, b: string): boolean {
  return a.length === b.length && (a === b || a.toLowerCase() === b.toLowerCase())
}

/** Adapter < jar < descriptor: of the same name the later wins, in the earlier's place. null: no cookie at all. */
function cookieHeader(persisted: Outbound['cookies'], jar: string | null, given: Outbound['cookies']): string | null {
  if (persisted.length === 0 && given.length === 0) return jar
  const byName = new Map<string, string>()
  for (const [name, value] of persisted) byName.set(name, `${name}=${value}`)
  for (const [name, pieces] of jarCookies(jar)) byName.set(name, pieces)
  for (const [name, value] of given) byName.set(name, `${name}=${value}`)
  return [...byName.values()].join('; ')
}

/** A jar may hold one name under several paths, and sends all of them, the longest path first (RFC 6265 §5.4). */
function jarCookies(jar: string | null): Map<string, string> {
  const byName = new Map<string, string>()
  for (const piece of jar === null ? [] : jar.split('; ')) {
    const name = piece.slice(0, Math.max(0, piece.indexOf('=')))
    const earlier = byName.get(name)
    byName.set(name, earlier === undefined ? piece : `${earlier}; ${piece}`)
  }
  return byName
}

/** A caller who gives such a header, or null for it, has the last word. */
function propagate(headers: HeaderList, given: Pairs, names: readonly string[], extras: HopExtras): HeaderList {
  const passedOn: HeaderPair[] = []
  for (const name of names) {
    const value = sameName(name, 'traceparent') ? extras.traceparent : sameName(name, 'x-request-id') ? extras.requestId : null
    if (value === null || given.some((pair) => sameName(pair[0], name))) continue
    passedOn.push([name, value])
    if (sameName(name, 'traceparent') && extras.tracestate) passedOn.push(['tracestate', extras.tracestate])
  }
  return passedOn.length === 0 ? headers : [...headers, ...passedOn]
}
