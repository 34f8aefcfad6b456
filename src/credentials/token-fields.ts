// Fields that the schemes with access tokens share, and how they get into a token request.
import { z } from 'zod'
import type { TokenRequest } from '../model/credential-scheme.ts'
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

/** RFC 6749 §2.3.1: in the header, where both are form-encoded before they become Basic, or in the form. Without a secret just the name. */
export function clientAuthentication(client: {
  readonly clientId: string
  readonly clientSecret: string
  readonly clientAuth: 'basic' | 'body'
}): { readonly own: Readonly<Record<string, string>>; readonly basic: TokenRequest['basic'] } {
  const { clientId, clientSecret, clientAuth } = client
  if (clientAuth === 'body' || clientSecret === '')
    return { own: { client_id: clientId, client_secret: clientSecret }, basic: null }
  return { own: {}, basic: { username: formEncoded(clientId), password: formEncoded(clientSecret) } }
}

const formEncoded = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1)

function isTokenUrl(text: string): boolean {
  return /^https?:\/\/[^/?#@\\\s]+(?:[/?][^#\s]*)?$/i.test(text) && URL.canParse(text)
}
