// The host of a URL, judged and written in the one form that everything after it sees: adapters, egress rules, the
// certificate check and the dialler. Numeric forms become dotted IPv4 as the WHATWG URL standard has it, so that
// 2130706433 is 127.0.0.1 before anybody judges it; Requests leaves that to the system's resolver.
import { domainToASCII, domainToUnicode } from 'node:url'
import { unquoteUnreserved } from './quote.ts'

export type HostVerdict = { readonly host: string } | { readonly fault: string }

/** Names that mean the same to everyone: the last label starts with a letter, so it is no number. */
const PLAIN = /^(?:[a-z0-9_-]{1,63}\.)*[a-z_][a-z0-9_-]{0,62}$/
const DOTTED_IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/
const REG_NAME = /^[a-z0-9._~!$&'()*+,;=-]+$/
const ASCII = /^\p{ASCII}*$/u
const IPV6_CHARACTERS = /^\[[0-9A-Fa-f:.]+\]$/
/** Letters, marks and digits: nearly IDNA 2008's PVALID, with the characters that it allows in context (RFC 5892 §2.6). */
const IDNA_LABEL =
  /^(?:[a-z0-9\p{Ll}\p{Lo}\p{Lm}\p{Mn}\p{Mc}\p{Nd}\u00b7\u0375\u05f3\u05f4\u06fd\u06fe\u0f0b\u3007\u30fb-]|\u200c|\u200d)+$/u
const IDNA_HYPHENS = /^-|-$|^..--/u

/** @param host as it stands in the authority: no userinfo, no port; IPv6 in brackets. Not empty. */
export function judgeHost(host: string): HostVerdict {
  // Longer than any name whose every character is escaped; punycode takes time with the square of the length.
  if (host.length > 3 * 254) return { fault: 'URL has an invalid label: the host is longer than 253' }
  const lower = host.toLowerCase()
  if (PLAIN.test(lower) && lower.length <= 253 && !lower.includes('xn--')) return { host: lower }
  if (DOTTED_IPV4.test(host)) return { host }
  return host.startsWith('[') ? judgeIpv6(host) : judgeName(host)
}

function judgeIpv6(host: string): HostVerdict {
  if (host.includes('%')) return { fault: 'an IPv6 zone identifier means nothing outside one machine; leave it out' }
  const canonical = IPV6_CHARACTERS.test(host) ? domainToASCII(host) : ''
  return canonical === '' ? { fault: 'what stands in brackets is no IPv6 address' } : { host: canonical }
}

function judgeName(host: string): HostVerdict {
  const name = unquoteUnreserved(host)
  if (name.startsWith('*') || name.startsWith('.')) return { fault: 'URL has an invalid label: it starts with "*" or "."' }
  const labels = name.split('.').map(asciiLabel)
  if (labels.includes(null)) return { fault: 'URL has an invalid label: not a valid IDNA 2008 name' }
  const ascii = labels.join('.')
  if (!REG_NAME.test(ascii)) return { fault: 'URL has an invalid label: a character that no host name may have' }
  const absolute = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii
  if (absolute.length > 253 || absolute.split('.').some((label) => label === '' || label.length > 63)) {
    return { fault: 'URL has an invalid label: empty or longer than 63 characters, or the host is longer than 253' }
  }
  const canonical = domainToASCII(ascii)
  return canonical === '' ? { fault: 'the host ends in a number but is no IPv4 address' } : { host: canonical }
}

/**
 * null where the label is none under IDNA 2008 as Requests applies it: look-alikes that browsers map quietly
 * (full-width letters, circled digits, ideographic full stops) and symbols are refused.
 */
function asciiLabel(label: string): string | null {
  const lower = label.toLowerCase()
  if (ASCII.test(lower)) return lower
  if (!IDNA_LABEL.test(lower) || IDNA_HYPHENS.test(lower)) return null
  const encoded = domainToASCII(lower)
  return domainToUnicode(encoded) === lower ? encoded : null
}
