// Which addresses a connection may be made to: global unicast ones, and what an adapter lists. Judged on the parsed
// address, never on its text or its name. No DNS here; transport/ resolves, asks here, and dials what was judged.

import { BlockList, isIP } from 'node:net'
import type { EgressPolicy } from '../model/adapter-policy.ts'
import { METADATA_RANGES } from '../model/metadata-ranges.ts'

export interface AddressVerdict {
  readonly allowed: boolean
  /** In words, with the document: "10.1.2.3 is private (RFC 1918)". Names the address: for administrators and logs only. */
  readonly because: string
  /** What kind of address it is: 'global', 'private', 'metadata' …; 'invalid' where it is no IP address. */
  readonly class: string
}

interface SpecialRange {
  readonly cidr: string
  readonly class: string
  readonly source: string
}

/**
 * IANA's special-purpose registries, less what they mark as globally reachable (AS112, AMT). Of IPv6 everything outside
 * 2000::/3 is refused in any case; the rows there give it its name.
 */
export const SPECIAL_RANGES: readonly SpecialRange[] = [
  { cidr: '0.0.0.0/8', class: 'this network', source: 'RFC 791' },
  { cidr: '10.0.0.0/8', class: 'private', source: 'RFC 1918' },
  { cidr: '100.64.0.0/10', class: 'carrier-grade NAT', source: 'RFC 6598' },
  { cidr: '127.0.0.0/8', class: 'loopback', source: 'RFC 1122' },
  { cidr: '169.254.0.0/16', class: 'link-local', source: 'RFC 3927' },
  { cidr: '172.16.0.0/12', class: 'private', source: 'RFC 1918' },
  { cidr: '192.0.0.0/24', class: 'protocol assignment', source: 'RFC 6890' },
  { cidr: '192.0.2.0/24', class: 'documentation', source: 'RFC 5737' },
  { cidr: '192.88.99.0/24', class: '6to4 relay', source: 'RFC 7526' },
  { cidr: '192.168.0.0/16', class: 'private', source: 'RFC 1918' },
  { cidr: '198.18.0.0/15', class: 'benchmarking', source: 'RFC 2544' },
  { cidr: '198.51.100.0/24', class: 'documentation', source: 'RFC 5737' },
  { cidr: '203.0.113.0/24', class: 'documentation', source: 'RFC 5737' },
  { cidr: '224.0.0.0/4', class: 'multicast', source: 'RFC 5771' },
  { cidr: '255.255.255.255/32', class: 'broadcast', source: 'RFC 919' },
  { cidr: '240.0.0.0/4', class: 'reserved', source: 'RFC 1112' },
  { cidr: '::/128', class: 'unspecified', source: 'RFC 4291' },
  { cidr: '::1/128', class: 'loopback', source: 'RFC 4291' },
  { cidr: '::/96', class: 'IPv4-compatible', source: 'RFC 4291' },
  { cidr: '::ffff:0:0:0/96', class: 'IPv4-translated', source: 'RFC 2765' },
  { cidr: '64:ff9b:1::/48', class: 'local NAT64', source: 'RFC 8215' },
  { cidr: '100::/64', class: 'discard-only', source: 'RFC 6666' },
  { cidr: '100:0:0:1::/64', class: 'dummy prefix', source: 'RFC 9780' },
  { cidr: '2001::/32', class: 'Teredo', source: 'RFC 4380' },
  { cidr: '2001:2::/48', class: 'benchmarking', source: 'RFC 5180' },
  { cidr: '2001:10::/28', class: 'ORCHID', source: 'RFC 4843' },
  { cidr: '2001:20::/28', class: 'ORCHID', source: 'RFC 7343' },
  { cidr: '2001::/23', class: 'protocol assignment', source: 'RFC 2928' },
  { cidr: '2001:db8::/32', class: 'documentation', source: 'RFC 3849' },
  { cidr: '3fff::/20', class: 'documentation', source: 'RFC 9637' },
  { cidr: '5f00::/16', class: 'segment routing', source: 'RFC 9602' },
  { cidr: 'fc00::/7', class: 'unique local', source: 'RFC 4193' },
  { cidr: 'fe80::/10', class: 'link-local', source: 'RFC 4291' },
  { cidr: 'fec0::/10', class: 'site-local', source: 'RFC 3879' },
  { cidr: 'ff00::/8', class: 'multicast', source: 'RFC 4291' },
]

const GLOBAL_UNICAST_V6 = '2000::/3'
const NAT64 = '64:ff9b::/96'
const SIX_TO_FOUR = '2002::/16'

/** Compiled once. The rules' CIDRs were checked when the configuration was read; a bare address stands for itself. */
export function createAddressJudge(rules: EgressPolicy): (address: string) => AddressVerdict {
  const allow = listOf(rules.allow)
  const allowMetadata = listOf(rules.allowMetadata)
  return (address) => {
    const parsed = parseAddress(address)
    if (parsed === null) return { allowed: false, class: 'invalid', because: `"${address}" is not an IP address` }
    const { text, inner } = parsed
    const is = (list: BlockList): boolean => contains(list, text) || (inner !== null && contains(list, inner))
    if (is(compiled().metadata)) return metadataVerdict(address, is(allowMetadata))
    if (is(allow)) return { allowed: true, class: classOf(parsed), because: `${address} is listed in egress.allow` }
    const special = specialRange(parsed)
    const said = inner === null ? address : `${address} leads to ${inner}, which`
    if (special === null) return { allowed: true, class: 'global', because: `${address} is global unicast` }
    return { allowed: false, class: special.class, because: `${said} is ${special.class} (${special.source})` }
  }
}

/** For a single judgement; where there are many under one policy, keep what `createAddressJudge` returns. */
export function judgeAddress(address: string, rules: EgressPolicy): AddressVerdict {
  return createAddressJudge(rules)(address)
}

/** True where the address may be shown to anybody: reachable from everywhere, and saying nothing of the inside. */
export function isGlobalUnicast(address: string): boolean {
  const kind = isIP(address)
  if (kind === 4) return !compiled().special.check(address, 'ipv4')
  const parsed = kind === 6 ? parseAddress(address) : null
  return parsed !== null && specialRange(parsed) === null
}

/** So many addresses are remembered; then it begins anew. */
const REMEMBERED = 1000

/** `isGlobalUnicast` for every call: most dial what the ones before them did, and Node's list takes 1 % of a call to ask. */
export function createUnicastJudge(): (address: string) => boolean {
  const known = new Map<string, boolean>()
  return (address) => {
    const found = known.get(address)
    if (found !== undefined) return found
    if (known.size >= REMEMBERED) known.clear()
    const verdict = isGlobalUnicast(address)
    known.set(address, verdict)
    return verdict
  }
}

/** The address as it is compared and dialled: an IPv4-mapped one as its IPv4, no zone. null: no IP address. */
export function canonicalAddress(address: string): string | null {
  return parseAddress(address)?.text ?? null
}

interface ParsedAddress {
  readonly text: string
  /** The IPv4 that a translator or relay makes of it (NAT64, 6to4); null: none. */
  readonly inner: string | null
}

function metadataVerdict(address: string, listed: boolean): AddressVerdict {
  return listed
    ? { allowed: true, class: 'metadata', because: `${address} is listed in egress.allowMetadata` }
    : { allowed: false, class: 'metadata', because: `${address} is a metadata address, which only egress.allowMetadata opens` }
}

function classOf(parsed: ParsedAddress): string {
  return specialRange(parsed)?.class ?? 'global'
}

function specialRange({ text, inner }: ParsedAddress): SpecialRange | null {
  const judged = inner ?? text
  const { special, rows, globalV6 } = compiled()
  if (contains(special, judged)) return rows.find(({ list }) => contains(list, judged)) ?? null
  if (isIP(judged) === 6 && !contains(globalV6, judged)) {
    return { cidr: '::/0', class: 'not global unicast', source: 'RFC 4291' }
  }
  return null
}

function parseAddress(address: string): ParsedAddress | null {
  const zone = address.indexOf('%')
  const text = zone < 0 ? address : address.slice(0, zone)
  const kind = isIP(text)
  if (kind === 0) return null
  if (kind === 4) return { text, inner: null }
  const groups = groupsOf(text)
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return { text: dotted(groups[6], groups[7]), inner: null }
  }
  if (contains(compiled().nat64, text)) return { text, inner: dotted(groups[6], groups[7]) }
  if (contains(compiled().sixToFour, text)) return { text, inner: dotted(groups[1], groups[2]) }
  return { text, inner: null }
}

/** The eight groups of an address that `isIP` accepted. */
function groupsOf(text: string): readonly number[] {
  const [head = '', tail] = text.split('::')
  const before = numbersOf(head)
  if (tail === undefined) return before
  const after = numbersOf(tail)
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after]
}

function numbersOf(part: string): number[] {
  if (part === '') return []
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number)
    return [a * 256 + b, c * 256 + d]
  })
}

function dotted(high = 0, low = 0): string {
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}

function contains(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6')
}

function listOf(cidrs: readonly string[]): BlockList {
  const list = new BlockList()
  for (const cidr of cidrs) {
    const [network = '', prefix] = cidr.split('/')
    const family = isIP(network) === 4 ? 'ipv4' : 'ipv6'
    list.addSubnet(network, prefix === undefined ? (family === 'ipv4' ? 32 : 128) : Number(prefix), family)
  }
  return list
}

interface Compiled {
  readonly special: BlockList
  readonly rows: readonly (SpecialRange & { readonly list: BlockList })[]
  readonly metadata: BlockList
  readonly globalV6: BlockList
  readonly nat64: BlockList
  readonly sixToFour: BlockList
}

let tables: Compiled | undefined

/** The constant tables above in the form that is compared with; made on first use. */
function compiled(): Compiled {
  tables ??= {
    special: listOf(SPECIAL_RANGES.map(({ cidr }) => cidr)),
    rows: SPECIAL_RANGES.map((row) => ({ ...row, list: listOf([row.cidr]) })),
    metadata: listOf(METADATA_RANGES),
    globalV6: listOf([GLOBAL_UNICAST_V6]),
    nat64: listOf([NAT64]),
    sixToFour: listOf([SIX_TO_FOUR]),
  }
  return tables
}
