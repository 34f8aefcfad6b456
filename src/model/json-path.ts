// The paths that say which fields of a recorded body are masked: the part of RFC 9535 that names places. Filters and slices, which
// compute, are not among them. Pure.
import type { Reading } from './units.ts'

export interface PathStep {
  /** At any depth below, and here (`..`). */
  readonly deep: boolean
  /** A member's name, an item's index (negative: from the end), or everything (`*`). */
  readonly name: string | number | null
}

export type JsonPath = readonly PathStep[]

const STEP =
  /(\.\.?)(?:([A-Za-z_\u0080-\uffff][\w\u0080-\uffff-]*)|(\*)|(?=\[))|\[(?:'((?:[^'\\]|\\['\\])*)'|"((?:[^"\\]|\\["\\])*)"|(-?\d{1,9})|(\*))\]/y
const FAULT = 'must be a JSON path of names, such as $.card.number, $.items[*].secret or $..password'

/** `$.card.number`, `$['card number']`, `$.items[0]`, `$.items[*].secret`, `$..password`. */
export function parseJsonPath(text: string): Reading<JsonPath> {
  if (!text.startsWith('$') || text.length > 512) return { ok: false, fault: FAULT }
  const steps: PathStep[] = []
  let deep = false
  STEP.lastIndex = 1
  for (let at = 1; at < text.length; at = STEP.lastIndex) {
    const match = STEP.exec(text)
    if (!match) return { ok: false, fault: FAULT }
    const [, dots, plain, star, single, double, index, bracketStar] = match
    if (dots !== undefined) {
      if (deep) return { ok: false, fault: FAULT }
      deep = dots === '..'
      const ahead = plain === undefined && star === undefined
      // A bracket after one dot is no path; after two it is.
      if (ahead && !deep) return { ok: false, fault: FAULT }
      if (ahead) continue
    }
    const quoted = single ?? double
    const name = quoted?.replace(/\\(.)/g, '$1') ?? plain ?? (index === undefined ? null : Number(index))
    if (name === null && star === undefined && bracketStar === undefined) return { ok: false, fault: FAULT }
    steps.push({ deep, name })
    deep = false
  }
  return steps.length === 0 || deep ? { ok: false, fault: FAULT } : { ok: true, value: steps }
}
