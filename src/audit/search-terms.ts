// What a call can be found by that is no number, as the index spells it: hosts, tags, credentials.
import { hostsOf } from './match.ts'

interface Hosts {
  readonly url?: string | null
  readonly attempts?: readonly { readonly origin: string }[]
}

/** `github-token@3`: names hold no `@`. */
export function splitCredential(text: string): { name: string; version: number | null } {
  const at = text.lastIndexOf('@')
  const version = at < 0 ? Number.NaN : Number(text.slice(at + 1))
  return Number.isSafeInteger(version) ? { name: text.slice(0, at), version } : { name: text, version: null }
}

/** The same few upstreams, over and over. */
const knownHosts = new Map<string, readonly string[]>()
const MAX_HOSTS = 1000

/** Of its URL, and of each hop. */
export function hostTermsOf({ url, attempts = [] }: Hosts): string[] {
  const terms = url ? [...hostTerms(url)] : []
  for (const { origin } of attempts) terms.push(...hostTerms(origin))
  return terms
}

function hostTerms(url: string): readonly string[] {
  const slash = url.indexOf('/', url.indexOf('://') + 3)
  const origin = slash < 0 ? url : url.slice(0, slash)
  const known = knownHosts.get(origin)
  if (known) return known
  if (knownHosts.size >= MAX_HOSTS) knownHosts.clear()
  const terms = hostsOf({ url: origin }).map(hostTerm)
  knownHosts.set(origin, terms)
  return terms
}

export const hostTerm = (host: string): string => `host:${host.toLowerCase()}`
export const tagTerm = (tag: string): string => `tag:${tag}`

export const tagTermsOf = ({ tags = {} }: { readonly tags?: Readonly<Record<string, string>> }): string[] =>
  Object.entries(tags).flatMap(([name, value]) => [tagTerm(name), tagTerm(`${name}=${value}`)])
