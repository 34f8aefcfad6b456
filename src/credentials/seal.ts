// Envelope encryption of secrets at rest: each version under a data key of its own, the data key under a key-encryption key.
// What a record says in clear (name, version, scheme, origins, callers) is authenticated with both, so that none of it can
// be edited or moved. No store, no cache, no policy here.
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Secret, SecretScheme } from '../model/ports.ts'
import { createEphemeralKeyRing, type KeyRing, MissingKeyError, SealError } from './key-ring.ts'
import { SCHEMES } from './schemes/index.ts'

export interface SealerOptions {
  /** Asked at each use. */
  readonly ring: KeyRing
  /** Records of one installation cannot be opened by another; usually `store.prefix`. */
  readonly installation: string
}

export interface Sealer {
  /** The record, as text. */
  seal(secret: Secret): string
  /** Throws SealError where the record is malformed, edited, moved, or sealed under a key that is not here. */
  open(name: string, record: string): Secret
}

const FORMAT = 1
const ALGORITHM = 'aes-256-gcm'
const IV_BYTES = 12
const TAG_BYTES = 16

const recordSchema = z.strictObject({
  format: z.literal(FORMAT),
  name: z.string(),
  version: z.int().min(1),
  scheme: z.enum(Object.keys(SCHEMES) as [SecretScheme, ...SecretScheme[]]),
  origins: z.array(z.string()),
  callers: z.array(z.string()),
  keyId: z.string(),
  /** Base64 of IV, tag and ciphertext. */
  dataKey: z.base64(),
  values: z.base64(),
})

type SealedRecord = z.infer<typeof recordSchema>
type Clear = Omit<SealedRecord, 'dataKey' | 'values'>

export function createSealer({ ring, installation }: SealerOptions): Sealer {
  const aad = (clear: Clear, purpose: 'data key' | 'values'): Buffer => authenticated(clear, installation, purpose)

  return {
    seal({ values, ...secret }) {
      const { name, version, scheme, origins, callers } = secret
      const { id: keyId, key } = ring.active
      const clear: Clear = { format: FORMAT, name, version, scheme, origins: [...origins], callers: [...callers], keyId }
      const dataKey = randomBytes(32)
      const record: SealedRecord = {
        ...clear,
        dataKey: encrypt(key, dataKey, aad(clear, 'data key')),
        values: encrypt(dataKey, Buffer.from(JSON.stringify(values)), aad(clear, 'values')),
      }
      dataKey.fill(0)
      return JSON.stringify(record)
    },
    open(name, text) {
      const { dataKey, values, ...clear } = parseRecord(name, text)
      if (clear.name !== name) throw new SealError(`secret "${name}": the record under this name was made for another`)
      const key = ring.find(clear.keyId)
      if (!key)
        throw new MissingKeyError(`secret "${name}": sealed under key "${clear.keyId}", which is not among the keys given`)
      try {
        const opened = decrypt(key.key, dataKey, aad(clear, 'data key'))
        const plain = JSON.parse(decrypt(opened, values, aad(clear, 'values')).toString('utf8')) as Record<string, string>
        const { version, scheme, origins, callers } = clear
        return { name, version, scheme, origins, callers, values: plain }
      } catch {
        throw new SealError(`secret "${name}": its record was edited, moved, or sealed under another key called "${clear.keyId}"`)
      }
    },
  }
}

/** For what must not outlive the process: a key that nobody else ever has. */
export function createEphemeralSealer(): Sealer {
  return createSealer({ ring: createEphemeralKeyRing(), installation: 'this process' })
}

/** What a record says about itself without any key. Not verified: for listings only. */
export function describeRecord(name: string, text: string): Clear {
  const { dataKey: _dataKey, values: _values, ...clear } = parseRecord(name, text)
  return clear
}

function parseRecord(name: string, text: string): SealedRecord {
  try {
    return recordSchema.parse(JSON.parse(text))
  } catch {
    throw new SealError(`secret "${name}": what is stored is not a record of this version of Sallyport`)
  }
}

/** security.md, "Secrets at rest": format, installation, name, version, digest of the policy, key id, purpose. */
function authenticated(clear: Clear, installation: string, purpose: string): Buffer {
  const policy = createHash('sha256')
    .update(JSON.stringify([clear.scheme, clear.origins, clear.callers]))
    .digest('hex')
  return Buffer.from(
    JSON.stringify(['sallyport-secret', clear.format, installation, clear.name, clear.version, policy, clear.keyId, purpose]),
  )
}

function encrypt(key: Buffer, plain: Buffer, aad: Buffer): string {
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv(ALGORITHM, key, iv, { authTagLength: TAG_BYTES }).setAAD(aad)
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64')
}

function decrypt(key: Buffer, text: string, aad: Buffer): Buffer {
  const sealed = Buffer.from(text, 'base64')
  const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES })
    .setAAD(aad)
    .setAuthTag(sealed.subarray(IV_BYTES, IV_BYTES + TAG_BYTES))
  return Buffer.concat([decipher.update(sealed.subarray(IV_BYTES + TAG_BYTES)), decipher.final()])
}
