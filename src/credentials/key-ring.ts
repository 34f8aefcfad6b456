// The key-encryption keys of this process: several by id, one active. The one place that a change of keys goes through;
// every sealer asks it at each use, so that none keeps a key that was taken out.
import { randomBytes } from 'node:crypto'

/** 256 bits under a name of its own. */
export interface SealingKey {
  readonly id: string
  readonly key: Buffer
}

export interface KeySet {
  readonly keys: readonly SealingKey[]
  /** Id of the key that seals; all of them open. */
  readonly active: string
}

export interface KeyRing {
  readonly active: SealingKey
  readonly ids: readonly string[]
  /** null: it is not here. A key keeps its identity for as long as it stays. */
  find(id: string): SealingKey | null
  /** Takes `next` in place of all keys. Throws SealError, and changes nothing, where it cannot be used. */
  replace(next: KeySet): void
}

/** Something sealed, or the keys for it, cannot be used. Its message is safe to log: names, versions and key ids only. */
export class SealError extends Error {}

/** Sealed under a key that is not in the ring. */
export class MissingKeyError extends SealError {}

/** Throws SealError where the active key is not among them, or one is not of 32 bytes. */
export function createKeyRing(first: KeySet): KeyRing {
  let byId = new Map<string, SealingKey>()
  let active: SealingKey
  const replace = ({ keys, active: id }: KeySet): void => {
    const next = new Map(keys.map((key) => [key.id, sameAs(byId.get(key.id), key)]))
    const chosen = next.get(id)
    if (!chosen) throw new SealError(`no sealing key "${id}"; known: ${[...next.keys()].join(', ') || 'none'}`)
    for (const { id, key } of keys)
      if (key.length !== 32) throw new SealError(`sealing key "${id}" has ${key.length} bytes; it needs 32`)
    byId = next
    active = chosen
  }
  replace(first)
  return {
    get active() {
      return active
    },
    get ids() {
      return [...byId.keys()]
    },
    find: (id) => byId.get(id) ?? null,
    replace,
  }
}

/** For what must not outlive the process: a key that nobody else ever has. */
export function createEphemeralKeyRing(): KeyRing {
  return createKeyRing({ keys: [{ id: 'ephemeral', key: randomBytes(32) }], active: 'ephemeral' })
}

const sameAs = (known: SealingKey | undefined, key: SealingKey): SealingKey => (known?.key.equals(key.key) ? known : key)
