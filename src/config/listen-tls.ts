// The PEM files of listen.tls: read, and held against one another. They are read again whenever they change.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { Reading } from '../model/units.ts'
import type { ListenPems } from './config.ts'
import type { KeyPath, Objection } from './faults.ts'
import { readBundle, readText } from './files.ts'
import type { Written } from './schema.ts'

type ListenTls = Written['listen']['tls']

export interface ListenFiles {
  readonly pems: ListenPems | null
  readonly objections: readonly Objection[]
  /** Absolute. */
  readonly files: readonly string[]
}

const PATH: KeyPath = ['listen', 'tls']

/** `near`: a written path as an absolute one. */
export async function readListenFiles(written: ListenTls, near: (path: string) => string): Promise<ListenFiles> {
  if (written === undefined) return { pems: null, objections: [], files: [] }
  const paths = { cert: near(written.cert), key: near(written.key), clientCa: written.clientCa ? near(written.clientCa) : null }
  const cert = await readBundle(paths.cert)
  const key = readKey(await readText(paths.key), paths.key)
  const clientCa = paths.clientCa === null ? null : await readBundle(paths.clientCa)
  const read: Readonly<Record<string, Reading<string> | null>> = { cert, key, clientCa }
  const objections = Object.entries(read).flatMap(([name, text]): Objection[] =>
    text === null || text.ok ? [] : [{ path: [...PATH, name], message: `names a file: ${text.fault}` }],
  )
  const files = Object.values(paths).filter((path) => path !== null)
  if (!cert.ok || !key.ok || (clientCa !== null && !clientCa.ok)) return { pems: null, objections, files }
  const pair = isPair(cert.value, key.value)
    ? []
    : [{ path: [...PATH, 'key'], message: 'is not the private key of the first certificate in listen.tls.cert' }]
  return { pems: { cert: cert.value, key: key.value, clientCa: clientCa?.value ?? null }, objections: pair, files }
}

function readKey(text: Reading<string>, path: string): Reading<string> {
  if (!text.ok) return text
  try {
    createPrivateKey(text.value)
    return text
  } catch {
    return { ok: false, fault: `${path} holds no private key without a passphrase; it should be PEM text with BEGIN PRIVATE KEY` }
  }
}

function isPair(cert: string, key: string): boolean {
  return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))
}
