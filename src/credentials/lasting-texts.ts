// The texts that stand in the key-value store under the sealing keys for long: which they are, under which keys, and sealing
// them anew. What they hold is their owners' affair.
import type { KeyValueStore } from '../model/ports.ts'
import type { ClearVersion } from './record.ts'
import type { TextSealer } from './seal-text.ts'
import { sharedTokenName } from './shared-token.ts'

/** A key of the store, and the purpose that its text is sealed for. */
export interface LastingText {
  readonly key: string
  readonly purpose: string
}

export interface LastingTexts {
  /** Those of the installation, and the tokens of these versions. */
  of(versions: readonly Credential[]): readonly LastingText[]
  /** Purposes by the id of the key that they are under. Rejects with Overloaded. */
  keysInUse(texts: readonly LastingText[]): Promise<ReadonlyMap<string, readonly string[]>>
  /** False: it is under the active key; null: there is none, or it stands in clear. Throws SealError where it cannot be opened, rejects with Overloaded. */
  reseal(text: LastingText): Promise<boolean | null>
  /** Removes the tokens of these versions. */
  forget(versions: readonly Credential[]): Promise<void>
}

export type Credential = Pick<ClearVersion, 'version' | 'scheme' | 'pool'> & { readonly name: string }

export interface LastingTextsPorts {
  readonly values: KeyValueStore
  readonly sealer: TextSealer
  /** Those that no secret is named for. */
  readonly fixed: readonly LastingText[]
}

/** Their tokens are shared by replicas: shared-state.ts. */
const WITH_TOKENS: ReadonlySet<string> = new Set(['oauth2-client-credentials', 'oauth2-refresh-token', 'jwt-bearer'])
/** Whoever writes it meanwhile seals it under the active key. */
const MAX_TRIES = 5

export function createLastingTexts({ values, sealer, fixed }: LastingTextsPorts): LastingTexts {
  return {
    of: (versions) => [...fixed, ...tokensOf(versions)],
    async keysInUse(texts) {
      const inUse = new Map<string, string[]>()
      for (const { key, purpose } of texts) {
        const id = sealer.keyIdOf((await values.get(key))?.value ?? '')
        if (id !== '') inUse.set(id, [...(inUse.get(id) ?? []), purpose])
      }
      return inUse
    },
    async reseal({ key, purpose }) {
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const found = await values.get(key)
        const id = sealer.keyIdOf(found?.value ?? '')
        if (found === null || id === '') return null
        if (id === sealer.activeKeyId) return false
        const anew = sealer.seal(purpose, sealer.open(purpose, found.value))
        if (await values.put(key, anew, { ttlMs: null, ifVersion: found.version, keepExpiry: true })) return true
      }
      return false
    },
    async forget(versions) {
      for (const { key } of tokensOf(versions)) await values.delete(key)
    },
  }
}

function tokensOf(versions: readonly Credential[]): LastingText[] {
  return versions
    .filter(({ scheme }) => WITH_TOKENS.has(scheme))
    .flatMap(({ name, version, pool }) => {
      const members = pool === null ? [null] : Array.from({ length: pool.size }, (_, index) => index + 1)
      return members.map((member) => sharedTokenText(sharedTokenName(name, version, member)))
    })
}

/** As shared-state.ts keeps them. */
export const sharedTokenText = (credential: string): LastingText => ({
  key: `token:${credential}`,
  purpose: `token ${credential}`,
})
