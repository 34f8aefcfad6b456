// The shape of a stored secret: what stands in clear and what is sealed. Nothing here is verified: that is seal.ts' affair.
import { z } from 'zod'
import type { SecretScheme } from '../model/ports.ts'
import { SealError } from './key-ring.ts'
import { SCHEMES } from './schemes/index.ts'

const scheme = z.enum(Object.keys(SCHEMES) as [SecretScheme, ...SecretScheme[]])
/** Ms since 1970. */
const instant = z.int().min(0).nullable()

const clear = {
  version: z.int().min(1),
  scheme,
  origins: z.array(z.string()),
  callers: z.array(z.string()),
  /** null: one set of values. */
  pool: z.strictObject({ pick: z.enum(['round-robin', 'least-used']), size: z.int().min(2) }).nullable(),
  createdAt: instant,
  notBefore: instant,
  expiresAt: instant,
  overlapUntil: instant,
  revokedAt: instant,
}

/** Base64 of IV, tag and ciphertext; empty where the version is revoked. */
const sealed = { dataKey: z.base64(), values: z.base64() }

const record = z.strictObject({
  format: z.literal(2),
  name: z.string(),
  revision: z.int().min(1),
  keyId: z.string(),
  versions: z.array(z.strictObject({ ...clear, ...sealed })).min(1),
  /** Of the record as a whole. */
  seal: z.base64(),
})

/** As the first release wrote them: one version alone, which counts as its revision. */
const firstRecord = z.strictObject({
  format: z.literal(1),
  name: z.string(),
  version: z.int().min(1),
  scheme,
  origins: z.array(z.string()),
  callers: z.array(z.string()),
  keyId: z.string(),
  ...sealed,
})

const anyRecord = z.discriminatedUnion('format', [firstRecord, record])

export type FirstRecord = z.infer<typeof firstRecord>
export type SealedRecord = z.infer<typeof record>
export type SealedVersion = SealedRecord['versions'][number]
/** What a version says about itself: its policy and its times, in ms since 1970. */
export type ClearVersion = Omit<SealedVersion, 'dataKey' | 'values'>

/** Throws SealError where it has not the shape of a record. */
export function parseRecord(name: string, text: string): FirstRecord | SealedRecord {
  try {
    return anyRecord.parse(JSON.parse(text))
  } catch {
    throw new SealError(`secret "${name}": what is stored is not a record of this version of Sallyport`)
  }
}

/** The key that a record says it is under; null: it is no record. */
export function keyIdOf(name: string, text: string): string | null {
  try {
    return parseRecord(name, text).keyId
  } catch {
    return null
  }
}

/** What a record says of its versions; none where it is no record. Not verified. */
export function versionsIn(name: string, text: string): readonly Pick<ClearVersion, 'version' | 'scheme' | 'pool'>[] {
  try {
    const record = parseRecord(name, text)
    return record.format === 1 ? [{ version: record.version, scheme: record.scheme, pool: null }] : record.versions
  } catch {
    return []
  }
}
