// The table of the admin entrance: what there is, what each takes and answers. Routes, parsing, records and openapi.json all
// come from it; nothing else lists them.
import type { z } from 'zod'
import * as shapes from './admin-schema.ts'

export interface AdminEntrance {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** As in OpenAPI: names stand in braces. */
  readonly path: string
  readonly summary: string
  readonly description?: string
  /** A JSON object; an empty body is an empty one. */
  readonly body?: z.ZodType
  readonly query?: z.ZodObject
  readonly answer: z.ZodType
  /** Noun and deed, as the audit trail has it. */
  readonly act: string
  readonly changes: boolean
  /** Beside JSON, by Accept: everything at once, written as it is found. */
  readonly formats?: readonly string[]
}

export const ADMIN_ENTRANCES = {
  listAdapters: {
    method: 'GET',
    path: '/v1/admin/adapters',
    summary: 'Adapters and their live state',
    answer: shapes.adaptersSchema,
    act: 'adapter.list',
    changes: false,
  },
  getAdapter: {
    method: 'GET',
    path: '/v1/admin/adapters/{name}',
    summary: 'One adapter',
    answer: shapes.adapterSchema,
    act: 'adapter.read',
    changes: false,
  },
  setBreaker: {
    method: 'PUT',
    path: '/v1/admin/adapters/{name}/breaker',
    summary: 'Force a breaker open or closed, or lift that',
    description:
      'Stands above the breakers of the adapter, or of one origin under it, until it is lifted or ends; in every replica, and over a restart.',
    body: shapes.overrideBodySchema,
    answer: shapes.overridesSchema,
    act: 'breaker.force',
    changes: true,
  },
  listSecrets: {
    method: 'GET',
    path: '/v1/admin/secrets',
    summary: 'Stored secrets, without their values',
    answer: shapes.secretsSchema,
    act: 'secret.list',
    changes: false,
  },
  getSecret: {
    method: 'GET',
    path: '/v1/admin/secrets/{name}',
    summary: 'One secret, without its values',
    answer: shapes.secretSchema,
    act: 'secret.read',
    changes: false,
  },
  setSecret: {
    method: 'PUT',
    path: '/v1/admin/secrets/{name}',
    summary: 'Store a secret, or its next version',
    body: shapes.secretBodySchema,
    answer: shapes.secretChangeSchema,
    act: 'secret.set',
    changes: true,
  },
  rotateSecret: {
    method: 'POST',
    path: '/v1/admin/secrets/{name}/rotate',
    summary: 'Give a secret new values',
    description: 'Its scheme, origins and callers stay unless given, and the values before are still good for a while.',
    body: shapes.rotationBodySchema,
    answer: shapes.secretChangeSchema,
    act: 'secret.rotate',
    changes: true,
  },
  revokeSecret: {
    method: 'POST',
    path: '/v1/admin/secrets/{name}/revoke',
    summary: 'Wipe the values of a secret',
    description: 'What is known of it is kept. No replica that reaches the store uses it a second later.',
    body: shapes.revocationBodySchema,
    answer: shapes.secretChangeSchema,
    act: 'secret.revoke',
    changes: true,
  },
  deleteSecret: {
    method: 'DELETE',
    path: '/v1/admin/secrets/{name}',
    summary: 'Remove a secret',
    answer: shapes.secretChangeSchema,
    act: 'secret.delete',
    changes: true,
  },
  rekeySecrets: {
    method: 'POST',
    path: '/v1/admin/secrets/rekey',
    summary: 'Seal every secret anew under the active key',
    description: 'May be interrupted and asked again, beside anything else.',
    body: shapes.rekeyBodySchema,
    answer: shapes.rekeySchema,
    act: 'secret.rekey',
    changes: true,
  },
  listCallers: {
    method: 'GET',
    path: '/v1/admin/callers',
    summary: 'Callers and their keys',
    answer: shapes.callersSchema,
    act: 'caller.list',
    changes: false,
  },
  createKey: {
    method: 'POST',
    path: '/v1/admin/callers/{name}/keys',
    summary: 'Make a key for a caller',
    description: 'The answer shows it this once. A caller may have two active keys, so that one can take the place of the other.',
    body: shapes.keyBodySchema,
    answer: shapes.createdKeySchema,
    act: 'caller-key.create',
    changes: true,
  },
  revokeKey: {
    method: 'DELETE',
    path: '/v1/admin/callers/keys/{id}',
    summary: 'Revoke a key',
    description: 'No replica lets anybody in by it a second later. One in the configuration file is removed there.',
    answer: shapes.revokedKeySchema,
    act: 'caller-key.revoke',
    changes: true,
  },
  listSessions: {
    method: 'GET',
    path: '/v1/admin/sessions',
    summary: 'Sessions, without their cookies',
    query: shapes.sessionsQuerySchema,
    answer: shapes.sessionsSchema,
    act: 'session.list',
    changes: false,
  },
  deleteSession: {
    method: 'DELETE',
    path: '/v1/admin/sessions/{caller}/{name}',
    summary: 'Forget a session',
    answer: shapes.forgottenSchema,
    act: 'session.delete',
    changes: true,
  },
  searchAudit: {
    method: 'GET',
    path: '/v1/admin/audit',
    summary: 'Search the audit trail',
    description:
      'All that is given has to hold. In pages; with Accept: application/x-ndjson or text/csv everything that matches, oldest first, as it is found.',
    query: shapes.auditQuerySchema,
    answer: shapes.auditPageSchema,
    act: 'audit.search',
    changes: false,
    formats: ['application/x-ndjson', 'text/csv'],
  },
  getConfig: {
    method: 'GET',
    path: '/v1/admin/config',
    summary: 'The configuration in effect',
    answer: shapes.configSchema,
    act: 'config.read',
    changes: false,
  },
  reloadConfig: {
    method: 'POST',
    path: '/v1/admin/config/reload',
    summary: 'Read the configuration anew',
    description:
      'As SIGHUP or a changed file does: it takes effect whole or not at all. A fault is InvalidDescriptor, each with its file, line and key in `detail`.',
    body: shapes.reloadBodySchema,
    answer: shapes.reloadSchema,
    act: 'config.reload',
    changes: true,
  },
  getLogLevel: {
    method: 'GET',
    path: '/v1/admin/log-level',
    summary: 'The level of the process log',
    answer: shapes.logLevelSchema,
    act: 'log.read',
    changes: false,
  },
  setLogLevel: {
    method: 'PUT',
    path: '/v1/admin/log-level',
    summary: 'Change it in this replica',
    body: shapes.logLevelBodySchema,
    answer: shapes.logLevelSchema,
    act: 'log.set',
    changes: true,
  },
} as const satisfies Readonly<Record<string, AdminEntrance>>

type Entrances = typeof ADMIN_ENTRANCES
export type AdminOperation = keyof Entrances

/** What an operation is handed once its request was read: names of its path, body and query as their schemas make them. */
export interface AdminInput<O extends AdminOperation> {
  readonly params: Readonly<Record<string, string>>
  readonly body: Entrances[O] extends { readonly body: infer B extends z.ZodType } ? z.output<B> : undefined
  readonly query: Entrances[O] extends { readonly query: infer Q extends z.ZodType } ? z.output<Q> : undefined
}

export type AdminOutput<O extends AdminOperation> = z.input<Entrances[O]['answer']>
