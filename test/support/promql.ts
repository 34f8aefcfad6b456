// As much of PromQL as our own rules need: what an expression compares, and which series and labels it names.

/**
 * The parts of an alert's expression that must have data for it ever to speak: either side of `and`, the left side of a
 * comparison, what `absent` looks for.
 */
export function operandsOf(expr: string): string[] {
  const text = expr.trim()
  const absent = /^absent\((.*)\)$/s.exec(text)
  if (absent?.[1] !== undefined) return [absent[1]]
  const conjuncts = splitOutside(text, /\s(?:and|unless)\s/y)
  if (conjuncts.length > 1) return conjuncts.flatMap(operandsOf)
  const [left = text] = splitOutside(text, /\s(?:[<>]=?|[=!]=)\s/y)
  return [left.trim()]
}

/** Names of series in an expression: of the gateway, of its process, of the recording rules. */
export function seriesIn(text: string): string[] {
  return [...new Set(text.match(/\b(?:sallyport|nodejs|process)[_:][a-z0-9_:]+/g) ?? [])]
}

/** Splits where `separator` (sticky) matches outside all brackets and quotes. */
function splitOutside(text: string, separator: RegExp): string[] {
  const parts: string[] = []
  let depth = 0
  let quoted = false
  let from = 0
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? ''
    if (character === '"') quoted = !quoted
    if (quoted) continue
    if ('([{'.includes(character)) depth++
    if (')]}'.includes(character)) depth--
    separator.lastIndex = at
    const found = depth === 0 ? separator.exec(text) : null
    if (found === null) continue
    parts.push(text.slice(from, at))
    at += found[0].length - 1
    from = at + 1
  }
  return [...parts, text.slice(from)]
}
