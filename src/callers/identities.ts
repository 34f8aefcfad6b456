// What stands behind the callers for as long as the process runs, whatever a reload changes: the stored keys and when each was
// used. Joins the parts of this room.
import type { TextSealer } from '../credentials/seal-text.ts'
import type { Clock, KeyValueStore, Logger } from '../model/ports.ts'
import { type AdministeredCaller, type CallerAdministration, createCallerAdministration } from './administration.ts'
import { type CallerConfig, type Callers, createCallers } from './callers.ts'
import { createKeyBook } from './key-book.ts'
import { createKeyUse, type KeyUse } from './key-use.ts'
import { createStoredKeys, type StoredKeys } from './stored-keys.ts'

export interface AdministrationOptions {
  readonly store: KeyValueStore
  /** null: there is no sealing key, and so no key is stored. */
  readonly sealer: TextSealer | null
  readonly clock: Clock
  readonly log: Logger
  /** As configured now. */
  readonly configured: () => readonly AdministeredCaller[]
}

export interface IdentitiesOptions extends AdministrationOptions {
  /** How long the last known keys serve while the store is away, ms. */
  readonly staleForMs: number
}

export interface Identities {
  /** The callers of one configuration. */
  callers(configs: readonly CallerConfig[]): Callers
  readonly administration: CallerAdministration
  /** False: the stored keys could not be followed the last time that was tried. */
  readonly fresh: boolean
  close(): Promise<void>
}

export function openIdentities({ staleForMs, ...options }: IdentitiesOptions): Identities {
  const { clock, log } = options
  const { keys, use } = openKeys(options)
  const book = keys === null ? null : createKeyBook({ keys, clock, log, staleForMs })
  return {
    callers: (configs) => createCallers(configs, { book, noteUse: (id) => use?.note(id), now: clock.date }),
    administration: administrationOf(options, { keys, use }, async () => book?.refresh()),
    get fresh() {
      return book?.fresh ?? true
    },
    async close() {
      book?.close()
      await use?.close()
    },
  }
}

/** Without a gateway: for the command line. Nothing to close. */
export function openAdministration(options: AdministrationOptions): CallerAdministration {
  return administrationOf(options, openKeys(options), async () => {})
}

interface Keys {
  readonly keys: StoredKeys | null
  readonly use: KeyUse | null
}

function openKeys({ store, sealer, clock, log }: AdministrationOptions): Keys {
  if (sealer === null) return { keys: null, use: null }
  return { keys: createStoredKeys({ store, sealer, clock }), use: createKeyUse({ store, sealer, clock, log }) }
}

function administrationOf(
  { clock, configured }: AdministrationOptions,
  { keys, use }: Keys,
  changed: () => Promise<void>,
): CallerAdministration {
  const lastUsed = async (): Promise<ReadonlyMap<string, number>> => (use === null ? new Map() : use.read())
  return createCallerAdministration({ keys, clock, configured, lastUsed, changed })
}
