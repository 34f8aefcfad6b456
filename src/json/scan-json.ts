// JSON text checked where it lies: RFC 8259 over bytes, without building anything and without recursion. It says where a text stops
// being JSON and why, and where a value ends; check-json.ts says the same faster, without the why. Values are made by parse-json.ts.
import { isUtf8 } from 'node:buffer'

export type JsonCheck = { readonly ok: true } | JsonFault

export interface JsonFault {
  readonly ok: false
  /** Byte offset at which it stops being JSON. */
  readonly at: number
  /** In words, without any of the text's own content but one punctuation mark. */
  readonly reason: string
  /** It would be JSON but for NaN, Infinity or -Infinity, as Python's json module writes them. */
  readonly nonFinite: boolean
}

/** What a scan met on its way that its position cannot say. */
interface Scan {
  readonly bytes: Uint8Array
  readonly maxDepth: number
  tooDeep: boolean
  /** Offset of the first NaN or Infinity; -1: none. */
  nonFiniteAt: number
}

const QUOTE = 0x22
const COMMA = 0x2c
const MINUS = 0x2d
const COLON = 0x3a
const OPEN_LIST = 0x5b
const BACKSLASH = 0x5c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

const OK: JsonCheck = { ok: true }

/**
 * Is `bytes` one JSON value in UTF-8, white space around it allowed and a BOM not?
 * `maxDepth`: brackets that may be open at once; a bare scalar has depth 0.
 */
export function checkJson(bytes: Uint8Array, maxDepth: number): JsonCheck {
  const scan: Scan = { bytes, maxDepth, tooDeep: false, nonFiniteAt: -1 }
  const end = skipValue(scan, skipSpace(bytes, 0))
  const rest = end < 0 ? end : skipSpace(bytes, end)
  const faultAt = rest < 0 ? ~rest : rest < bytes.length ? rest : -1
  if (faultAt < 0 && scan.nonFiniteAt < 0) return isUtf8(bytes) ? OK : fault(0, 'it is not valid UTF-8', false)
  if (faultAt < 0) return fault(scan.nonFiniteAt, 'NaN and Infinity are no JSON', isUtf8(bytes))
  return fault(faultAt, scan.tooDeep ? `it is nested more than ${maxDepth} levels deep` : unexpected(bytes, faultAt), false)
}

/** Offset just after the JSON value that begins at `start`, or -1 where there is none. UTF-8 is not checked. */
export function skipJsonValue(bytes: Uint8Array, start: number, maxDepth: number): number {
  const scan: Scan = { bytes, maxDepth, tooDeep: false, nonFiniteAt: -1 }
  const end = skipValue(scan, start)
  return end < 0 || scan.nonFiniteAt >= 0 ? -1 : end
}

function fault(at: number, reason: string, nonFinite: boolean): JsonFault {
  return { ok: false, at, reason, nonFinite }
}

function unexpected(bytes: Uint8Array, at: number): string {
  const byte = bytes[at]
  if (byte === undefined) return 'it ends too early'
  return byte > 0x20 && byte < 0x7f
    ? `unexpected ${String.fromCharCode(byte)}`
    : `unexpected byte 0x${byte.toString(16).padStart(2, '0')}`
}

// Below, the answer is the position just after what was there, or ~position (negative) of the byte that was wrong.

/**
 * The loop over brackets. `closer` is the closing bracket of the innermost open one (two above it in ASCII), 0 outside;
 * `closers` holds those further out.
 */
function skipValue(scan: Scan, start: number): number {
  const { bytes, maxDepth } = scan
  const closers: number[] = []
  let closer = 0
  let at = start
  for (;;) {
    const byte = byteAt(bytes, at)
    if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      if (closers.length === maxDepth) return tooDeep(scan, at)
      closers.push(closer)
      closer = byte + 2
      at = skipSpace(bytes, at + 1)
      if (byteAt(bytes, at) !== closer) {
        if (closer === CLOSE_OBJECT) at = skipName(bytes, at)
        if (at < 0) return at
        continue
      }
    } else {
      at = skipScalar(scan, at)
      if (at < 0 || closer === 0) return at
      at = skipSpace(bytes, at)
    }
    while (byteAt(bytes, at) === closer) {
      closer = closers.pop() as number
      at++
      if (closer === 0) return at
      at = skipSpace(bytes, at)
    }
    if (byteAt(bytes, at) !== COMMA) return ~at
    at = skipSpace(bytes, at + 1)
    if (closer === CLOSE_OBJECT) at = skipName(bytes, at)
    if (at < 0) return at
  }
}

function tooDeep(scan: Scan, at: number): number {
  scan.tooDeep = true
  return ~at
}

/** Over a member's name and its colon, to where its value begins. */
function skipName(bytes: Uint8Array, start: number): number {
  if (byteAt(bytes, start) !== QUOTE) return ~start
  const end = skipString(bytes, start)
  if (end < 0) return end
  const colon = skipSpace(bytes, end)
  return byteAt(bytes, colon) === COLON ? skipSpace(bytes, colon + 1) : ~colon
}

function skipScalar(scan: Scan, at: number): number {
  const { bytes } = scan
  switch (byteAt(bytes, at)) {
    case QUOTE:
      return skipString(bytes, at)
    case 0x74:
      return skipWord(bytes, at, 'true')
    case 0x66:
      return skipWord(bytes, at, 'false')
    case 0x6e:
      return skipWord(bytes, at, 'null')
    case 0x4e:
      return skipNonFinite(scan, at, 'NaN')
    case 0x49:
      return skipNonFinite(scan, at, 'Infinity')
    case MINUS:
      return byteAt(bytes, at + 1) === 0x49 ? skipNonFinite(scan, at, '-Infinity') : skipNumber(bytes, at)
    default:
      return skipNumber(bytes, at)
  }
}

/** `word`'s first character is known to be there. */
export function skipWord(bytes: Uint8Array, start: number, word: string): number {
  for (let i = 1; i < word.length; i++) if (bytes[start + i] !== word.charCodeAt(i)) return ~(start + i)
  return start + word.length
}

function skipNonFinite(scan: Scan, start: number, word: string): number {
  const end = skipWord(scan.bytes, start, word)
  if (end >= 0 && scan.nonFiniteAt < 0) scan.nonFiniteAt = start
  return end
}

export function skipSpace(bytes: Uint8Array, start: number): number {
  const { length } = bytes
  let at = start
  while (at < length) {
    const byte = bytes[at] as number
    if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) return at
    at++
  }
  return at
}

/** -1 past the end. Reading past the end of a typed array itself costs twice as much on every later read. */
const byteAt = (bytes: Uint8Array, at: number): number => (at < bytes.length ? (bytes[at] as number) : -1)

/** From the opening quote to just after the closing one. */
export function skipString(bytes: Uint8Array, start: number): number {
  const { length } = bytes
  let at = start + 1
  while (at < length) {
    const byte = bytes[at] as number
    if (byte === QUOTE) return at + 1
    if (byte === BACKSLASH) {
      at = skipEscape(bytes, at)
      if (at < 0) return at
    } else if (byte < 0x20) return ~at
    else at++
  }
  return ~length
}

function skipEscape(bytes: Uint8Array, start: number): number {
  switch (bytes[start + 1]) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return start + 2
    case 0x75:
      for (let at = start + 2; at < start + 6; at++) if (!isHexDigit(bytes[at])) return ~at
      return start + 6
    default:
      return ~(start + 1)
  }
}

const isHexDigit = (byte: number | undefined): boolean =>
  byte !== undefined && ((byte >= 0x30 && byte <= 0x39) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66))

/** RFC 8259 §6. */
export function skipNumber(bytes: Uint8Array, start: number): number {
  let at = byteAt(bytes, start) === MINUS ? start + 1 : start
  at = byteAt(bytes, at) === 0x30 ? at + 1 : skipDigits(bytes, at)
  if (at >= 0 && byteAt(bytes, at) === 0x2e) at = skipDigits(bytes, at + 1)
  if (at < 0) return at
  const byte = byteAt(bytes, at)
  if (byte !== 0x65 && byte !== 0x45) return at
  const sign = byteAt(bytes, at + 1)
  return skipDigits(bytes, sign === 0x2b || sign === MINUS ? at + 2 : at + 1)
}

/** One digit or more. */
function skipDigits(bytes: Uint8Array, start: number): number {
  const { length } = bytes
  let at = start
  while (at < length) {
    const byte = bytes[at] as number
    if (byte < 0x30 || byte > 0x39) break
    at++
  }
  return at === start ? ~at : at
}
