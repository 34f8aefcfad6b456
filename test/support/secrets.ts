// Secrets without a gateway: an administration and the parts that a book is made of, over whatever store a test has.
import { createSecretAdministration, type SecretAdministration } from '../../src/credentials/administer.ts'
import { createSecretBook, type SecretBook } from '../../src/credentials/book.ts'
import { type HighWater, NO_HIGH_WATER } from '../../src/credentials/high-water.ts'
import type { LastingTexts } from '../../src/credentials/lasting-texts.ts'
import type { Sealer } from '../../src/credentials/seal.ts'
import { FIXED_KEYS, type KeyFollower } from '../../src/credentials/sources/key-file.ts'
import type { Clock, Logger, SecretStore } from '../../src/model/ports.ts'

/** Nothing but secrets is under the keys. */
export const NO_TEXTS: LastingTexts = {
  of: () => [],
  keysInUse: async () => new Map(),
  reseal: async () => false,
  forget: async () => {},
}

export interface SecretsUnderTest {
  readonly store: SecretStore
  readonly sealer: Sealer
  readonly clock?: Clock
  readonly marks?: HighWater
  readonly texts?: LastingTexts
}

export function administer({ clock, ...ports }: SecretsUnderTest): SecretAdministration {
  return createSecretAdministration({ marks: NO_HIGH_WATER, texts: NO_TEXTS, ...ports, clock: clock ?? { date: Date.now } })
}

export interface BookUnderTest extends SecretsUnderTest {
  readonly clock: Clock
  readonly keys?: KeyFollower
  readonly log?: Logger
  readonly staleForMs?: number
}

export function openBook(ports: BookUnderTest): SecretBook {
  const rest = { keys: FIXED_KEYS, marks: NO_HIGH_WATER, texts: NO_TEXTS, log: { log: () => {} }, staleForMs: 300_000 }
  return createSecretBook({ ...rest, ...ports })
}
