// One member of a JSON object given another value where it lies: all else stays byte for byte, numbers, order, white space and
// repeated keys. Reading JSON is parse-json.ts, checking it check-json.ts.
import { endOfJson, isJson } from './check-json.ts'
import { skipSpace, skipString } from './scan-json.ts'

export type MemberSetting =
  | { readonly ok: true; readonly bytes: Buffer }
  /** `fault` continues a sentence that begins with the text's name: "is no JSON". */
  | { readonly ok: false; readonly fault: string }

interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const COMMA = 0x2c
const BACKSLASH = 0x5c

/**
 * Puts `value` (JSON text) where the names in `steps` (at least one) lead, through objects alone. A name that is not there is
 * added behind the others; one that is there more than once is set each time, since readers differ in which they take.
 * `maxDepth`: brackets that may be open at once.
 */
export function setJsonMember(bytes: Buffer, steps: readonly string[], value: string, maxDepth: number): MemberSetting {
  if (!isJson(bytes, maxDepth)) return { ok: false, fault: 'is no JSON' }
  const start = skipSpace(bytes, 0)
  if (bytes[start] !== OPEN_OBJECT) return { ok: false, fault: 'is no JSON object' }
  const edits: Edit[] = []
  const stranger = collect({ bytes, value, maxDepth, edits }, start, steps)
  if (stranger !== null) return { ok: false, fault: `has something other than an object at "${stranger}"` }
  const pieces: Buffer[] = []
  let at = 0
  for (const edit of edits) {
    pieces.push(bytes.subarray(at, edit.start), Buffer.from(edit.text))
    at = edit.end
  }
  return { ok: true, bytes: Buffer.concat([...pieces, bytes.subarray(at)]) }
}

interface Setting {
  readonly bytes: Buffer
  readonly value: string
  readonly maxDepth: number
  /** In the order of the text. */
  readonly edits: Edit[]
}

/** For the object that opens at `open`; the text is known to be JSON. The name at which there was no object, or null. */
function collect(setting: Setting, open: number, [name = '', ...rest]: readonly string[]): string | null {
  const { bytes, value, maxDepth, edits } = setting
  let isThere = false
  let lastEnd = -1
  let at = skipSpace(bytes, open + 1)
  while (bytes[at] !== CLOSE_OBJECT) {
    const nameEnd = skipString(bytes, at)
    const start = skipSpace(bytes, skipSpace(bytes, nameEnd) + 1)
    const end = endOfJson(bytes, start, maxDepth)
    if (isNamed(bytes, at, nameEnd, name)) {
      isThere = true
      if (rest.length === 0) edits.push({ start, end, text: value })
      else if (bytes[start] !== OPEN_OBJECT) return name
      else {
        const stranger = collect(setting, start, rest)
        if (stranger !== null) return stranger
      }
    }
    lastEnd = end
    at = skipSpace(bytes, end)
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1)
  }
  if (isThere) return null
  const member = `${JSON.stringify(name)}:${rest.reduceRight((inner, step) => `{${JSON.stringify(step)}:${inner}}`, value)}`
  const behind = lastEnd < 0 ? open + 1 : lastEnd
  edits.push({ start: behind, end: behind, text: lastEnd < 0 ? member : `,${member}` })
  return null
}

/** The string between these positions, quotes included, says `name`, escapes undone. */
function isNamed(bytes: Buffer, start: number, end: number, name: string): boolean {
  const hasEscape = bytes.subarray(start, end).includes(BACKSLASH)
  const text = bytes.toString('utf8', start, end)
  return hasEscape ? JSON.parse(text) === name : text.length === name.length + 2 && text.slice(1, -1) === name
}
