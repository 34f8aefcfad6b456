// Whether a text is JSON, and where a value ends, said fast: the scanner is scan.wat, in WebAssembly, to which the text is copied
// piece by piece. A long text can be checked over several turns of the event loop. Why a text is none: scan-json.ts, which also
// stands in on a processor without the SIMD instructions.
import { isUtf8 } from 'node:buffer'
import { checkJson, skipJsonValue, skipNumber, skipSpace } from './scan-json.ts'
import { SCAN_WASM } from './scan-wasm.ts'

interface Scanner {
  readonly memory: Uint8Array
  /** What comes next, how many brackets are open, how many may be. */
  readonly state: Int32Array
  readonly scan: (at: number, end: number, isLast: boolean) => number
}

/** As far as it is used here: TypeScript knows it from the DOM alone. */
declare const WebAssembly: {
  validate(code: Uint8Array): boolean
  Module: new (code: Uint8Array) => object
  Instance: new (
    module: object,
  ) => { readonly exports: { readonly memory: { readonly buffer: ArrayBuffer }; readonly scan: Scanner['scan'] } }
}

// Places and values in the scanner's memory, as in scan.wat.
const NEXT = 0
const DEPTH = 1
const MAX_DEPTH = 2
const VALUE = 0
const AFTER_VALUE = 5
const WRONG = 8
const BRACKETS = 17
const TEXT = 4096
const PIECE = 32 * 1024
const GUARD = 16

/** Brackets for which there is room before the text. */
const MOST_DEPTH = TEXT - BRACKETS
/** Half a millisecond's work; several calls may each do as much in one turn. */
const TURN = 512 * 1024

/** undefined: not asked for yet. null: this processor cannot run it. */
let known: Scanner | null | undefined

/** Is `text` one JSON value in UTF-8, white space around it allowed and a BOM not? `maxDepth`: brackets that may be open at once. */
export function isJson(text: Buffer, maxDepth: number): boolean {
  const scanner = scannerFor(maxDepth)
  if (scanner === null) return checkJson(text, maxDepth).ok
  begin(scanner, maxDepth)
  const end = advance(scanner, text, 0, text.length)
  return isWhole(scanner) && skipSpace(text, end) === text.length && isUtf8(text)
}

/** The same of a long text, in small parts: `nextTurn` is waited for between them. */
export async function isJsonInTurns(text: Buffer, maxDepth: number, nextTurn: () => Promise<void>): Promise<boolean> {
  const scanner = scannerFor(maxDepth)
  if (scanner === null) return checkJson(text, maxDepth).ok
  begin(scanner, maxDepth)
  let at = advance(scanner, text, 0, TURN)
  let checked = 0
  while (isUnderWay(scanner)) {
    const end = startOfCharacter(text, at)
    if (!isUtf8(text.subarray(checked, end))) return false
    checked = end
    const kept = scanner.memory.slice(0, BRACKETS + (scanner.state[DEPTH] as number))
    await nextTurn()
    scanner.memory.set(kept)
    at = advance(scanner, text, at, at + TURN)
  }
  return isWhole(scanner) && skipSpace(text, at) === text.length && isUtf8(text.subarray(checked))
}

/** Where the character began that is under way at `at`, so that what is before it can be checked as UTF-8 of its own. */
function startOfCharacter(text: Buffer, at: number): number {
  let start = at
  while (start > at - 3 && ((text[start] ?? 0) & 0xc0) === 0x80) start--
  return start
}

/** Offset just after the JSON value that begins at `start`, or -1 where there is none. UTF-8 is not checked. */
export function endOfJson(text: Buffer, start: number, maxDepth: number): number {
  const scanner = scannerFor(maxDepth)
  if (scanner === null) return skipJsonValue(text, start, maxDepth)
  begin(scanner, maxDepth)
  const end = advance(scanner, text, start, text.length)
  return isWhole(scanner) ? end : -1
}

function scannerFor(maxDepth: number): Scanner | null {
  if (known === undefined) known = createScanner()
  return maxDepth <= MOST_DEPTH ? known : null
}

function createScanner(): Scanner | null {
  const code = Buffer.from(SCAN_WASM, 'base64')
  if (!WebAssembly.validate(code)) return null
  const { memory, scan } = new WebAssembly.Instance(new WebAssembly.Module(code)).exports
  return { memory: new Uint8Array(memory.buffer), state: new Int32Array(memory.buffer, 0, 3), scan }
}

function begin({ state }: Scanner, maxDepth: number): void {
  state[NEXT] = VALUE
  state[DEPTH] = 0
  state[MAX_DEPTH] = maxDepth
}

const isWhole = ({ state }: Scanner): boolean => state[NEXT] === AFTER_VALUE && state[DEPTH] === 0

const isUnderWay = (scanner: Scanner): boolean => scanner.state[NEXT] !== WRONG && !isWhole(scanner)

/** From `start` until the value is whole, or wrong, or `stop` is passed. Where it came to. */
function advance(scanner: Scanner, text: Buffer, start: number, stop: number): number {
  const { memory, state, scan } = scanner
  let at = start
  do {
    const length = Math.min(PIECE, text.length - at)
    const isLast = at + length === text.length
    text.copy(memory, TEXT, at, at + length)
    memory.fill(0, TEXT + length, TEXT + length + GUARD)
    const done = scan(TEXT, TEXT + length, isLast) - TEXT
    at = done > 0 || isLast ? at + done : passNumber(state, text, at)
    if (isLast && !isWhole(scanner)) state[NEXT] = WRONG
  } while (at < stop && isUnderWay(scanner))
  return at
}

/** Nothing but a number can fill a whole piece without an end. */
function passNumber(state: Int32Array, text: Buffer, start: number): number {
  const end = skipNumber(text, start)
  state[NEXT] = end < 0 ? WRONG : AFTER_VALUE
  return end < 0 ? start : end
}
