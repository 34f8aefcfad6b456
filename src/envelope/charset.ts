// Bytes to text by the name of a charset, with the names and the outcomes of Python's codecs as far as they matter to HTTP.
// It decides no charset: read-body.ts does.
import { isAscii } from 'node:buffer'
import iconv from 'iconv-lite'

type Decoder = (bytes: Buffer) => string

const BOM = '\ufeff'
const REPLACEMENT = '\ufffd'

/** Keyed by the name in lower case without punctuation, and by the commonest spelling. A BOM stays in the text unless the charset's own definition takes it. */
const DECODERS: ReadonlyMap<string, Decoder> = new Map([
  ...named('utf-8 utf8 u8 utf cp65001 unicode11utf8', utf8),
  ...named('utf8sig', (bytes) => withoutBom(utf8(bytes))),
  ...named('iso88591 iso8859 iso885911987 latin1 latin l1 8859 cp819 ibm819 isoir100 csisolatin1', latin1),
  ...named('usascii ascii us 646 cp367 ibm367 csascii iso646us isoir6 ansix341968 ansix341986', ascii),
  ...named('utf16 u16', utf16),
  ...named('utf16le', (bytes) => new TextDecoder('utf-16le', { ignoreBOM: true }).decode(bytes)),
  ...named('utf16be', (bytes) => new TextDecoder('utf-16be', { ignoreBOM: true }).decode(bytes)),
  ...named('utf32 u32', utf32),
  ...named('utf32le', (bytes) => byIconv(bytes, 'utf-32le')),
  ...named('utf32be', (bytes) => byIconv(bytes, 'utf-32be')),
])

/** Names of iconv-lite that are no charsets, or none that a server means. */
const NO_CHARSETS: ReadonlySet<string> = new Set(['base64', 'hex', 'binary', 'ucs2', 'cesu8', 'utf7imap'])

/** Undecodable bytes become U+FFFD; a name that nobody knows is read as UTF-8. */
export function decodeText(bytes: Buffer, charset: string): string {
  return decoderOf(charset)(bytes)
}

/** True where `bytes` in that charset are UTF-8 as they stand. */
export function isUtf8Charset(charset: string): boolean {
  return decoderOf(charset) === utf8
}

export function withoutBom(text: string): string {
  return text.startsWith(BOM) ? text.slice(1) : text
}

function decoderOf(charset: string): Decoder {
  const known = DECODERS.get(charset)
  if (known) return known
  const key = charset.toLowerCase().replace(/[^a-z0-9]/g, '')
  const own = DECODERS.get(key)
  if (own) return own
  if (!NO_CHARSETS.has(key) && iconv.encodingExists(charset)) return (bytes) => byIconv(bytes, charset)
  return fromPlatform(charset) ?? utf8
}

/** The few that only the platform has, such as ISO-2022-JP. Not asked first: it reads ISO-8859-1 as windows-1252. */
function fromPlatform(charset: string): Decoder | null {
  try {
    const decoder = new TextDecoder(charset, { ignoreBOM: true })
    return decoder.encoding === 'utf-8' ? null : (bytes) => decoder.decode(bytes)
  } catch {
    return null
  }
}

function named(names: string, decoder: Decoder): [string, Decoder][] {
  return names.split(' ').map((name) => [name, decoder])
}

function utf8(bytes: Buffer): string {
  return bytes.toString('utf8')
}

function latin1(bytes: Buffer): string {
  return bytes.toString('latin1')
}

function ascii(bytes: Buffer): string {
  const text = bytes.toString('latin1')
  return isAscii(bytes) ? text : text.replace(/[\x80-\xff]/g, REPLACEMENT)
}

/** Its BOM says the byte order and belongs to no text; without one: little-endian, as on every machine this runs on. */
function utf16(bytes: Buffer): string {
  const bigEndian = bytes[0] === 0xfe && bytes[1] === 0xff
  return withoutBom(decodeText(bytes, bigEndian ? 'utf-16be' : 'utf-16le'))
}

function utf32(bytes: Buffer): string {
  const bigEndian = bytes[0] === 0 && bytes[1] === 0 && bytes[2] === 0xfe && bytes[3] === 0xff
  return withoutBom(decodeText(bytes, bigEndian ? 'utf-32be' : 'utf-32le'))
}

/** Half a surrogate pair, which UTF-7 and UTF-32 can spell, is as undecodable as any other byte that means nothing. */
function byIconv(bytes: Buffer, charset: string): string {
  return iconv.decode(bytes, charset, { stripBOM: false }).toWellFormed()
}
