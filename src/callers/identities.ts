// What stands behind the callers for as long as the process runs, whatever a reload changes: the stored keys and when each was
// used. Joins the parts of this room.
import type { TextSealer } from '../credentials/seal-text.ts'
import type { Clock, KeyValueStore, Logger } from '../model/ports.ts'
import { type AdministeredCaller, type CallerAdministration, createCallerAdministration } from './administration.ts'
import { type CallerConfig, type Callers, createCallers } from './callers.ts'
import { createIssuerKeys, type IssuerKeys, type IssuerKeysPorts, type KeyFetch } from './issuer-keys.ts'
import { createKeyBook } from './key-book.ts'
import { createKeyUse, type KeyUse } from './key-use.ts'
import { createStoredKeys, type StoredKeys } from './stored-keys.ts'
import { createTokens, type TokenRule, type Tokens } from './tokens.ts'

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
  /** For the keys of issuers. Not called before the process has started whole. */
  readonly fetch: KeyFetch
}

export interface Identities {
  /** The callers of one configuration. */
  callers(configs: readonly CallerConfig[]): Callers
  readonly administration: CallerAdministration
  /** False: the stored keys could not be followed the last time that was tried. */
  readonly fresh: boolean
  close(): Promise<void>
}

export function openIdentities({ staleForMs, fetch, ...options }: IdentitiesOptions): Identities {
  const { clock, log } = options
  const { keys, use } = openKeys(options)
  const book = keys === null ? null : createKeyBook({ keys, clock, log, staleForMs })
  const issuers = openIssuers({ fetch, clock, log })
  return {
    callers(configs) {
      const uris = new Set(configs.flatMap(({ jwt }) => (jwt ? [jwt.jwksUri] : [])))
      const tokens = issuers.follow(uris)
      return createCallers(configs, { book, noteUse: (id) => use?.note(id), tokens, now: clock.date })
    },
    administration: administrationOf(options, { keys, use }, async () => book?.refresh()),
    get fresh() {
      return book?.fresh ?? true
    },
    async close() {
      book?.close()
      issuers.follow(new Set())
      await use?.close()
    },
  }
}

/** The keys of all issuers that callers have now: those that stay from one configuration to the next are kept. */
function openIssuers(ports: IssuerKeysPorts) {
  const byUri = new Map<string, IssuerKeys>()
  let current: Tokens | null = null
  return {
    follow(uris: ReadonlySet<string>): (rules: readonly TokenRule[]) => Tokens {
      for (const [uri, keys] of byUri) {
        if (uris.has(uri)) continue
        keys.close()
        byUri.delete(uri)
      }
      for (const uri of uris)
        if (!byUri.has(uri)) byUri.set(uri, createIssuerKeys({ uri, onChange: () => current?.forget(uri) }, ports))
      return (rules) => {
        const keysOf = (uri: string): IssuerKeys => {
          const keys = byUri.get(uri)
          if (!keys) throw new Error('the configuration that named this issuer has gone')
          return keys
        }
        current = createTokens(rules, { keysOf, clock: ports.clock })
        return current
      }
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
