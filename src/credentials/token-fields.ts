// Fields that the schemes with access tokens share, and how they get into a token request.
import { z } from 'zod'
import { anyText, optional, plainText } from './scheme.ts'

/** Named in the sealed secret, and by that alone listed: the secret's own proof is sent nowhere else. */
export const tokenUrl = z.string().refine(isTokenUrl, 'must be an http or https URL without user name, fragment or spaces')

/** RFC 6749 §3.3: words with spaces between. */
export const scope = optional(plainText)
export const audience = optional(plainText)

/** `name=value&…`, as in a query, but for `own`: what the scheme says itself and no extra parameter may say otherwise. */
export const extraParams = (...own: readonly string[]) =>
  optional(
    anyText.refine(
      (text) => readParams(text).every(([name]) => name !== 'grant_type' && !own.includes(name)),
      'must not say what the other fields say',
    ),
  )

const readParams = (text: string): [name: string, value: string][] => [...new URLSearchParams(text)]

/** Without those that are empty. */
export function formOf(fields: Readonly<Record<string, string>>, params: string): [name: string, value: string][] {
  return [...Object.entries(fields).filter(([, value]) => value !== ''), ...readParams(params)]
}

function isTokenUrl(text: string): boolean {
  return /^https?:\/\/[^/?#@\\\s]+(?:[/?][^#\s]*)?$/i.test(text) && URL.canParse(text)
}
