// What an operator does with the callers' keys: makes, lists and revokes them. The command line and the admin entrance both
// come through here; they record who did it.
import { GatewayError } from '../errors/gateway-error.ts'
import type { Clock } from '../model/ports.ts'
import { makeApiKey } from './api-key.ts'
import { type KeyState, type StoredKey, type StoredKeys, stateOf } from './stored-keys.ts'

/** Instants are ms since 1970; null: not known, or never. */
export interface KeyRow {
  readonly id: string
  /** `config`: it stands in the configuration file, and is changed there. */
  readonly source: 'stored' | 'config'
  readonly createdAt: number | null
  readonly createdBy: string | null
  /** To the minute. */
  readonly lastUsedAt: number | null
  readonly expiresAt: number | null
  readonly state: KeyState
}

export interface CallerRow {
  readonly caller: string
  /** False: stored keys name a caller that the configuration does not have (any more); nobody is let in by them. */
  readonly configured: boolean
  readonly admin: boolean
  readonly keys: readonly KeyRow[]
  /** It may also show tokens, */
  readonly jwt: boolean
  /** or so many certificates. */
  readonly certificates: number
}

export interface KeyAsk {
  readonly caller: string
  /** Ms since 1970; null: never. */
  readonly expiresAt: number | null
  /** The caller's name at the admin entrance; the operating system's user at the command line. */
  readonly by: string
}

export interface CreatedKey {
  readonly caller: string
  readonly id: string
  /** The key itself: shown this once, kept nowhere. */
  readonly key: string
  readonly createdAt: number
  readonly expiresAt: number | null
}

/** Every function rejects with a GatewayError; Overloaded where the store is away. */
export interface CallerAdministration {
  /** In the order of the configuration, keys without a configured caller last. */
  list(): Promise<readonly CallerRow[]>
  /** NotFound: no such caller. Forbidden: it has two active keys, or there is no sealing key. InvalidDescriptor: `expiresAt` is over. */
  createKey(ask: KeyAsk): Promise<CreatedKey>
  /** In force on every replica within a second. NotFound: no such stored key. Revoking one twice changes nothing. */
  revokeKey(id: string, by: string): Promise<{ readonly caller: string; readonly key: KeyRow }>
}

/** A configured caller, as far as administration wants to know it. */
export interface AdministeredCaller {
  readonly name: string
  readonly admin: boolean
  /** SHA-256 of each key in the file, lower-case hexadecimal. */
  readonly keyHashes: readonly string[]
  readonly jwt: boolean
  readonly certificates: number
}

export interface AdministrationPorts {
  /** null: there is no sealing key, and so no key is stored. */
  readonly keys: StoredKeys | null
  /** Ms since 1970 by key id. */
  readonly lastUsed: () => Promise<ReadonlyMap<string, number>>
  /** As configured now. */
  readonly configured: () => readonly AdministeredCaller[]
  readonly clock: Pick<Clock, 'date'>
  /** Runs after each change, so that this replica has it at once. Never rejects. */
  readonly changed: () => Promise<void>
}

/** One is in use while the other takes its place. */
const MOST_ACTIVE = 2

/** What a key of the file is called: the beginning of its hash, which whoever has the key can compare. */
export function fileKeyId(sha256: string): string {
  return `sha256:${sha256.slice(0, 12)}`
}

export function createCallerAdministration(ports: AdministrationPorts): CallerAdministration {
  const { keys, clock, configured } = ports
  const stored = (): StoredKeys => keys ?? refuseWithoutSeal()

  return {
    async list() {
      const now = clock.date()
      const lastUsed = await ports.lastUsed()
      const byCaller = Map.groupBy(keys === null ? [] : (await keys.read()).keys, ({ caller }) => caller)
      const known = configured()
      const names = new Set(known.map(({ name }) => name))
      const rowsOf = (caller: string): KeyRow[] => (byCaller.get(caller) ?? []).map((key) => rowOf(key, lastUsed, now))
      const unknown = [...byCaller.keys()].filter((caller) => !names.has(caller))
      return [
        ...known.map(({ name, admin, keyHashes, jwt, certificates }) => ({
          ...{ caller: name, configured: true, admin, jwt, certificates },
          keys: [...keyHashes.map((sha256) => fileRow(sha256, lastUsed)), ...rowsOf(name)],
        })),
        ...unknown.map((caller) => ({
          ...{ caller, configured: false, admin: false, jwt: false, certificates: 0 },
          keys: rowsOf(caller),
        })),
      ]
    },
    async createKey({ caller, expiresAt, by }) {
      const createdAt = clock.date()
      const { keyHashes } = findCaller(configured(), caller)
      if (expiresAt !== null && expiresAt <= createdAt) throw overBefore()
      const { id, key, sha256 } = makeApiKey()
      const kept: StoredKey = { id, caller, sha256, createdAt, createdBy: by, expiresAt, revokedAt: null, revokedBy: null }
      await stored().change((before) => {
        refuseThird(caller, keyHashes, before, createdAt)
        return { keys: [...before, kept], result: null }
      })
      await ports.changed()
      return { caller, id, key, createdAt, expiresAt }
    },
    async revokeKey(id, by) {
      const revoked = await stored().change((before) => {
        const found = before.find((key) => key.id === id) ?? refuseUnknown(id, configured())
        const now: StoredKey = found.revokedAt === null ? { ...found, revokedAt: clock.date(), revokedBy: by } : found
        return { keys: before.map((key) => (key.id === id ? now : key)), result: now }
      })
      await ports.changed()
      return { caller: revoked.caller, key: rowOf(revoked, await ports.lastUsed(), clock.date()) }
    },
  }
}

function rowOf(key: StoredKey, lastUsed: ReadonlyMap<string, number>, now: number): KeyRow {
  const { id, createdAt, createdBy, expiresAt } = key
  return { id, source: 'stored', createdAt, createdBy, lastUsedAt: lastUsed.get(id) ?? null, expiresAt, state: stateOf(key, now) }
}

function fileRow(sha256: string, lastUsed: ReadonlyMap<string, number>): KeyRow {
  const id = fileKeyId(sha256)
  const lastUsedAt = lastUsed.get(id) ?? null
  return { id, source: 'config', createdAt: null, createdBy: null, lastUsedAt, expiresAt: null, state: 'active' }
}

function findCaller(callers: readonly AdministeredCaller[], name: string): AdministeredCaller {
  const found = callers.find((caller) => caller.name === name)
  if (found) return found
  const known =
    callers.length === 0
      ? 'there is none'
      : `known: ${callers
          .slice(0, 20)
          .map((caller) => caller.name)
          .join(', ')}`
  throw new GatewayError(
    'NotFound',
    `No caller "${name}" is configured, and its policy stands there; add it under callers (${known}).`,
  )
}

function refuseThird(caller: string, keyHashes: readonly string[], stored: readonly StoredKey[], now: number): void {
  const own = stored.filter((key) => key.caller === caller && stateOf(key, now) === 'active').map(({ id }) => id)
  const active = [...keyHashes.map(fileKeyId), ...own]
  if (active.length < MOST_ACTIVE) return
  const how = own[0] === undefined ? 'remove one from the file' : `revoke one: sallyport callers revoke ${own[0]}`
  throw new GatewayError(
    'Forbidden',
    `Caller "${caller}" has ${active.length} active keys, ${active.join(' and ')}, and may have ${MOST_ACTIVE}; ${how}.`,
  )
}

function refuseUnknown(id: string, callers: readonly AdministeredCaller[]): never {
  const owner = callers.find(({ keyHashes }) => keyHashes.some((sha256) => fileKeyId(sha256) === id))
  const why = owner
    ? `Key ${id} stands in the configuration file, under callers, ${owner.name}; remove it there.`
    : `There is no stored key ${id}; "sallyport callers list" shows those there are.`
  throw new GatewayError('NotFound', why)
}

function overBefore(): GatewayError {
  const message = 'lies in the past; write a later instant, or leave it out for a key that does not expire'
  return new GatewayError('InvalidDescriptor', `expiresAt ${message}`, { detail: [{ pointer: '/expiresAt', message }] })
}

function refuseWithoutSeal(): never {
  throw new GatewayError(
    'Forbidden',
    'There is no sealing key, so that keys of callers cannot be stored; make one with "sallyport keys generate" and name it under store.keyFile.',
  )
}
