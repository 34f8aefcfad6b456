// The admin entrance in openapi.json, made from its table.
import { z } from 'zod'
import { CATALOGUE, type ErrorType } from '../errors/catalogue.ts'
import { ADMIN_ENTRANCES, type AdminEntrance } from './admin-entrances.ts'
import * as shapes from './admin-schema.ts'

/** Name in openapi.json → schema. */
export const ADMIN_COMPONENTS = {
  Adapter: shapes.adapterSchema,
  Adapters: shapes.adaptersSchema,
  OriginState: shapes.originStateSchema,
  BreakerOverride: shapes.overrideSchema,
  BreakerOverrides: shapes.overridesSchema,
  SetBreaker: shapes.overrideBodySchema,
  Secret: shapes.secretSchema,
  Secrets: shapes.secretsSchema,
  SetSecret: shapes.secretBodySchema,
  RotateSecret: shapes.rotationBodySchema,
  RevokeSecret: shapes.revocationBodySchema,
  RekeySecrets: shapes.rekeyBodySchema,
  SecretChange: shapes.secretChangeSchema,
  RekeyReport: shapes.rekeySchema,
  Callers: shapes.callersSchema,
  CreateKey: shapes.keyBodySchema,
  CreatedKey: shapes.createdKeySchema,
  RevokedKey: shapes.revokedKeySchema,
  Session: shapes.sessionSchema,
  Sessions: shapes.sessionsSchema,
  DeletedSession: shapes.forgottenSchema,
  AuditRecord: shapes.auditRecordSchema,
  AuditPage: shapes.auditPageSchema,
  EffectiveConfig: shapes.configSchema,
  ReloadConfig: shapes.reloadBodySchema,
  ConfigChange: shapes.reloadSchema,
  LogLevel: shapes.logLevelSchema,
  SetLogLevel: shapes.logLevelBodySchema,
  AdminError: shapes.adminErrorSchema,
} as const satisfies Readonly<Record<string, z.ZodType>>

const NAMES: ReadonlyMap<z.ZodType, string> = new Map(Object.entries(ADMIN_COMPONENTS).map(([name, schema]) => [schema, name]))

function content(schema: z.ZodType): object {
  const name = NAMES.get(schema)
  if (name === undefined) throw new Error('a schema of the admin entrance has no name')
  return { 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } }
}

const requestId = { 'X-Request-Id': { $ref: '#/components/headers/RequestId' } }

/** Path → method → operation. */
export function adminPaths(): Record<string, Record<string, object>> {
  const paths: Record<string, Record<string, object>> = {}
  for (const [operationId, entrance] of Object.entries<AdminEntrance>(ADMIN_ENTRANCES)) {
    const { method, path, summary, description, body, answer } = entrance
    paths[path] ??= {}
    paths[path][method.toLowerCase()] = {
      operationId,
      tags: ['Administration'],
      summary,
      ...(description === undefined ? {} : { description }),
      parameters: [{ $ref: '#/components/parameters/RequestId' }, ...namesOf(path), ...queryOf(entrance)],
      ...(body === undefined ? {} : { requestBody: { content: content(body) } }),
      responses: {
        200: { description: 'Done.', headers: requestId, content: { ...content(answer), ...texts(entrance) } },
        ...failures(entrance),
      },
    }
  }
  return paths
}

function texts({ formats = [] }: AdminEntrance): object {
  return Object.fromEntries(formats.map((format) => [format, { schema: { type: 'string' } }]))
}

function namesOf(path: string): object[] {
  const schema = { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' }
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({ name, in: 'path', required: true, schema }))
}

function queryOf({ query }: AdminEntrance): object[] {
  if (query === undefined) return []
  const { properties = {}, required = [] } = z.toJSONSchema(query, { io: 'input' })
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...schema } = property as z.core.JSONSchema.JSONSchema
    const told = description === undefined ? {} : { description }
    return { name, in: 'query', required: required.includes(name), ...told, schema }
  })
}

function failures({ path, body, query, changes }: AdminEntrance): Record<string, object> {
  const types: ErrorType[] = ['Unauthenticated', 'Forbidden', 'Overloaded', 'InternalError']
  if (body !== undefined || query !== undefined) types.push('InvalidDescriptor')
  if (body !== undefined) types.push('InvalidJSONError', 'RequestTimeout', 'RequestTooLarge', 'UnsupportedMediaType')
  if (path.includes('{') || changes) types.push('NotFound')
  const byStatus = new Map<number, string[]>()
  for (const type of types) {
    const { status, meaning } = CATALOGUE[type]
    byStatus.set(status, [...(byStatus.get(status) ?? []), `\`${type}\`: ${meaning}`])
  }
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, lines]) => [
        String(status),
        {
          description: lines.join('\n\n'),
          headers: { ...requestId, ...(status === 503 ? { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } } : {}) },
          content: content(shapes.adminErrorSchema),
        },
      ]),
  )
}
