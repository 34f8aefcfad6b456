// What makes a scheme: its name, the schema of its values, and how it opens them. Adding one is a file in schemes/ and its
// line in the list there; the command line's questions and checks follow from the schema.
import { z } from 'zod'
import { GatewayError } from '../errors/gateway-error.ts'
import type { CredentialScheme, OpenCredential } from '../model/credential-scheme.ts'
import type { SecretScheme } from '../model/ports.ts'

type Fields = Readonly<Record<string, z.ZodType<string>>>
type Values<F extends Fields> = { readonly [K in keyof F]: z.output<F[K]> }

export interface Scheme extends CredentialScheme {
  /** What it does, for the documentation. */
  readonly about: string
  /** Values as they are given, what is secret left out; for the documentation. */
  readonly example: Readonly<Record<string, string>>
  /** Every value is a string; unknown keys are not taken. */
  readonly values: z.ZodType<Record<string, string>>
  /** The values' names in the order in which a person is asked for them. */
  readonly fields: readonly string[]
  /** Values may have any names; `fields` are those that a person is asked for. Absent: just these. */
  readonly named?: true
  /** Those that may be left out. */
  readonly optional: ReadonlySet<string>
}

export function defineScheme<F extends Fields>(definition: {
  readonly name: SecretScheme
  readonly place: CredentialScheme['place']
  readonly about: string
  readonly example: { readonly [K in keyof F]?: string }
  readonly fields: F
  /** Doubts about the values together; a message for people, or null. */
  readonly refuse?: (values: Values<F>) => string | null
  open(values: Values<F>): OpenCredential
}): Scheme {
  const doubt = definition.refuse ?? (() => null)
  const values = z.strictObject(definition.fields).superRefine((given, context) => {
    if (context.issues.length > 0) return // of a field: it may not be what `refuse` takes it for
    const message = doubt(given as Values<F>)
    if (message) context.addIssue({ code: 'custom', message })
  }) as unknown as z.ZodType<Record<string, string>>
  const fields = Object.keys(definition.fields)
  const optional = new Set(fields.filter((field) => definition.fields[field]?.safeParse(undefined).success))
  return {
    name: definition.name,
    place: definition.place,
    about: definition.about,
    example: definition.example as Readonly<Record<string, string>>,
    values,
    fields,
    optional,
    open(given) {
      const known = Object.fromEntries(fields.map((field) => [field, given[field]]))
      const checked = values.safeParse(known)
      if (!checked.success)
        throw new GatewayError('InvalidHeader', `credential of scheme ${definition.name}: ${faultsOf(checked.error, fields)}`)
      return definition.open(checked.data as Values<F>)
    },
  }
}

/** For examples. */
export const PEM_EXAMPLE = {
  certificate: '-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n',
  key: '-----BEGIN PRIVATE KEY-----\n…\n-----END PRIVATE KEY-----\n',
}

/**
 * "token: must not be empty; name: …". The messages are ours and hold no value, nor a name that is not a field's: where `=` stands
 * in a token that is given alone, what is before it looks like a name.
 */
export function faultsOf(error: z.ZodError, fields: readonly string[] | null = null): string {
  return error.issues
    .map(({ code, path, message }) => {
      if (code === 'unrecognized_keys')
        return `there is a value of another name${fields ? `; it takes ${fields.join(', ')}` : ''}`
      const [field] = path
      if (field === undefined) return message
      const name = fields === null || fields.some((known) => known === field) ? path.join('.') : '?'
      return `${name}: ${code === 'invalid_type' ? 'is missing, or is no text' : message}`
    })
    .join('; ')
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const HEADER_VALUE = /^(?![\t ])[\t\x20-\x7e\x80-\xff]*$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what it keeps out
const CONTROL = /[\x00-\x1f\x7f]/
const RESERVED = /^(?:host|content-length|transfer-encoding|connection|keep-alive|upgrade|te|trailer|expect|proxy-.*)$/i

/** contract, "Refused (InvalidHeader)". */
export const headerValue = z
  .string()
  .regex(HEADER_VALUE, 'must be header text: no leading space, no control characters, no characters beyond U+00FF')
export const headerName = z
  .string()
  .regex(TOKEN, 'must be a header name')
  .refine((name) => !RESERVED.test(name), 'is a header that Sallyport itself sets')
/** Any text but lone surrogates, which no encoding can carry. */
export const anyText = z.string().refine((text) => text.isWellFormed(), 'must be well-formed Unicode')
/** Text that may stand in a header in some encoding. */
export const plainText = anyText.refine((text) => !CONTROL.test(text), 'must not hold control characters')

/** May be left out; empty is the same. */
export const optional = (value: z.ZodType<string>): z.ZodType<string> => value.or(z.literal('')).default('')
/** One of these words; left out or empty: the first. */
export function oneOf<const W extends string>(...words: readonly [W, ...W[]]): z.ZodType<W> {
  return z
    .string()
    .default('')
    .refine((word) => word === '' || words.some((known) => known === word), `must be one of ${words.join(', ')}`)
    .transform((word) => words.find((known) => known === word) ?? words[0])
}
