// A descriptor → the first hop's Outbound: everything that does not depend on the adapter. What does is compose-hop.ts,
// and withAdapterParams here, since an adapter's params change the URL of the first hop alone.
import type { AdapterPolicy } from '../model/adapter-policy.ts'
import type { Descriptor, Pairs } from '../model/descriptor.ts'
import type { Outbound } from '../model/hop.ts'
import { encodeBody } from './body.ts'
import { prepareUrl, type Userinfo } from './url.ts'

export interface PreparedCall {
  readonly outbound: Outbound
  /** From the URL, for Basic auth; null: none. */
  readonly userinfo: Userinfo | null
  readonly warnings: readonly string[]
}

const NO_WARNINGS: readonly string[] = []
const LOGIN_IGNORED = [
  'The login in the URL has no password and was left out, as in Requests; write user:@host for an empty one.',
]

/** @param makeBoundary random text for multipart, 1-70 of A-Z a-z 0-9; called only where the body is multipart. */
export function prepareCall(descriptor: Descriptor, makeBoundary: () => string): PreparedCall {
  const { url, userinfo, loginIgnored } = prepareUrl(descriptor.url, descriptor.params)
  const { bytes, contentType } = encodeBody(descriptor.body, makeBoundary)
  const outbound: Outbound = {
    hop: 0,
    method: descriptor.method,
    url,
    headers: descriptor.headers,
    body: bytes,
    contentType,
    cookies: descriptor.cookies,
    idempotencyKey: descriptor.idempotencyKey ?? null,
  }
  return { outbound, userinfo, warnings: loginIgnored ? LOGIN_IGNORED : NO_WARNINGS }
}

/**
 * The first hop with the params that its adapter persists, merged as Requests merges a Session's: the adapter's names
 * first, a caller's value (or null) in place of the adapter's of the same name; a caller's *string* of params leaves the
 * adapter's out altogether.
 */
export function withAdapterParams(descriptor: Descriptor, outbound: Outbound, adapter: AdapterPolicy): Outbound {
  if (adapter.params.length === 0 || typeof descriptor.params === 'string') return outbound
  return { ...outbound, url: prepareUrl(descriptor.url, mergeParams(adapter.params, descriptor.params ?? [])).url }
}

function mergeParams(persisted: Pairs, given: Pairs): Pairs {
  const names = new Set(given.map(([name]) => name))
  const replaced = new Set<string>()
  const merged = persisted.flatMap((pair): Pairs => {
    const name = pair[0]
    if (!names.has(name)) return [pair]
    if (replaced.has(name)) return []
    replaced.add(name)
    return given.filter(([other]) => other === name)
  })
  return [...merged, ...given.filter(([name]) => !replaced.has(name))]
}
