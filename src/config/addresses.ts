// Addresses as far as a configuration check needs them. What may be dialled is judged by policy/, call by call.
import { BlockList, isIP } from 'node:net'
import { METADATA_RANGES } from '../model/metadata-ranges.ts'

interface Block {
  readonly address: string
  readonly family: 'ipv4' | 'ipv6'
  readonly bits: number
}

/** An address without `/` is a block of one. */
function readBlock(cidr: string): Block {
  const [address = '', bits] = cidr.split('/')
  const six = isIP(address) === 6
  return { address, family: six ? 'ipv6' : 'ipv4', bits: Number(bits ?? (six ? 128 : 32)) }
}

function contains(outer: Block, inner: Block): boolean {
  if (outer.family !== inner.family || outer.bits > inner.bits) return false
  const list = new BlockList()
  list.addSubnet(outer.address, outer.bits, outer.family)
  return list.check(inner.address, inner.family)
}

/** True where the whole of `cidr` is metadata addresses. */
export function isMetadata(cidr: string): boolean {
  const block = readBlock(cidr)
  return METADATA_RANGES.some((range) => contains(readBlock(range), block))
}

/** Metadata ranges within `cidr`. */
export function coveredMetadata(cidr: string): string[] {
  const block = readBlock(cidr)
  return METADATA_RANGES.filter((range) => contains(block, readBlock(range)))
}

/** Only this machine can reach a listener there. */
export function isLoopbackHost(host: string): boolean {
  return host.toLowerCase() === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** `address:port`, IPv6 in brackets, port 53 where none is written; null where it is no such thing. */
export function normaliseDnsServer(written: string): string | null {
  if (isIP(written) === 4) return `${written}:53`
  if (isIP(written) === 6) return `[${written}]:53`
  const parts = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::(\d{1,5}))?$/.exec(written)
  const address = parts?.[1] ?? parts?.[2] ?? ''
  const port = Number(parts?.[3] ?? 53)
  if (isIP(address) === 0 || port < 1 || port > 65_535) return null
  return isIP(address) === 4 ? `${address}:${port}` : `[${address}]:${port}`
}
