// The OpenAPI 3.1 document of the gateway's JSON entrances, made from the schemas that descriptors are read with and from the
// catalogue of errors. Nothing in it is written twice.
import { z } from 'zod'
import { CATALOGUE } from '../errors/catalogue.ts'
import * as answers from './envelope-schema.ts'
import { ADMIN_COMPONENTS, adminPaths } from './openapi-admin.ts'
import { DESCRIPTOR_EXAMPLES, ENVELOPE_EXAMPLES, INVALID_EXAMPLE, REFUSED_EXAMPLE } from './openapi-examples.ts'
import * as asks from './schema.ts'

const COMPONENTS: Readonly<Record<string, z.ZodType>> = {
  RequestDescriptor: asks.descriptorSchema,
  Duration: asks.durationSchema,
  Timeout: asks.timeoutDurationSchema,
  TimeoutParts: asks.timeoutPartsSchema,
  Size: asks.sizeSchema,
  Params: asks.paramsSchema,
  Pairs: asks.pairsSchema,
  Files: asks.filesSchema,
  FilePart: asks.filePartSchema,
  Retry: asks.retrySchema,
  Auth: asks.authSchema,
  Batch: asks.batchSchema,
  ResponseEnvelope: answers.envelopeSchema,
  Attempt: answers.attemptSchema,
  HistoryEntry: answers.historyEntrySchema,
  OutgoingRequest: answers.outgoingSchema,
  Headers: answers.headersSchema,
  Error: answers.errorSchema,
  ErrorType: answers.errorTypeSchema,
  Sent: answers.sentSchema,
  PrepareAnswer: answers.prepareAnswerSchema,
  BatchAnswer: answers.batchAnswerSchema,
  BatchLine: answers.batchLineSchema,
  Readiness: answers.readinessSchema,
  ...ADMIN_COMPONENTS,
}

const ABOUT = `Internal services post a *request descriptor*; Sallyport makes the call under the policy of the adapter mounted on its URL, and answers with
one *response envelope*. The words are those of Python's Requests, in camelCase.

A duration is a whole number of milliseconds, or a string with its unit ("250ms", "3.05s", "2m"); in answers always milliseconds.
A descriptor is UTF-8 JSON, at most 64 levels deep. The HTTP status is 200 whenever an upstream answered, whatever its own status,
which is in the envelope; any other status comes with \`error\`.`

/** @param version the gateway's own, such as "0.1.0". */
export function buildOpenApi(version: string): object {
  return {
    openapi: '3.1.1',
    info: {
      title: 'Sallyport',
      version,
      summary: 'A resilient gateway for outbound HTTP',
      description: ABOUT,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'This gateway' }],
    security: [{ key: [] }, { bearer: [] }, { proxyAuthorization: [] }, {}],
    paths: { ...callPaths(), ...openPaths(), ...adminPaths() },
    components: {
      schemas: componentSchemas(),
      parameters: { RequestId: requestIdParameter, Timeout: timeoutParameter },
      headers: { RequestId: requestIdHeader, RetryAfter: retryAfterHeader },
      securitySchemes,
    },
  }
}

function componentSchemas(): Record<string, unknown> {
  const registry = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(COMPONENTS)) registry.add(schema, { id })
  const { schemas } = z.toJSONSchema(registry, {
    uri: (id) => `#/components/schemas/${id}`,
    io: 'input',
    override: ({ jsonSchema }) => {
      // Said of every integer and every object, and of no use to a reader.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
      delete jsonSchema.propertyNames
    },
  })
  return Object.fromEntries(
    Object.keys(COMPONENTS).map((id) => {
      const { $schema: _dialect, $id: _id, '~standard': _standard, ...schema } = schemas[id] as Record<string, unknown>
      return [id, schema]
    }),
  )
}

const ref = (id: keyof typeof COMPONENTS): object => ({ $ref: `#/components/schemas/${id}` })
const json = (id: string, examples?: object): object => ({
  'application/json': { schema: ref(id), ...(examples === undefined ? {} : { examples }) },
})

const requestIdParameter = {
  name: 'X-Request-Id',
  in: 'header',
  description: 'Names the call in the answer, in logs and in the audit trail. Made where it is absent.',
  schema: { type: 'string', pattern: '^[A-Za-z0-9._:-]{1,128}$' },
}
const timeoutParameter = {
  name: 'X-Sallyport-Timeout',
  in: 'header',
  description:
    'How long the caller itself still waits, from when this head was sent: milliseconds, or a duration such as 3.05s. It only shortens the total clock of the call, or of each item of a batch.',
  schema: { type: 'string', pattern: '^\\d+(\\.\\d+)?(ms|s|m|h)?$' },
}
const requestIdHeader = { description: 'The id of this call.', schema: { type: 'string' } }
const retryAfterHeader = { description: 'Whole seconds, rounded up.', schema: { type: 'integer' } }

const securitySchemes = {
  key: {
    type: 'apiKey',
    in: 'header',
    name: 'X-Sallyport-Key',
    description: "A caller's key. Not needed while no caller is configured; then the gateway serves loopback only.",
  },
  bearer: { type: 'http', scheme: 'bearer', description: 'The same key as Authorization: Bearer.' },
  proxyAuthorization: {
    type: 'apiKey',
    in: 'header',
    name: 'Proxy-Authorization',
    description: 'Bearer, or Basic with the key as password.',
  },
}

function callPaths(): object {
  const descriptorBody = { required: true, content: json('RequestDescriptor', DESCRIPTOR_EXAMPLES) }
  const batchExample = {
    two: {
      summary: 'Two calls side by side',
      value: { requests: [DESCRIPTOR_EXAMPLES.get.value, DESCRIPTOR_EXAMPLES.secret.value], concurrency: 2 },
    },
  }
  const parameters = [{ $ref: '#/components/parameters/RequestId' }, { $ref: '#/components/parameters/Timeout' }]
  return {
    '/v1/requests': {
      post: {
        operationId: 'request',
        tags: ['Calls'],
        summary: 'Make one call',
        description: 'One descriptor in, one envelope out.',
        parameters,
        requestBody: descriptorBody,
        responses: {
          200: answer('An upstream answered, whatever its status.', json('ResponseEnvelope', ENVELOPE_EXAMPLES)),
          ...failures('ResponseEnvelope'),
        },
      },
    },
    '/v1/prepare': {
      post: {
        operationId: 'prepare',
        tags: ['Calls'],
        summary: 'Explain a call without sending it',
        description:
          'The same descriptor, prepared and not sent: the request as it would go out, the policy that would apply, and the refusal that it would have met, with its status.',
        parameters,
        requestBody: descriptorBody,
        responses: { 200: answer('The call would be sent.', json('PrepareAnswer')), ...failures('PrepareAnswer', ['caller']) },
      },
    },
    '/v1/batch': {
      post: {
        operationId: 'batch',
        tags: ['Calls'],
        summary: 'Make many calls',
        description:
          "Each item is admitted and counted alone; its requestId is the batch's plus -{index}. 200 unless the batch itself is malformed. With `Accept: application/x-ndjson` each envelope is written as its call ends.",
        parameters,
        requestBody: { required: true, content: json('Batch', batchExample) },
        responses: {
          200: answer('Every item has its envelope.', {
            ...json('BatchAnswer'),
            'application/x-ndjson': { schema: ref('BatchLine') },
          }),
          ...failures('ResponseEnvelope', ['caller', 'gateway']),
        },
      },
    },
  }
}

function openPaths(): object {
  const get = (operationId: string, summary: string, responses: object, security: object[] = []): object => ({
    get: { operationId, tags: ['Operations'], summary, security, responses },
  })
  const text = (type: string): object => ({ [type]: { schema: { type: 'string' } } })
  const alive = { 'application/json': { schema: { type: 'object', properties: { ok: { const: true } }, required: ['ok'] } } }
  const admin = [{ key: [] }, { bearer: [] }, { proxyAuthorization: [] }, {}]
  return {
    '/healthz': get('health', 'Is the process alive?', { 200: answer('It is.', alive) }),
    '/readyz': get('readiness', 'Can it take calls?', {
      200: answer('It can; `degraded` says what is away.', json('Readiness')),
      503: answer('It is draining, has no configuration yet, or no call is possible at all.', json('Readiness')),
    }),
    '/metrics': get(
      'metrics',
      'Prometheus text. Admin rights, unless metrics.public is set.',
      {
        200: answer('All series.', text('text/plain')),
        401: answer('A key with admin rights is needed.', json('ResponseEnvelope')),
      },
      admin,
    ),
    '/openapi.json': get('openapi', 'This document', {
      200: answer('OpenAPI 3.1.', { 'application/json': { schema: { type: 'object' } } }),
    }),
    '/docs': get('docs', 'This document, to read and try', { 200: answer('A page.', text('text/html')) }),
  }
}

function answer(description: string, content: object, more: object = {}): object {
  return { description, headers: { 'X-Request-Id': { $ref: '#/components/headers/RequestId' }, ...more }, content }
}

/** Not for these entrances' callers: another path, another method, a caller that is gone. */
const UNSEEN: ReadonlySet<number> = new Set([404, 405, 499])
const EXAMPLES: Readonly<Record<number, object>> = { 400: INVALID_EXAMPLE, 503: REFUSED_EXAMPLE }

/** One response a status, listing what each `error.type` means. `blames`: those alone; absent: all. */
function failures(schema: 'ResponseEnvelope' | 'PrepareAnswer', blames?: readonly string[]): object {
  const byStatus = new Map<number, string[]>()
  for (const [type, { status, blame, meaning }] of Object.entries(CATALOGUE)) {
    if (UNSEEN.has(status) || (blames && !blames.includes(blame))) continue
    byStatus.set(status, [...(byStatus.get(status) ?? []), `\`${type}\`: ${meaning}`])
  }
  const responses = [...byStatus]
    .sort(([a], [b]) => a - b)
    .map(([status, lines]) => {
      const example = schema === 'ResponseEnvelope' ? EXAMPLES[status] : undefined
      const retryAfter = status === 429 || status === 503 ? { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } } : {}
      const content = json(schema, example && { example: { value: example } })
      return [String(status), answer(lines.join('\n\n'), content, retryAfter)]
    })
  return Object.fromEntries(responses)
}
