// Sealing keys from a file or an environment variable: one `id:base64` a line (32 bytes), `#` begins a comment. The first
// key is active; the others still open what they sealed. In a variable, spaces may stand for line ends.
import { readFileSync } from 'node:fs'
import { type KeySet, SealError, type SealingKey } from '../key-ring.ts'

export type KeySource =
  | { readonly file: string }
  | { readonly variable: string; readonly env: Readonly<Record<string, string | undefined>> }

/** Throws SealError, with a message for the operator, where there is no usable key. */
export function readKeys(source: KeySource): KeySet {
  return 'file' in source
    ? parseKeys(readKeyFile(source.file), source.file)
    : parseKeys(source.env[source.variable] ?? '', source.variable)
}

function readKeyFile(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new SealError(`cannot read the key file ${file} (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`)
  }
}

const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/** `origin`: the file or variable, for messages. */
export function parseKeys(text: string, origin: string): KeySet {
  const entries = text
    .split(/\r?\n/)
    .map((line) => line.replace(/(^|\s)#.*$/, ''))
    .flatMap((line) => line.split(/\s+/))
    .filter((entry) => entry !== '')
  const keys = entries.map((entry, index) => parseKey(entry, `${origin}, key ${index + 1}`))
  const [first] = keys
  if (!first) throw new SealError(`${origin} holds no key; "sallyport keys generate" makes one`)
  const repeated = keys.find(({ id }, index) => keys.findIndex((other) => other.id === id) !== index)
  if (repeated) throw new SealError(`${origin} holds two keys called "${repeated.id}"`)
  return { keys, active: first.id }
}

function parseKey(entry: string, where: string): SealingKey {
  const colon = entry.indexOf(':')
  const id = colon < 0 ? '' : entry.slice(0, colon)
  if (!ID.test(id)) throw new SealError(`${where}: write it as id:base64, the id of letters, digits, ".", "_" and "-"`)
  const key = Buffer.from(entry.slice(colon + 1), 'base64')
  if (key.length !== 32) throw new SealError(`${where} ("${id}"): ${key.length} bytes; it needs 32, in base64`)
  return { id, key }
}
