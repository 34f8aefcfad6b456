// Small texts of the gateway's own under the sealing keys: obtained tokens, callers' keys, remembered outcomes, cookie jars.
// Who can read or write the store can then neither read nor make one. Stored secrets have records of their own: seal.ts.
import { hkdfSync } from 'node:crypto'
import { decrypt, encrypt } from './aes-gcm.ts'
import { createEphemeralKeyRing, MissingKeyError, SealError, type SealingKey } from './key-ring.ts'
import type { SealerOptions } from './seal.ts'

export interface TextSealer {
  /** Id of the key that seals. */
  readonly activeKeyId: string
  /** Id of the key that a sealed text says it is under; empty where it is none. */
  keyIdOf(sealed: string): string
  /** `purpose`: what the text is and whose, such as `session billing/cart`; it opens under the same purpose alone. */
  seal(purpose: string, text: string): string
  /** Throws SealError where it was edited, moved, or sealed under a key that is not here. */
  open(purpose: string, sealed: string): string
}

const KEY_ID = /^([A-Za-z0-9][A-Za-z0-9._-]{0,63}):/

/** `KEY_ID:base64 of IV, tag and ciphertext`. Each key is one derived for this use (RFC 5869), so that none does two jobs. */
export function createTextSealer({ ring, installation }: SealerOptions): TextSealer {
  const derived = new WeakMap<SealingKey, Buffer>()
  const derive = (key: SealingKey): Buffer => {
    const known = derived.get(key) ?? deriveKey(key.key, installation)
    derived.set(key, known)
    return known
  }
  return {
    get activeKeyId() {
      return ring.active.id
    },
    keyIdOf: (sealed) => KEY_ID.exec(sealed)?.[1] ?? '',
    seal(purpose, text) {
      const { active } = ring
      return `${active.id}:${encrypt(derive(active), Buffer.from(text), Buffer.from(purpose))}`
    },
    open(purpose, sealed) {
      const colon = sealed.indexOf(':')
      const id = sealed.slice(0, Math.max(colon, 0))
      const key = ring.find(id)
      if (!key) throw new MissingKeyError(`${purpose}: sealed under key "${id}", which is not among the keys given`)
      try {
        return decrypt(derive(key), sealed.slice(colon + 1), Buffer.from(purpose)).toString()
      } catch {
        throw new SealError(`${purpose}: what is stored was edited, moved, or sealed under another key called "${id}"`)
      }
    },
  }
}

/** For what must not outlive the process: a key that nobody else ever has. */
export function createEphemeralTextSealer(): TextSealer {
  return createTextSealer({ ring: createEphemeralKeyRing(), installation: 'this process' })
}

function deriveKey(key: Buffer, installation: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, installation, 'sallyport texts', 32))
}
