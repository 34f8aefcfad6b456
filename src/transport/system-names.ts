// What the system itself says about names: /etc/hosts and /etc/resolv.conf, parsed, and read again when they change.
// Questions to name servers are resolver.ts.
import { readFileSync, statSync } from 'node:fs'
import { isIP } from 'node:net'
import type { Clock } from '../model/ports.ts'

export interface SearchRules {
  /** Domains that are appended to short names, in order. */
  readonly search: readonly string[]
  /** A name with at least this many dots is tried as it stands first. */
  readonly ndots: number
}

export interface SystemNames {
  /** Addresses that /etc/hosts gives the name; empty: none. */
  hosts(hostname: string): readonly string[]
  searchRules(): SearchRules
  /** The name servers' addresses, the same list until they change; empty: it names none. */
  servers(): readonly string[]
}

const CHECK_EVERY_MS = 1000

export function createSystemNames(
  clock: Clock,
  paths: { readonly hosts: string; readonly resolvConf: string } = { hosts: '/etc/hosts', resolvConf: '/etc/resolv.conf' },
): SystemNames {
  const hosts = watched(clock, paths.hosts, parseHosts)
  const rules = watched(clock, paths.resolvConf, parseSearchRules)
  return {
    hosts: (hostname) => hosts().get(hostname) ?? [],
    searchRules: rules,
    servers: watched(clock, paths.resolvConf, parseServers),
  }
}

/** hosts(5): lower-case name → addresses in order. */
export function parseHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [address = '', ...names] = wordsOf(line)
    if (isIP(address) === 0) continue
    for (const name of names) {
      const key = name.toLowerCase()
      const addresses = found.get(key)
      if (addresses === undefined) found.set(key, [address])
      else if (!addresses.includes(address)) addresses.push(address)
    }
  }
  return found
}

/** resolv.conf(5): the last of `search` and `domain` stands; ndots is 1 unless said, at most 15. */
export function parseSearchRules(text: string): SearchRules {
  let search: readonly string[] = []
  let ndots = 1
  for (const line of text.split('\n')) {
    const [keyword, ...values] = wordsOf(line)
    if (keyword === 'search' || keyword === 'domain') {
      search = values.map((domain) => domain.toLowerCase().replace(/\.$/, '')).filter((domain) => domain !== '')
    } else if (keyword === 'options') {
      const given = values.findLast((option) => /^ndots:\d+$/.test(option))
      if (given !== undefined) ndots = Math.min(15, Number(given.slice('ndots:'.length)))
    }
  }
  return { search, ndots }
}

/** resolv.conf(5): the first three, which is where glibc stops. */
export function parseServers(text: string): readonly string[] {
  const given = text
    .split('\n')
    .map(wordsOf)
    .filter(([keyword]) => keyword === 'nameserver')
  return given.flatMap(([, address = '']) => (isIP(address) === 0 || address.includes('%') ? [] : [address])).slice(0, 3)
}

/** Names to ask for, in order: as glibc does. A trailing dot means the name is whole. */
export function candidates(hostname: string, rules: SearchRules): readonly string[] {
  if (hostname.endsWith('.')) return [hostname.slice(0, -1)]
  const searched = rules.search.map((domain) => `${hostname}.${domain}`)
  const dots = hostname.split('.').length - 1
  return dots >= rules.ndots ? [hostname, ...searched] : [...searched, hostname]
}

function wordsOf(line: string): readonly string[] {
  const comment = line.search(/[#;]/)
  const said = (comment < 0 ? line : line.slice(0, comment)).trim()
  return said === '' ? [] : said.split(/\s+/)
}

/** The parsed file; looked at again at most once a second. A file that is missing or unreadable is empty. */
function watched<T>(clock: Clock, path: string, parse: (text: string) => T): () => T {
  let checkedAt = Number.NEGATIVE_INFINITY
  let changedAt = Number.NaN
  let parsed = parse('')
  return () => {
    if (clock.now() - checkedAt < CHECK_EVERY_MS) return parsed
    checkedAt = clock.now()
    const modified = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.NaN
    if (Object.is(modified, changedAt)) return parsed
    changedAt = modified
    parsed = parse(Number.isNaN(modified) ? '' : textOf(path))
    return parsed
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
