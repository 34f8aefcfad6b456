// The files a configuration consists of, read within bounds. Every failure is a fault to show, never an exception.
import { X509Certificate } from 'node:crypto'
import { access, constants, readdir, readFile, stat } from 'node:fs/promises'
import type { Reading } from '../model/units.ts'

const MAX_BYTES = 4 * 1024 * 1024
const MAX_ADAPTER_FILES = 10_000

const bad = (fault: string): { readonly ok: false; readonly fault: string } => ({ ok: false, fault })

/** UTF-8 text of a file of at most 4 MiB. */
export async function readText(path: string): Promise<Reading<string>> {
  try {
    const facts = await stat(path)
    if (!facts.isFile()) return bad(`${path} is not a file`)
    if (facts.size > MAX_BYTES) return bad(`${path} is larger than 4 MiB; split it, or look whether it is the right file`)
    return { ok: true, value: new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path)) }
  } catch (error) {
    return bad(`${path} cannot be read: ${reasonOf(error)}`)
  }
}

/** Names of the YAML files of a folder, sorted; hidden files are not looked at. */
export async function listYamlFiles(folder: string): Promise<Reading<string[]>> {
  try {
    const names = (await readdir(folder)).filter((name) => /\.ya?ml$/i.test(name) && !name.startsWith('.')).sort()
    if (names.length > MAX_ADAPTER_FILES) return bad(`${folder} holds more than ${MAX_ADAPTER_FILES} files`)
    return { ok: true, value: names }
  } catch (error) {
    return bad(`${folder} cannot be read: ${reasonOf(error)}`)
  }
}

/** PEM text with at least one certificate in it, each of which can be parsed. */
export async function readBundle(path: string): Promise<Reading<string>> {
  const text = await readText(path)
  if (!text.ok) return text
  const blocks = text.value.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) return bad(`${path} holds no certificate; it should be PEM text with BEGIN CERTIFICATE in it`)
  const broken = blocks.findIndex((block) => !isCertificate(block))
  return broken < 0 ? text : bad(`${path} holds a certificate that cannot be parsed: number ${broken + 1} of ${blocks.length}`)
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== null
  } catch {
    return false
  }
}

/** null: it can be read. */
export async function unreadable(path: string): Promise<string | null> {
  try {
    await access(path, constants.R_OK)
    return null
  } catch (error) {
    return `${path} cannot be read: ${reasonOf(error)}`
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EACCES: 'permission denied',
  ENOTDIR: 'it is not a folder',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'it is not UTF-8',
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'for an unknown reason'
  return REASONS[code] ?? code
}
