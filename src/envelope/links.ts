// The Link header, read as Requests reads it (`Response.links`): lenient, without RFC 8288's quoting rules.

import { mapText } from './headers-json.ts'

/** As the text of a JSON object. Keyed by `rel`, or by URL where there is none; a later link of the same key replaces the earlier one. */
export function linksJson(header: string): string {
  const links = new Map<string, string>()
  const trimmed = strip(header, QUOTES_AND_BLANK)
  if (trimmed === '') return '{}'
  for (const text of trimmed.split(/, *</)) {
    const link = parseLink(text)
    links.set(link.get('rel') || (link.get('url') as string), mapText(link))
  }
  return `{${[...links].map(([key, link]) => `${JSON.stringify(key)}:${link}`).join(',')}}`
}

function parseLink(text: string): Map<string, string> {
  const [target = '', ...parameters] = text.split(';')
  const link = new Map([['url', strip(target, ANGLES_QUOTES_AND_BLANK)]])
  for (const parameter of parameters) {
    const parts = parameter.split('=')
    if (parts.length !== 2) break
    link.set(strip(parts[0] as string, QUOTES_AND_BLANK), strip(parts[1] as string, QUOTES_AND_BLANK))
  }
  return link
}

const QUOTES_AND_BLANK = ' \'"'
const ANGLES_QUOTES_AND_BLANK = '<> \'"'

function strip(text: string, characters: string): string {
  let start = 0
  let end = text.length
  while (start < end && characters.includes(text.charAt(start))) start++
  while (end > start && characters.includes(text.charAt(end - 1))) end--
  return text.slice(start, end)
}
