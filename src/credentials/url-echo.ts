// What an upstream's URLs repeat of a credential that stands in a URL: taken out again, however it is percent-encoded there. A
// server that redirects to another path of its own repeats the whole path or query as a matter of course.
import { MASK } from '../model/outgoing-view.ts'

/** Headers whose values are URLs or hold some. */
const URL_HEADERS: ReadonlySet<string> = new Set(['location', 'content-location', 'link', 'refresh', 'set-cookie'])
/** Shorter ones would be found everywhere, and are no secrets. */
const LEAST_CHARACTERS = 4
/** How often a URL within a URL within a URL may be encoded. */
const DEEPEST = 4

/** `clean` gets the values of the headers that hold URLs, as latin-1. The same list where nothing changed. */
export function cleanUrlHeaders(
  rawHeaders: readonly string[],
  clean: (value: string, name: string) => string,
): readonly string[] {
  let cleaned: string[] | null = null
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase()
    if (!URL_HEADERS.has(name)) continue
    const value = rawHeaders[at + 1] ?? ''
    const without = clean(value, name)
    if (without === value) continue
    cleaned ??= [...rawHeaders]
    cleaned[at + 1] = without
  }
  return cleaned ?? rawHeaders
}

/** A header's value with `asAsked` applied to each URL and each cookie's path in it. */
export function withPathsAsAsked(value: string, name: string, asAsked: (url: string) => string): string {
  switch (name) {
    case 'link':
      return value.replace(/<([^>]*)>/g, (_, url: string) => `<${asAsked(url)}>`)
    case 'refresh':
      return value.replace(/(url\s*=\s*["']?)([^"']*)/i, (_, before: string, url: string) => before + asAsked(url))
    case 'set-cookie':
      return value.replace(/(;\s*path\s*=\s*)([^;]*)/gi, (_, before: string, path: string) => before + asAsked(path))
    default:
      return asAsked(value)
  }
}

/** @param text one character a byte */
export function maskInUrl(text: string, secrets: readonly string[]): string {
  const needles = secrets.filter((secret) => secret.length >= LEAST_CHARACTERS).flatMap(needlesOf)
  let decoded: Decoded = {
    bytes: plusAsSpace(Buffer.from(text, 'latin1')),
    starts: Array.from({ length: text.length + 1 }, (_, at) => at),
  }
  const found: [start: number, end: number][] = []
  for (let layer = 0; ; layer++) {
    for (const needle of needles) found.push(...placesOf(decoded, needle))
    if (layer === DEEPEST || !decoded.bytes.includes(PERCENT)) break
    decoded = decodeOnce(decoded)
  }
  return found.length === 0 ? text : replace(text, found)
}

const PERCENT = 0x25

/** Decoded bytes, and where each began in the text; one more start for the end. */
interface Decoded {
  readonly bytes: Buffer
  readonly starts: readonly number[]
}

function decodeOnce({ bytes, starts }: Decoded): Decoded {
  const decoded: number[] = []
  const begun: number[] = []
  for (let at = 0; at < bytes.length; at++) {
    begun.push(starts[at] ?? 0)
    const octet = bytes[at] === PERCENT ? bytes.toString('latin1', at + 1, at + 3) : ''
    if (/^[0-9a-f]{2}$/i.test(octet)) {
      decoded.push(Number.parseInt(octet, 16))
      at += 2
    } else decoded.push(bytes[at] ?? 0)
  }
  return { bytes: plusAsSpace(Buffer.from(decoded)), starts: [...begun, starts.at(-1) ?? 0] }
}

/** In a query a plus is a space; that one is taken for the other hurts nobody here. */
function plusAsSpace(bytes: Buffer): Buffer {
  return bytes.includes(0x2b) ? (bytes.map((byte) => (byte === 0x2b ? 0x20 : byte)) as Buffer) : bytes
}

function needlesOf(secret: string): readonly Buffer[] {
  const utf8 = Buffer.from(secret)
  return utf8.length === secret.length ? [plusAsSpace(utf8)] : [plusAsSpace(utf8), plusAsSpace(Buffer.from(secret, 'latin1'))]
}

function placesOf({ bytes, starts }: Decoded, needle: Buffer): [number, number][] {
  const places: [number, number][] = []
  for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + needle.length)) {
    places.push([starts[at] ?? 0, starts[at + needle.length] ?? 0])
  }
  return places
}

function replace(text: string, found: readonly (readonly [number, number])[]): string {
  let masked = ''
  let at = 0
  for (const [start, end] of found.toSorted(([a], [b]) => a - b)) {
    if (end <= at) continue
    if (start >= at) masked += text.slice(at, start) + MASK
    at = end
  }
  return masked + text.slice(at)
}
