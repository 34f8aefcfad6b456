// The words and options of `sallyport call` → a descriptor's JSON text. Built as text, so that numbers stay as they were typed.
import type { CallItems, Field } from './call-items.ts'
import { CliError } from './ports.ts'

export interface CallWishes {
  /** Fields as a form rather than as JSON. */
  readonly form: boolean
  readonly files: readonly { readonly name: string; readonly filename: string; readonly content: Buffer }[]
  /** A duration as the contract writes it; undefined: the adapter's own. */
  readonly timeout: string | undefined
  readonly retries: number | undefined
  /** The gateway reads the body as its type says; false: it comes as its own bytes. */
  readonly envelope: boolean
}

/** Throws CliError where fields and options do not go together. */
export function writeDescriptor({ method, url, headers, params, fields }: CallItems, wishes: CallWishes): string {
  const { files, timeout, retries } = wishes
  const asForm = wishes.form || files.length > 0
  const plain = {
    method,
    url,
    ...(headers.length > 0 && { headers }),
    ...(params.length > 0 && { params }),
    ...(asForm && fields.length > 0 && { data: fields.map(formPair) }),
    ...(files.length > 0 && {
      files: files.map(({ name, filename, content }) => [name, { filename, content: content.toString('base64') }]),
    }),
    ...(timeout !== undefined && { timeout: /^\d+$/.test(timeout) ? Number(timeout) : timeout }),
    ...(retries !== undefined && { maxRetries: retries }),
    ...(!wishes.envelope && { decode: 'base64' }),
  }
  const text = JSON.stringify(plain)
  return asForm || fields.length === 0 ? text : `${text.slice(0, -1)},"json":${jsonObject(fields)}}`
}

function formPair(field: Field): [string, string] {
  if ('text' in field) return [field.name, field.text]
  throw new CliError(
    `"${field.name}:=" is JSON, which a form does not have; write ${field.name}=value, or leave --form and --file out`,
    2,
  )
}

function jsonObject(fields: readonly Field[]): string {
  const seen = new Set<string>()
  const members = fields.map((field) => {
    if (seen.has(field.name))
      throw new CliError(`the field "${field.name}" is given twice; for a list write ${field.name}:='["a", "b"]'`, 2)
    seen.add(field.name)
    return `${JSON.stringify(field.name)}:${'text' in field ? JSON.stringify(field.text) : field.json}`
  })
  return `{${members.join(',')}}`
}
