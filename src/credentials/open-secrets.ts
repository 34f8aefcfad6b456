// Joins what the secrets of an installation need: its keys, its marks, and the book and the administration over them. The
// gateway and the command line both open theirs here.
import type { Clock, KeyValueStore, Logger, SecretStore } from '../model/ports.ts'
import { createSecretAdministration, type SecretAdministration } from './administer.ts'
import { createSecretBook, type SecretBook } from './book.ts'
import { type HighWater, NO_HIGH_WATER } from './high-water.ts'
import { createKeyRing, type KeyRing } from './key-ring.ts'
import { createLastingTexts, type LastingText, type LastingTexts } from './lasting-texts.ts'
import { createSealer } from './seal.ts'
import { createTextSealer } from './seal-text.ts'
import { createHighWaterFile } from './sources/high-water.ts'
import { createKeyFollower, FIXED_KEYS } from './sources/key-file.ts'
import { parseKeys, readKeys } from './sources/key-source.ts'

export interface SecretsOptions {
  /** null: see `key`. */
  readonly keyFile: string | null
  /** null: see `keyFile`. */
  readonly key: string | null
  readonly installation: string
  /** File of the high-water marks. */
  readonly highWater: string
  readonly staleForMs: number
}

export interface SecretsPorts {
  readonly store: SecretStore
  readonly values: KeyValueStore
  readonly clock: Clock
  readonly log: Logger
  /** Where other rooms keep what is under the same keys. */
  readonly texts: readonly LastingText[]
}

/** null: no key is configured. Throws SealError where one is and cannot be used. */
export function openKeyRing({ keyFile, key }: Pick<SecretsOptions, 'keyFile' | 'key'>): KeyRing | null {
  if (keyFile !== null) return createKeyRing(readKeys({ file: keyFile }))
  return key === null ? null : createKeyRing(parseKeys(key, 'store.key'))
}

/** `lasting` false: secrets live in memory, under a key of this process, and leave no marks behind. */
export function openSecrets(
  options: SecretsOptions,
  { ring, lasting }: { readonly ring: KeyRing; readonly lasting: boolean },
  ports: SecretsPorts,
): { readonly book: SecretBook; readonly administration: SecretAdministration } {
  const sealer = createSealer({ ring, installation: options.installation })
  const texts = textsOf(options, ring, ports)
  const marks = lasting ? marksOf(options) : NO_HIGH_WATER
  const follower = options.keyFile === null ? FIXED_KEYS : createKeyFollower(options.keyFile, ring, ports.log)
  const book = createSecretBook({ ...ports, sealer, marks, texts, keys: follower, staleForMs: options.staleForMs })
  return { book, administration: createSecretAdministration({ ...ports, sealer, marks, texts, changed: book.refresh }) }
}

/** For the command line: the deeds without a book. */
export function openSecretAdministration(
  options: SecretsOptions,
  ring: KeyRing,
  ports: Omit<SecretsPorts, 'log'>,
): SecretAdministration {
  const sealer = createSealer({ ring, installation: options.installation })
  return createSecretAdministration({ ...ports, sealer, texts: textsOf(options, ring, ports), marks: marksOf(options) })
}

const marksOf = ({ highWater, installation }: SecretsOptions): HighWater => createHighWaterFile(highWater, installation)

const textsOf = (
  { installation }: SecretsOptions,
  ring: KeyRing,
  { values, texts }: Pick<SecretsPorts, 'values' | 'texts'>,
): LastingTexts => createLastingTexts({ values, sealer: createTextSealer({ ring, installation }), fixed: texts })
