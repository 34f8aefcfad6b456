// Stores whose contents are sealed before they are put. What cannot be opened comes out as empty text, which no reader takes
// for something it wrote: a session then begins anew, and the outcome of a call is unknown.
import type { IdempotencyStore, KeyValueStore, SealedTexts } from '../model/ports.ts'

const UNREADABLE = ''

/** Of what `kind` the values are is bound into them, and their key. */
export function sealValues(store: KeyValueStore, texts: SealedTexts, kind: string): KeyValueStore {
  return {
    async get(key) {
      const found = await store.get(key)
      return found && { version: found.version, value: texts.open(kind, key, found.value) ?? UNREADABLE }
    },
    version: (key) => store.version(key),
    put: (key, value, options) => store.put(key, texts.seal(kind, key, value), options),
    delete: (key) => store.delete(key),
  }
}

/** Claims stand as they are: they hold a digest of the request, and must be seen even by who cannot open the outcome. */
export function sealOutcomes(store: IdempotencyStore, texts: SealedTexts): IdempotencyStore {
  return {
    async claim(key, fingerprint, leaseMs) {
      const claim = await store.claim(key, fingerprint, leaseMs)
      if (claim.state === 'done') return { state: 'done', outcome: texts.open('outcome', key, claim.outcome) ?? UNREADABLE }
      if (claim.state !== 'mine') return claim
      return { ...claim, complete: (outcome, ttlMs) => claim.complete(texts.seal('outcome', key, outcome), ttlMs) }
    },
  }
}
