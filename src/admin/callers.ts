// Callers' keys and sessions as operators see and change them.
import type { CallerAdministration, KeyRow } from '../callers/administration.ts'
import type { Config } from '../config/config.ts'
import type { AdminInput, AdminOutput } from '../descriptor/admin-entrances.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import type { Clock } from '../model/ports.ts'
import type { SessionList } from '../sessions/session-list.ts'
import { endOf, instant, instantOrNull } from './instants.ts'
import type { Deed } from './operation.ts'

export interface CallersPorts {
  readonly clock: Pick<Clock, 'date'>
  readonly callers: CallerAdministration
  readonly sessions: SessionList
  readonly config: () => Pick<Config, 'callers'>
}

export function createCallerOperations({ clock, callers, sessions, config }: CallersPorts) {
  return {
    async listCallers(): Promise<AdminOutput<'listCallers'>> {
      const rows = await callers.list()
      return { callers: rows.map(({ caller, keys, ...row }) => ({ name: caller, ...row, keys: keys.map(viewKey) })) }
    },
    createKey({ params, body }: AdminInput<'createKey'>, who: string): Deed<AdminOutput<'createKey'>> {
      const expiresAt = endOf(body, 'expiresAt', clock.date())
      return {
        detail: { expiresAt: instantOrNull(expiresAt) },
        async carryOut() {
          const { caller, id, key, createdAt } = await callers.createKey({ caller: params.name ?? '', expiresAt, by: who })
          const answer = { caller, id, key, createdAt: instant(createdAt), expiresAt: instantOrNull(expiresAt) }
          return { answer, detail: { key: id } }
        },
      }
    },
    revokeKey: ({ params }: AdminInput<'revokeKey'>, who: string): Deed<AdminOutput<'revokeKey'>> => ({
      detail: {},
      async carryOut() {
        const { caller, key } = await callers.revokeKey(params.id ?? '', who)
        return { answer: { caller, key: viewKey(key) }, detail: { caller } }
      },
    }),
    async listSessions({ query }: AdminInput<'listSessions'>): Promise<AdminOutput<'listSessions'>> {
      const rows: AdminOutput<'listSessions'>['sessions'] = []
      for (const caller of query.caller === undefined ? callersOf(config()) : [query.caller])
        for (const row of await sessions.list(caller))
          rows.push({ ...row, domains: [...row.domains], writtenAt: instant(row.writtenAt) })
      return { sessions: rows }
    },
    deleteSession: ({ params }: AdminInput<'deleteSession'>): Deed<AdminOutput<'deleteSession'>> => ({
      detail: {},
      async carryOut() {
        const { caller = '', name = '' } = params
        if (await sessions.forget(caller, name)) return { answer: { caller, name, deleted: true } }
        throw new GatewayError('NotFound', `Caller "${caller}" has no session "${name}".`)
      },
    }),
  }
}

/** Who may have sessions. */
function callersOf({ callers }: Pick<Config, 'callers'>): string[] {
  return callers.length === 0 ? ['local'] : callers.map(({ caller }) => caller.name)
}

function viewKey({ id, source, state, createdAt, createdBy, lastUsedAt, expiresAt }: KeyRow) {
  return {
    ...{ id, source, state, createdBy },
    createdAt: instantOrNull(createdAt),
    lastUsedAt: instantOrNull(lastUsedAt),
    expiresAt: instantOrNull(expiresAt),
  }
}
