// The words of `sallyport call`, as HTTPie has them: [METHOD] URL and items, each a header, a parameter or a field. Pure; what
// a descriptor makes of them is write-descriptor.ts' business.
import { CliError } from './ports.ts'

export interface CallItems {
  readonly method: string
  readonly url: string
  /** null removes a header that the gateway or an adapter would send. */
  readonly headers: readonly (readonly [name: string, value: string | null])[]
  readonly params: readonly (readonly [name: string, value: string])[]
  /** `json`: the value's own JSON text; `text`: a string. */
  readonly fields: readonly Field[]
}

export type Field = { readonly name: string; readonly text: string } | { readonly name: string; readonly json: string }

const METHOD = /^[A-Za-z][A-Za-z-]*$/
/** The earliest separator ends the name, the longest that stands there counts; `\:` and `\=` belong to the name. */
const ITEM = /^((?:\\.|[^:=\\])+)(:=|==|=|:)(.*)$/s

/** `hasFiles`: without a METHOD, a call with fields or files is a POST, any other a GET. Throws CliError. */
export function parseCallItems(words: readonly string[], { hasFiles }: { readonly hasFiles: boolean }): CallItems {
  const [first = '', ...others] = words
  const named = others.length > 0 && METHOD.test(first)
  const [url = '', ...items] = named ? others : words
  const headers: [string, string | null][] = []
  const params: [string, string][] = []
  const fields: Field[] = []
  for (const item of items) {
    const [, written = '', separator = '', value = ''] = ITEM.exec(item) ?? []
    const name = written.replace(/\\([:=\\])/g, '$1')
    // Not the item itself: whatever was meant, it may be a secret.
    if (separator === '') throw usage(`item ${items.indexOf(item) + 1} after the URL has no name or no separator`)
    if (separator === ':') headers.push([name, value.trim() === '' ? null : value.trim()])
    else if (separator === '==') params.push([name, value])
    else fields.push(separator === '=' ? { name, text: value } : { name, json: jsonText(name, value) })
  }
  return { method: named ? first : hasFiles || fields.length > 0 ? 'POST' : 'GET', url, headers, params, fields }
}

/** As it was written: 2.0 stays 2.0. */
function jsonText(name: string, value: string): string {
  try {
    JSON.parse(value)
    return value
  } catch {
    // The parser's own message would show a piece of the text.
    throw usage(`the value of "${name}:=" is not JSON`)
  }
}

function usage(fault: string): CliError {
  return new CliError(`${fault}; write Header:Value, param==value, field=value or field:=json`, 2)
}
