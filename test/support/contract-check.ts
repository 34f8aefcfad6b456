// Holds every answer of a gateway under test against the published shapes (the code's own schema and openapi.json) and against
// what the contract says of all answers alike. A test that uses the harness is a test of these too.
import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { z } from 'zod'
import { batchAnswerSchema, batchLineSchema, envelopeSchema, prepareAnswerSchema } from '../../src/descriptor/envelope-schema.ts'
import { buildOpenApi } from '../../src/descriptor/openapi.ts'
import { CATALOGUE, type ErrorType } from '../../src/errors/catalogue.ts'
import { VERSION } from '../../src/model/version.ts'

export interface Answered {
  readonly path: string
  readonly method: string
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** contract: "An instant is RFC 3339 with milliseconds, UTC." */
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const ajv = new Ajv2020({ strict: false, allErrors: true, formats: { 'date-time': INSTANT } })
const OPENAPI = buildOpenApi(VERSION)
ajv.addSchema(OPENAPI, 'openapi')
const PATHS = Object.keys((OPENAPI as { paths: object }).paths)

const SHAPES = {
  ResponseEnvelope: envelopeSchema,
  PrepareAnswer: prepareAnswerSchema,
  BatchAnswer: batchAnswerSchema,
  BatchLine: batchLineSchema,
} as const satisfies Record<string, z.ZodType>

function checkShape(name: keyof typeof SHAPES, value: unknown): void {
  const parsed = SHAPES[name].safeParse(value)
  assert.ok(parsed.success, `no ${name}: ${parsed.error?.message}`)
  const validate = ajv.getSchema(`openapi#/components/schemas/${name}`)
  assert.ok(validate, `openapi.json has no ${name}`)
  assert.ok(validate(value), `openapi.json says it is no ${name}: ${ajv.errorsText(validate.errors)}`)
}

/** Throws where the answer is at odds with the contract. `body`: what its JSON text holds. */
export function checkAnswer(answered: Answered, body: unknown): void {
  const { path, status, headers } = answered
  assert.match(headers['x-request-id'] as string, /^[A-Za-z0-9._:-]{1,140}$/, `X-Request-Id of the answer from ${path}`)
  const entrance = path.replace(/\?.*/s, '')
  if (entrance.startsWith('/v1/admin/')) checkAdmin(answered, body)
  else if (entrance === '/v1/batch' && status === 200) checkBatch(answered, body)
  else if (entrance === '/v1/prepare') checkPrepared(answered, body)
  else if (entrance === '/v1/requests' || (status >= 400 && entrance !== '/readyz')) checkWhole(answered, body)
}

function checkAdmin({ path, method, status, headers, text }: Answered, body: unknown): void {
  if (status === 200 && headers['content-type'] !== 'application/json') {
    if (headers['content-type'] === 'application/x-ndjson') checkLines(text)
    assert.equal(headers['cache-control'], 'no-store', 'Cache-Control')
    return
  }
  const own = adminPath(path.replace(/\?.*/s, ''))
  const at = `openapi#/paths/${own.replaceAll('/', '~1')}/${(method === 'HEAD' ? 'GET' : method).toLowerCase()}`
  const answer = ajv.getSchema(`${at}/responses/${status}/content/application~1json/schema`)
  // A path or a method that there is none of is refused as any.
  const validate = answer ?? (status >= 400 ? ajv.getSchema('openapi#/components/schemas/AdminError') : undefined)
  assert.ok(validate, `openapi.json has no ${status} of ${method} ${own}`)
  assert.ok(validate(body), `openapi.json says it is no answer of ${method} ${own}: ${ajv.errorsText(validate.errors)}`)
  if (status < 400) {
    assert.equal(headers['cache-control'], 'no-store', 'Cache-Control')
    return
  }
  const { error, requestId } = body as { error: Failure; requestId: string }
  assert.equal(requestId, headers['x-request-id'], 'requestId is X-Request-Id')
  checkStatus(status, headers, error)
}

function checkLines(text: string): void {
  const validate = ajv.getSchema('openapi#/components/schemas/AuditRecord')
  for (const line of text.split('\n').slice(0, -1))
    assert.ok(validate?.(JSON.parse(line)), `openapi.json says it is no AuditRecord: ${ajv.errorsText(validate?.errors)}`)
}

/** The path in the document that `path` is one of. */
function adminPath(path: string): string {
  const steps = path.split('/')
  const found = PATHS.filter((known) => {
    const wanted = known.split('/')
    return wanted.length === steps.length && wanted.every((step, at) => step.startsWith('{') || step === steps[at])
  })
  // A name in braces takes any step: where a path stands by itself too, that is the one.
  return found.sort((a, b) => a.split('{').length - b.split('{').length)[0] ?? path
}

function checkPrepared({ status, headers }: Answered, body: unknown): void {
  checkShape('PrepareAnswer', body)
  checkStatus(status, headers, (body as { error: Failure | null }).error)
}

function checkWhole({ status, headers }: Answered, body: unknown): void {
  checkEnvelope(body)
  const { requestId, error } = body as Whole
  assert.equal(requestId, headers['x-request-id'], 'requestId is X-Request-Id')
  checkStatus(status, headers, error)
}

function checkBatch({ text, headers }: Answered, body: unknown): void {
  const batchId = headers['x-request-id']
  const lines =
    headers['content-type'] === 'application/x-ndjson'
      ? text
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line) as { index: number; response: Whole })
      : null
  if (lines) for (const line of lines) checkShape('BatchLine', line)
  else checkShape('BatchAnswer', body)
  const items = lines ?? (body as { responses: Whole[] }).responses.map((response, index) => ({ index, response }))
  for (const { index, response } of items) {
    checkEnvelope(response)
    assert.equal(response.requestId, `${batchId}-${index}`)
  }
}

interface Failure {
  readonly type: ErrorType
  readonly message: string
  readonly sent: keyof typeof ORDER
  readonly retryable: boolean
  readonly retryAfter?: number
  readonly detail?: unknown
}

interface Whole {
  readonly ok: boolean
  readonly status: number | null
  readonly reason: string | null
  readonly bytes: number
  readonly encoding: string | null
  readonly requestId: string
  readonly url: string | null
  readonly attempts: readonly { readonly sent: keyof typeof ORDER; readonly url: string }[]
  readonly error: Failure | null
}

const ORDER = { no: 0, maybe: 1, yes: 2 } as const

function checkEnvelope(value: unknown): void {
  checkShape('ResponseEnvelope', value)
  const envelope = value as Whole
  const { ok, status, error, attempts, bytes } = envelope
  assert.equal(ok, error === null && status !== null && status < 400, 'ok')
  assert.equal(status === null, envelope.reason === null, 'status and reason come together')
  const bodies = ['json', 'text', 'base64'].filter((key) => key in envelope)
  if (bytes === 0) assert.deepEqual(bodies, [], 'no body without bytes')
  if (bodies.length === 0 || bodies[0] === 'base64') assert.equal(envelope.encoding, null, 'encoding is null without text')
  else assert.notEqual(envelope.encoding, null, 'text and json have an encoding')
  if (error !== null) {
    const most = attempts.reduce((max, { sent }) => Math.max(max, ORDER[sent]), 0)
    assert.ok(ORDER[error.sent] >= most, 'error.sent is the greatest of all attempts')
  }
  for (const { url } of attempts)
    assert.doesNotMatch(url, /[?#]|^https?:\/\/[^/]*@/, 'the URL of an attempt has neither query nor userinfo')
}

/** Types that blame the caller, and come with 502 where it was the upstream's doing. */
const EITHER: ReadonlySet<string> = new Set(['InvalidURL', 'InvalidSchema', 'MissingSchema', 'InvalidHeader', 'InvalidJSONError'])

function checkStatus(status: number, headers: IncomingHttpHeaders, error: Failure | null): void {
  if (error === null) {
    assert.equal(status, 200, 'without an error the status is 200')
    return
  }
  const expected: number[] = [CATALOGUE[error.type].status]
  if (EITHER.has(error.type)) expected.push(502)
  if (error.type === 'RequestTooLarge') expected.push(431)
  assert.ok(expected.includes(status), `${error.type} came with status ${status}`)
  if (status === 400) checkFaults(error)
  const saysWhen = status === 429 || status === 503
  assert.equal(headers['retry-after'], saysWhen ? String(Math.ceil((error.retryAfter ?? 0) / 1000)) : undefined, 'Retry-After')
  if (saysWhen) assert.equal(typeof error.retryAfter, 'number', 'retryAfter')
}

/** contract: "`detail` is `[{pointer, message}]`, every fault". */
function checkFaults({ detail, type }: Failure): void {
  assert.ok(Array.isArray(detail) && detail.length > 0, `${type} says every fault in detail`)
  for (const fault of detail) {
    // Of a configuration each fault says its place besides.
    assert.deepEqual(Object.keys(fault).slice(0, 2), ['pointer', 'message'])
    assert.ok(Object.keys(fault).length === 2 || 'line' in fault)
    assert.match(fault.pointer, /^(?:\/.*)?$/s)
  }
}
