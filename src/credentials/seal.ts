// Envelope encryption of secrets at rest: one record a name, in it each version under a data key of its own, the data keys under
// a key-encryption key. What a record says in clear is authenticated version by version and once more as a whole, so that
// nothing of it can be edited, moved, left out or put back. No store, no cache, no choice of version here.
import { createHash, randomBytes } from 'node:crypto'
import type { Secret } from '../model/ports.ts'
import { decrypt, encrypt } from './aes-gcm.ts'
import { createEphemeralKeyRing, type KeyRing, MissingKeyError, SealError, type SealingKey } from './key-ring.ts'
import { type ClearVersion, type FirstRecord, parseRecord, type SealedRecord, type SealedVersion } from './record.ts'

export interface SealerOptions {
  /** Asked at each use. */
  readonly ring: KeyRing
  /** Records of one installation cannot be opened by another; usually `store.prefix`. */
  readonly installation: string
}

export interface OpenedVersion extends ClearVersion {
  /** null: revoked, and its values gone. */
  readonly secret: Secret | null
}

/** What stands under a name. */
export interface OpenedRecord {
  readonly name: string
  /** Counts the changes of the record. */
  readonly revision: number
  /** In ascending order, at least one. */
  readonly versions: readonly OpenedVersion[]
}

export interface Sealer {
  /** The record, as text, under the active key. */
  seal(record: OpenedRecord): string
  /** Throws SealError where the record is malformed, edited, moved, or sealed under a key that is not here. */
  open(name: string, text: string): OpenedRecord
  /** Id of the key that seals. */
  readonly activeKeyId: string
}

/** What is authenticated without being sealed: security.md, "Secrets at rest". */
interface Bound {
  readonly format: number
  readonly name: string
  readonly keyId: string
  readonly number: number
  readonly digest: string
}

export function createSealer({ ring, installation }: SealerOptions): Sealer {
  const aad = ({ format, name, number, digest, keyId }: Bound, purpose: string): Buffer =>
    Buffer.from(JSON.stringify(['sallyport-secret', format, installation, name, number, digest, keyId, purpose]))

  const sealVersion = ({ secret, ...clear }: OpenedVersion, bound: Bound, key: Buffer): SealedVersion => {
    if (secret === null) return { ...clear, dataKey: '', values: '' }
    const plain = Buffer.from(JSON.stringify(secret.pool?.members ?? [secret.values]))
    const dataKey = randomBytes(32)
    const sealed: SealedVersion = {
      ...clear,
      dataKey: encrypt(key, dataKey, aad(bound, 'data key')),
      values: encrypt(dataKey, plain, aad(bound, 'values')),
    }
    dataKey.fill(0)
    return sealed
  }
  const openValues = (key: Buffer, sealed: { dataKey: string; values: string }, bound: Bound): unknown => {
    const dataKey = decrypt(key, sealed.dataKey, aad(bound, 'data key'))
    return JSON.parse(decrypt(dataKey, sealed.values, aad(bound, 'values')).toString('utf8'))
  }
  const openVersion = (key: Buffer, record: SealedRecord, version: SealedVersion): OpenedVersion => {
    const { dataKey, values, ...clear } = version
    if (clear.revokedAt !== null) return { ...clear, secret: null }
    const members = openValues(key, { dataKey, values }, boundVersion(record, clear)) as Record<string, string>[]
    return { ...clear, secret: secretOf(record.name, clear, members) }
  }
  const openRecord = (key: Buffer, record: SealedRecord): OpenedRecord => {
    decrypt(key, record.seal, aad(boundRecord(record), 'record'))
    return {
      name: record.name,
      revision: record.revision,
      versions: record.versions.map((version) => openVersion(key, record, version)),
    }
  }
  const openFirst = (key: Buffer, record: FirstRecord): OpenedRecord => {
    const { name, version, scheme, origins, callers } = record
    const values = openValues(key, record, boundFirst(record)) as Record<string, string>
    const clear = { version, scheme, origins, callers, pool: null, ...UNTIMED }
    return { name, revision: version, versions: [{ ...clear, secret: secretOf(name, clear, [values]) }] }
  }

  return {
    seal({ name, revision, versions }) {
      const { id: keyId, key } = ring.active
      const head = { format: 2 as const, name, revision, keyId }
      const sealed = versions.map((version) => sealVersion(version, boundVersion(head, version), key))
      const record = { ...head, versions: sealed }
      return JSON.stringify({ ...record, seal: encrypt(key, Buffer.alloc(0), aad(boundRecord(record), 'record')) })
    },
    open(name, text) {
      const record = parseRecord(name, text)
      if (record.name !== name) throw new SealError(`secret "${name}": the record under this name was made for another`)
      const { key } = keyOf(ring, record)
      try {
        return record.format === 1 ? openFirst(key, record) : openRecord(key, record)
      } catch {
        throw new SealError(
          `secret "${name}": its record was edited, moved, or sealed under another key called "${record.keyId}"`,
        )
      }
    },
    get activeKeyId() {
      return ring.active.id
    },
  }
}

/** For what must not outlive the process: a key that nobody else ever has. */
export function createEphemeralSealer(): Sealer {
  return createSealer({ ring: createEphemeralKeyRing(), installation: 'this process' })
}

/** Records of the first format say nothing of time. */
const UNTIMED = { createdAt: null, notBefore: null, expiresAt: null, overlapUntil: null, revokedAt: null }

function keyOf(ring: KeyRing, { name, keyId }: { readonly name: string; readonly keyId: string }): SealingKey {
  const key = ring.find(keyId)
  if (!key) throw new MissingKeyError(`secret "${name}": sealed under key "${keyId}", which is not among the keys given`)
  return key
}

function secretOf(name: string, clear: ClearVersion, members: readonly Record<string, string>[]): Secret {
  const { version, scheme, origins, callers, pool } = clear
  const [values] = members
  if (!values || members.length !== (pool?.size ?? 1)) throw new TypeError('values and policy do not go together')
  return { name, version, scheme, values, ...(pool ? { pool: { pick: pool.pick, members } } : {}), origins, callers }
}

const sha256 = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex')

function boundVersion({ name, keyId }: Pick<SealedRecord, 'name' | 'keyId'>, clear: ClearVersion): Bound {
  const { version, scheme, origins, callers, pool, createdAt, notBefore, expiresAt } = clear
  const policy = [scheme, origins, callers, pool?.pick ?? null, pool?.size ?? null, createdAt, notBefore, expiresAt]
  return { format: 2, name, keyId, number: version, digest: sha256(policy) }
}

function boundRecord({ name, keyId, revision, versions }: Omit<SealedRecord, 'seal' | 'format'>): Bound {
  const all = versions.map((sealed) => {
    const { digest, number } = boundVersion({ name, keyId }, sealed)
    return [number, digest, sealed.overlapUntil, sealed.revokedAt, sealed.dataKey, sealed.values]
  })
  return { format: 2, name, keyId, number: revision, digest: sha256(all) }
}

function boundFirst({ name, keyId, version, scheme, origins, callers }: FirstRecord): Bound {
  return { format: 1, name, keyId, number: version, digest: sha256([scheme, origins, callers]) }
}
