// Sealed texts for rooms that know nothing of keys: what cannot be opened is told in the log, and is null to them.
import type { Logger, SealedTexts } from '../model/ports.ts'
import { MissingKeyError, SealError } from './key-ring.ts'
import type { TextSealer } from './seal-text.ts'

export function createSealedTexts(sealer: TextSealer, log: Logger): SealedTexts {
  return {
    seal: (kind, key, text) => sealer.seal(`${kind} ${key}`, text),
    open(kind, key, sealed) {
      try {
        return sealer.open(`${kind} ${key}`, sealed)
      } catch (error) {
        if (!(error instanceof SealError)) throw error
        // Not the error's own words: they name the key, which a caller chose.
        const because =
          error instanceof MissingKeyError
            ? 'it was sealed under a key that is not among those of store.keyFile'
            : 'it was edited, moved or sealed by another installation'
        log.log('warn', 'stored text refused', { name: kind, because })
        return null
      }
    },
  }
}
