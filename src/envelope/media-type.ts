// What a Content-Type says about a body: the kind of its media type and its declared charset. Nothing is guessed here.

export type MediaKind = 'json' | 'text' | 'other'

export interface MediaType {
  readonly kind: MediaKind
  /** As declared, without quotes; null: none. */
  readonly declared: string | null
  /** Where none is declared: ISO-8859-1 for text/*, utf-8 for the rest, spelled as Requests spells them. */
  readonly fallback: 'ISO-8859-1' | 'utf-8'
}

const TEXTUAL: ReadonlySet<string> = new Set([
  'application/xml',
  'application/javascript',
  'application/x-javascript',
  'application/ecmascript',
  'application/x-www-form-urlencoded',
  'application/x-ndjson',
])

const NONE: MediaType = { kind: 'other', declared: null, fallback: 'utf-8' }
/** By far the most answers. */
const PLAIN_JSON: MediaType = { kind: 'json', declared: null, fallback: 'utf-8' }

export function parseMediaType(contentType: string | undefined): MediaType {
  if (contentType === undefined) return NONE
  if (contentType === 'application/json') return PLAIN_JSON
  const [first = '', ...parameters] = contentType.split(';')
  const name = first.trim().toLowerCase()
  return { kind: kindOf(name), declared: charsetOf(parameters), fallback: name.startsWith('text/') ? 'ISO-8859-1' : 'utf-8' }
}

function kindOf(name: string): MediaKind {
  if (name === 'application/json' || name.endsWith('+json')) return 'json'
  return name.startsWith('text/') || name.endsWith('+xml') || TEXTUAL.has(name) ? 'text' : 'other'
}

/** Requests' reading: the last one given stands, quotes and blanks around name and value are dropped, however placed. */
function charsetOf(parameters: readonly string[]): string | null {
  let charset: string | null = null
  for (const parameter of parameters) {
    const equals = parameter.indexOf('=')
    if (equals < 0) continue
    if (unquoted(parameter.slice(0, equals)).toLowerCase() === 'charset') charset = unquoted(parameter.slice(equals + 1))
  }
  return charset
}

/** By hand: a regular expression would try a long run of quotes anew from each of its places. */
function unquoted(text: string): string {
  const trimmed = text.trim()
  let start = 0
  let end = trimmed.length
  while (start < end && QUOTES_AND_BLANK.includes(trimmed.charAt(start))) start++
  while (end > start && QUOTES_AND_BLANK.includes(trimmed.charAt(end - 1))) end--
  return trimmed.slice(start, end)
}

const QUOTES_AND_BLANK = '\'" '
