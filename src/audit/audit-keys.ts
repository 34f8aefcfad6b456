// The keys of the chain: who has none of them can read the trail but not write it. One writes, all verify; each has a name that
// stands in the blocks it made.
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { adopt } from './adopt.ts'

export interface AuditKey {
  readonly id: string
  readonly key: KeyObject
}

export interface AuditKeys {
  /** The one that writes. */
  readonly active: AuditKey
  /** null: it is not known here. */
  find(id: string): AuditKey | null
}

/** 256 bits under a name of its own. */
export interface RawKey {
  readonly id: string
  readonly key: Buffer
}

/** The first is the active one. Throws where there is none. */
export function createAuditKeys(keys: readonly RawKey[]): AuditKeys {
  const all = new Map(keys.map(({ id, key }) => [id, { id, key: createSecretKey(key) }]))
  const [active] = all.values()
  if (!active) throw new Error('the audit trail has no key')
  return { active, find: (id) => all.get(id) ?? null }
}

/** The keys that seal secrets, as far as it matters here. */
export interface SealingRing {
  readonly active: RawKey
  readonly ids: readonly string[]
  find(id: string): RawKey | null
}

/**
 * Keys of the trail's own out of those that seal secrets; from neither can the other be told. Another active one there becomes the
 * active one here, and one that was taken out there is kept for as long as this process lives, so that it can still hand over.
 */
export function deriveAuditKeys(ring: SealingRing, installation: string): AuditKeys {
  const derived = new Map<string, AuditKey>()
  let last: RawKey | null = null
  let active: AuditKey
  const derive = ({ id, key }: RawKey): AuditKey => {
    const name = `store-${id}`
    const bytes = Buffer.from(hkdfSync('sha256', key, 'sallyport-audit-chain', installation, 32))
    const made = { id: name, key: createSecretKey(bytes) }
    derived.set(name, made)
    return made
  }
  return {
    get active() {
      if (last !== ring.active) {
        last = ring.active
        active = derive(last)
      }
      return active
    },
    find(id) {
      const raw = id.startsWith('store-') ? ring.find(id.slice('store-'.length)) : null
      return derived.get(id) ?? (raw && derive(raw))
    },
  }
}

/** Text of the key file that an installation without any configured key makes for itself; its first line is the key. */
export function readOwnKey(dataDir: string): { readonly text: string; readonly file: string; readonly made: boolean } {
  const file = join(dataDir, 'audit.key')
  const read = (): string | null => {
    try {
      return readFileSync(file, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw error
    }
  }
  const found = read()
  if (found !== null) return { text: found, file, made: false }
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`
  const text = `own-${randomBytes(4).toString('hex')}:${randomBytes(32).toString('base64')}\n`
  writeFileSync(draft, text, { flag: 'wx', mode: 0o600 })
  try {
    adopt(draft, dataDir)
    // Never over one that another process has just made.
    linkSync(draft, file)
    return { text, file, made: true }
  } catch (error) {
    const made = read()
    if (made === null) throw error
    return { text: made, file, made: false }
  } finally {
    rmSync(draft, { force: true })
  }
}

const IV = 12
const TAG = 16

/** `old` sealed under `next`, so that who has the newest key can verify what earlier ones wrote. */
export function sealKey(old: AuditKey, next: AuditKey): string {
  const iv = randomBytes(IV)
  const cipher = createCipheriv('aes-256-gcm', sealingKeyOf(next), iv, { authTagLength: TAG }).setAAD(Buffer.from(old.id))
  const sealed = Buffer.concat([cipher.update(old.key.export()), cipher.final()])
  return Buffer.concat([iv, sealed, cipher.getAuthTag()]).toString('base64url')
}

/** null: `sealed` was not made under this key, or not for that id. */
export function openKey(id: string, sealed: string, under: AuditKey): AuditKey | null {
  try {
    const bytes = Buffer.from(sealed, 'base64url')
    const decipher = createDecipheriv('aes-256-gcm', sealingKeyOf(under), bytes.subarray(0, IV), { authTagLength: TAG })
      .setAAD(Buffer.from(id))
      .setAuthTag(bytes.subarray(-TAG))
    const key = Buffer.concat([decipher.update(bytes.subarray(IV, -TAG)), decipher.final()])
    return { id, key: createSecretKey(key) }
  } catch {
    return null
  }
}

/** Not the key that makes MACs itself: each key has one purpose. */
function sealingKeyOf({ key }: AuditKey): Buffer {
  return Buffer.from(hkdfSync('sha256', key.export(), 'sallyport-audit-handover', '', 32))
}
