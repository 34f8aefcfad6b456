// JSON text read into a tree that keeps what JSON.parse loses: the order of members (integer-like names too), repeated
// names, each number's own text, and one member's text as it stands. Linear in its input, bounded in depth, never throws.
// What is wrong with text that is no JSON is said by scan-json.ts.
import { isUtf8 } from 'node:buffer'
import { endOfJson } from './check-json.ts'
import { checkJson, type JsonFault, skipNumber, skipSpace, skipString, skipWord } from './scan-json.ts'

export interface JsonNumber {
  readonly kind: 'number'
  /** As written: 2.0 stays "2.0". */
  readonly text: string
}

/** A value's own text, checked and not read. It shares memory with the input. */
export interface JsonRaw {
  readonly kind: 'raw'
  readonly bytes: Buffer
}

export interface JsonObject {
  readonly kind: 'object'
  /** In the order of the text; `__proto__` is a name like any other. */
  readonly members: readonly (readonly [name: string, value: JsonNode])[]
}

export type JsonNode = null | boolean | string | JsonNumber | JsonRaw | JsonObject | readonly JsonNode[]

/** Good JSON that still cannot be taken as it is: a repeated name, half of a surrogate pair. */
export interface JsonDoubt {
  /** RFC 6901. */
  readonly pointer: string
  readonly message: string
}

export type ParsedJson =
  /** `doubts`: the first hundred, those inside a raw member excepted. */
  { readonly ok: true; readonly value: JsonNode; readonly doubts: readonly JsonDoubt[] } | JsonFault

export interface ParseJsonOptions {
  /** Brackets that may be open at once. */
  readonly maxDepth: number
  /** The root object's member of this name is kept as its own text. */
  readonly rawMember: string
}

interface Cursor {
  readonly bytes: Buffer
  /** The bytes from `windowStart` on, a character each, out of which ASCII strings are cut. */
  window: string
  windowStart: number
  readonly options: ParseJsonOptions
  /** Where reading goes on. */
  at: number
  /** Name or index on the way down, one a level; entries below the present level are left over. */
  readonly path: (string | number)[]
  readonly doubts: JsonDoubt[]
}

const MAX_DOUBTS = 100
/** Up to this many members a repeated name is looked for one by one, which is faster than building a set. */
const FEW = 8
/**
 * Bytes decoded at once. Cutting a string out of a longer one is much faster than decoding it, but keeps the longer one alive
 * for as long as the piece lives: a kept name must not hold a whole descriptor.
 */
const WINDOW = 4096
const NAME_SHOWN = 64

/** Reads one JSON value in UTF-8 with white space around it; a BOM is no white space. */
export function parseJson(bytes: Buffer, options: ParseJsonOptions): ParsedJson {
  const cursor: Cursor = { bytes, window: '', windowStart: 0, options, at: skipSpace(bytes, 0), path: [], doubts: [] }
  const value = isUtf8(bytes) ? readValue(cursor, 0) : undefined
  if (value !== undefined && skipSpace(bytes, cursor.at) === bytes.length) return { ok: true, value, doubts: cursor.doubts }
  const check = checkJson(bytes, options.maxDepth)
  return check.ok ? { ok: false, at: cursor.at, reason: 'it is not JSON', nonFinite: false } : check
}

/**
 * The text of each item of a list, sharing memory with it; null where `list` is no list. Stops behind `most` items with one more,
 * since each costs far more memory than a short one's text.
 * `list` is the text of a value that was checked already, such as a raw member's.
 */
export function splitJsonList(list: Buffer, maxDepth: number, most: number): Buffer[] | null {
  if (list[0] !== 0x5b) return null
  const items: Buffer[] = []
  let at = skipSpace(list, 1)
  while (at < list.length && list[at] !== 0x5d && items.length <= most) {
    const end = endOfJson(list, at, maxDepth)
    if (end < 0) return null
    items.push(list.subarray(at, end))
    at = skipSpace(list, end)
    if (list[at] === 0x2c) at = skipSpace(list, at + 1)
  }
  return items
}

/** RFC 6901. A name longer than 64 characters is cut, so that a fault never repeats a whole input. */
export function jsonPointer(path: readonly (string | number)[]): string {
  let pointer = ''
  for (const step of path) pointer += `/${typeof step === 'number' ? step : escaped(step)}`
  return pointer
}

function escaped(name: string): string {
  const shown = name.length > NAME_SHOWN ? `${name.slice(0, NAME_SHOWN)}…` : name
  return shown.replaceAll('~', '~0').replaceAll('/', '~1')
}

// Below, undefined says that there is no such value at the cursor. The recursion is bounded by maxDepth.

function readValue(cursor: Cursor, depth: number): JsonNode | undefined {
  switch (cursor.bytes[cursor.at]) {
    case 0x22:
      return readString(cursor, depth)
    case 0x7b:
      return depth < cursor.options.maxDepth ? readObject(cursor, depth) : undefined
    case 0x5b:
      return depth < cursor.options.maxDepth ? readList(cursor, depth) : undefined
    case 0x74:
      return readWord(cursor, 'true', true)
    case 0x66:
      return readWord(cursor, 'false', false)
    case 0x6e:
      return readWord(cursor, 'null', null)
    default:
      return readNumber(cursor)
  }
}

function readObject(cursor: Cursor, depth: number): JsonObject | undefined {
  const { bytes } = cursor
  const members: [string, JsonNode][] = []
  let names: Set<string> | null = null
  cursor.at = skipSpace(bytes, cursor.at + 1)
  if (take(cursor, 0x7d)) return { kind: 'object', members }
  for (;;) {
    const name = bytes[cursor.at] === 0x22 ? readString(cursor, depth) : undefined
    if (name === undefined || !takeAfterSpace(cursor, 0x3a)) return undefined
    cursor.path[depth] = name
    if (members.length === FEW) names = new Set(members.map(([earlier]) => earlier))
    const repeated = names ? names.size === names.add(name).size : isTaken(members, name)
    if (repeated) doubt(cursor, depth + 1, 'the key is given more than once')
    const value = depth === 0 && name === cursor.options.rawMember ? readRaw(cursor) : readValue(cursor, depth + 1)
    if (value === undefined) return undefined
    members.push([name, value])
    if (takeAfterSpace(cursor, 0x2c)) continue
    return take(cursor, 0x7d) ? { kind: 'object', members } : undefined
  }
}

function isTaken(members: readonly (readonly [string, JsonNode])[], name: string): boolean {
  for (const member of members) if (member[0] === name) return true
  return false
}

function readList(cursor: Cursor, depth: number): JsonNode[] | undefined {
  const items: JsonNode[] = []
  cursor.at = skipSpace(cursor.bytes, cursor.at + 1)
  if (take(cursor, 0x5d)) return items
  for (;;) {
    cursor.path[depth] = items.length
    const item = readValue(cursor, depth + 1)
    if (item === undefined) return undefined
    items.push(item)
    if (takeAfterSpace(cursor, 0x2c)) continue
    return take(cursor, 0x5d) ? items : undefined
  }
}

function take(cursor: Cursor, byte: number): boolean {
  if (cursor.bytes[cursor.at] !== byte) return false
  cursor.at++
  return true
}

/** With white space before `byte`, and after it where it is there. */
function takeAfterSpace(cursor: Cursor, byte: number): boolean {
  cursor.at = skipSpace(cursor.bytes, cursor.at)
  if (!take(cursor, byte)) return false
  cursor.at = skipSpace(cursor.bytes, cursor.at)
  return true
}

function readRaw(cursor: Cursor): JsonRaw | undefined {
  const start = cursor.at
  const end = endOfJson(cursor.bytes, start, cursor.options.maxDepth - 1)
  if (end < 0) return undefined
  cursor.at = end
  return { kind: 'raw', bytes: cursor.bytes.subarray(start, end) }
}

function readString(cursor: Cursor, depth: number): string | undefined {
  const { bytes } = cursor
  const start = cursor.at
  let at = start + 1
  let byte = bytes[at]
  while (byte !== undefined && byte >= 0x20 && byte < 0x80 && byte !== 0x22 && byte !== 0x5c) byte = bytes[++at]
  if (byte === 0x22) {
    cursor.at = at + 1
    return slice(cursor, start + 1, at)
  }
  const end = skipString(bytes, start)
  if (end < 0) return undefined
  cursor.at = end
  const text = JSON.parse(bytes.toString('utf8', start, end)) as string
  if (!text.isWellFormed()) doubt(cursor, depth, 'half of a surrogate pair stands alone and cannot be sent')
  return text
}

/** The bytes are known to be ASCII; positions only ever grow. */
function slice(cursor: Cursor, start: number, end: number): string {
  if (end > cursor.windowStart + cursor.window.length) {
    if (end - start > WINDOW) return cursor.bytes.toString('latin1', start, end)
    cursor.windowStart = start
    cursor.window = cursor.bytes.toString('latin1', start, start + WINDOW)
  }
  return cursor.window.slice(start - cursor.windowStart, end - cursor.windowStart)
}

function readNumber(cursor: Cursor): JsonNumber | undefined {
  const start = cursor.at
  const end = skipNumber(cursor.bytes, start)
  if (end < 0) return undefined
  cursor.at = end
  return { kind: 'number', text: slice(cursor, start, end) }
}

function readWord<T>(cursor: Cursor, word: string, value: T): T | undefined {
  const end = skipWord(cursor.bytes, cursor.at, word)
  if (end < 0) return undefined
  cursor.at = end
  return value
}

/** `steps`: how much of the path leads to what the message is about. */
function doubt(cursor: Cursor, steps: number, message: string): void {
  if (cursor.doubts.length >= MAX_DOUBTS) return
  cursor.doubts.push({ pointer: jsonPointer(cursor.path.slice(0, steps)), message })
}
