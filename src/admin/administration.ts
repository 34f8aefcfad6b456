// The admin entrance, whatever is asked of it: who may, what was asked, and the record of it, made before it
// is done and again before it is answered: what cannot be recorded is not done.
import { randomUUID } from 'node:crypto'
import { ADMIN_ENTRANCES, type AdminEntrance, type AdminOperation } from '../descriptor/admin-entrances.ts'
import { paramSchema } from '../descriptor/admin-schema.ts'
import { readAdminBody, readAdminQuery } from '../descriptor/read-admin.ts'
import type { ErrorType } from '../errors/catalogue.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import type { AdminAsk, Administration, AdminReply } from '../model/administration.ts'
import type { AuditLog, Logger, Meter } from '../model/ports.ts'
import type { Deed, Facts, Operations } from './operation.ts'

export interface AdministrationPorts {
  readonly audit: Pick<AuditLog, 'act'>
  readonly log: Logger
  readonly meter: Pick<Meter, 'acted'>
  readonly operations: Operations
}

interface Stage {
  readonly id?: string
  readonly phase?: 'begun' | 'ended'
  readonly error: ErrorType | null
  readonly detail: Facts
}

/** Every operation as this file sees it; the table holds their types together. */
type Operate = (input: unknown, whoOrFormat: string | null) => Promise<unknown> | unknown

export function createAdministration({ audit, log, meter, operations }: AdministrationPorts): Administration {
  /** An act that changes something has two records of one id; a refusal has one. */
  const record = async (ask: AdminAsk, stage: Stage): Promise<void> => {
    const entrance: AdminEntrance = ADMIN_ENTRANCES[ask.operation as AdminOperation]
    const { id, phase, error, detail } = stage
    const fact = { who: ask.caller.name, act: entrance.act, subject: subjectOf(ask), error }
    await audit.act({ ...fact, via: 'admin', ...(phase && { id, phase }), detail: { requestId: ask.requestId, ...detail } })
    if (phase === 'begun') return
    const { who, act, subject } = fact
    meter.acted(act, error)
    log.log(error === null ? 'info' : 'warn', 'administrative act', {
      requestId: ask.requestId,
      caller: who,
      act,
      subject,
      error,
    })
  }

  const carryOut = async (ask: AdminAsk, deed: Deed<unknown>): Promise<unknown> => {
    const id = randomUUID()
    await record(ask, { id, phase: 'begun', error: null, detail: deed.detail })
    const ended = async (error: ErrorType | null, detail: Facts): Promise<void> =>
      record(ask, { id, phase: 'ended', error, detail: { ...deed.detail, ...detail } })
    const outcome = await deed.carryOut().catch(async (thrown: unknown) => {
      const error = asGatewayError(thrown, ask, log)
      await ended(error.type, {})
      throw error
    })
    await ended(null, outcome.detail ?? {})
    return outcome.answer
  }

  const perform = async (ask: AdminAsk): Promise<AdminReply> => {
    const entrance: AdminEntrance | undefined = Object.hasOwn(ADMIN_ENTRANCES, ask.operation)
      ? ADMIN_ENTRANCES[ask.operation as AdminOperation]
      : undefined
    if (entrance === undefined) throw new GatewayError('NotFound', 'There is no such admin entrance; /docs lists them.')
    const operate = operations[ask.operation as AdminOperation] as Operate
    const format = entrance.formats?.find((known) => ask.accept.includes(known)) ?? null
    let made: unknown
    try {
      if (!ask.caller.admin) throw withoutRights(ask.caller.name)
      made = await operate(readInput(entrance, ask), entrance.formats ? format : ask.caller.name)
    } catch (thrown) {
      const error = asGatewayError(thrown, ask, log)
      if (entrance.changes || error.type === 'Forbidden') await record(ask, { error: error.type, detail: {} })
      throw error
    }
    if (entrance.formats) return made as AdminReply
    return { json: entrance.changes ? await carryOut(ask, made as Deed<unknown>) : made }
  }

  return { perform }
}

function readInput(entrance: AdminEntrance, { params, body, query }: AdminAsk) {
  for (const name of Object.values(params))
    if (!paramSchema.safeParse(name).success)
      throw new GatewayError('NotFound', 'There is nothing of that name: a name is 1-64 of A-Z a-z 0-9 . _ -.')
  return {
    params,
    body: entrance.body && readAdminBody(entrance.body, body),
    query: entrance.query && readAdminQuery(entrance.query, query),
  }
}

function withoutRights(name: string): GatewayError {
  return new GatewayError(
    'Forbidden',
    `The admin entrance is for callers with admin rights, which "${name}" has not: use a key of one that has admin: true.`,
  )
}

/** Names alone: what is no name was refused, and is not written down. null: the gateway as a whole. */
function subjectOf({ params }: AdminAsk): string | null {
  const names = Object.values(params).map((name) => (paramSchema.safeParse(name).success ? name : '?'))
  return names.length === 0 ? null : names.join('/')
}

/** Anything else is a bug of ours: its message may quote anything, and is told to nobody. */
function asGatewayError(thrown: unknown, { requestId }: AdminAsk, log: Logger): GatewayError {
  if (thrown instanceof GatewayError) return withDetail(thrown)
  const name = thrown instanceof Error ? thrown.name : typeof thrown
  log.log('error', 'internal error', { requestId, name })
  return new GatewayError('InternalError', 'the gateway failed; report it with the requestId', { cause: thrown })
}

/** What could not be read says so with its pointer; where nobody knew one, it is the whole. */
function withDetail(error: GatewayError): GatewayError {
  const { type, message, detail } = error
  if (type !== 'InvalidDescriptor' || detail !== undefined) return error
  return new GatewayError(type, message, { detail: [{ pointer: '', message }], cause: error })
}
