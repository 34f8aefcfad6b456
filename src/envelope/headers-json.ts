// Headers as a JSON object's text. Joined by hand: a header may be called __proto__, or 12, and keeps its place.
import type { HeaderList } from '../model/header-list.ts'

export type MergedHeaders = ReadonlyMap<string, string | readonly string[]>

/** An answer's headers by lower-case name in order of arrival: repeats joined by ', ' (RFC 9110 §5.3), set-cookie always a list. */
export function mergeHeaders(rawHeaders: readonly string[]): MergedHeaders {
  const merged = new Map<string, string | string[]>()
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase()
    const value = rawHeaders[i + 1] as string
    const before = merged.get(name)
    if (Array.isArray(before)) before.push(value)
    else if (name === 'set-cookie') merged.set(name, [value])
    else merged.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  return merged
}

/** A request's headers in the case and order they went out; a name sent twice has a list. */
export function requestHeaders(headers: HeaderList): MergedHeaders {
  const merged = new Map<string, string | string[]>()
  for (const [name, value] of headers) {
    const before = merged.get(name)
    if (before === undefined) merged.set(name, value)
    else merged.set(name, typeof before === 'string' ? [before, value] : [...before, value])
  }
  return merged
}

/** Any map of strings, lists or further maps of strings, as the text of a JSON object in the map's order. */
export function objectText(entries: ReadonlyMap<string, string | readonly string[] | ReadonlyMap<string, string>>): string {
  if (entries.size === 0) return '{}'
  let text = ''
  for (const [name, value] of entries)
    text += `${text === '' ? '{' : ','}${JSON.stringify(name)}:${value instanceof Map ? objectText(value) : JSON.stringify(value)}`
  return `${text}}`
}
