// JSON objects whose keys come from outside, as text. Joined by hand: a header may be called __proto__, or 12, and keeps its
// place; and two lists cost the hot path half of what a Map does.
import type { HeaderList } from '../model/header-list.ts'
import { quote } from '../model/quote.ts'

/** Keys in order, each once, and their values at the same index. */
export interface Entries {
  readonly names: readonly string[]
  readonly values: readonly (string | readonly string[])[]
}

/** An answer's headers by lower-case name in order of arrival: repeats joined by ', ' (RFC 9110 §5.3), set-cookie always a list. */
export function mergeHeaders(rawHeaders: readonly string[]): Entries {
  const names: string[] = []
  const values: (string | string[])[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase()
    const value = rawHeaders[i + 1] as string
    const at = names.indexOf(name)
    // Not asked for at -1, which V8 would look up as a name.
    const before = at < 0 ? undefined : values[at]
    if (before === undefined) {
      names.push(name)
      values.push(name === 'set-cookie' ? [value] : value)
    } else if (typeof before === 'string') values[at] = `${before}, ${value}`
    else before.push(value)
  }
  return { names, values }
}

/** A request's headers in the case and order they went out; a name sent twice has a list. */
export function requestHeaders(headers: HeaderList): Entries {
  const names: string[] = []
  const values: (string | string[])[] = []
  for (const [name, value] of headers) {
    const at = names.indexOf(name)
    const before = at < 0 ? undefined : values[at]
    if (before === undefined) {
      names.push(name)
      values.push(value)
    } else values[at] = typeof before === 'string' ? [before, value] : [...before, value]
  }
  return { names, values }
}

export function singleValue({ names, values }: Entries, name: string): string | undefined {
  const at = names.indexOf(name)
  const value = at < 0 ? undefined : values[at]
  return typeof value === 'string' ? value : undefined
}

export function objectText({ names, values }: Entries): string {
  let text = '{'
  for (let i = 0; i < names.length; i++) {
    const value = values[i] as string | readonly string[]
    text += `${i === 0 ? '' : ','}${quote(names[i] as string)}:${typeof value === 'string' ? quote(value) : JSON.stringify(value)}`
  }
  return `${text}}`
}

export function mapText(map: ReadonlyMap<string, string>): string {
  return map.size === 0 ? '{}' : objectText({ names: [...map.keys()], values: [...map.values()] })
}
