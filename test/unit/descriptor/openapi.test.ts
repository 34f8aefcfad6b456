import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { envelopeSchema } from '../../../src/descriptor/envelope-schema.ts'
import { buildOpenApi } from '../../../src/descriptor/openapi.ts'
import {
  DESCRIPTOR_EXAMPLES,
  ENVELOPE_EXAMPLES,
  INVALID_EXAMPLE,
  REFUSED_EXAMPLE,
} from '../../../src/descriptor/openapi-examples.ts'
import { parseDescriptor } from '../../../src/descriptor/parse-descriptor.ts'
import { CATALOGUE } from '../../../src/errors/catalogue.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'

interface Document {
  readonly info: { readonly version: string }
  readonly paths: Record<string, Record<string, { readonly operationId: string; readonly responses: Record<string, unknown> }>>
  readonly components: { readonly schemas: Record<string, Schema>; readonly headers: object; readonly parameters: object }
}
interface Schema {
  readonly description?: string
  readonly properties?: Record<string, Schema>
  readonly enum?: readonly string[]
  readonly $ref?: string
}

const document = buildOpenApi('1.2.3') as Document
const { schemas } = document.components

/** Every object in the document, with its path. */
function* walk(value: unknown, path = '#'): Generator<[path: string, value: Record<string, unknown>]> {
  if (typeof value !== 'object' || value === null) return
  yield [path, value as Record<string, unknown>]
  for (const [key, member] of Object.entries(value)) yield* walk(member, `${path}/${key}`)
}

test('it names the version that it is asked for', () => assert.equal(document.info.version, '1.2.3'))

test('every entrance has an operation of its own name', () => {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  )
  const own = operations.filter((operation) => !operation.includes(' /v1/admin/')) // they have a table of their own
  assert.deepEqual(own.toSorted(), [
    'get /docs',
    'get /healthz',
    'get /metrics',
    'get /openapi.json',
    'get /readyz',
    'post /v1/batch',
    'post /v1/prepare',
    'post /v1/requests',
  ])
  const ids = Object.values(document.paths).flatMap((methods) => Object.values(methods).map(({ operationId }) => operationId))
  assert.equal(new Set(ids).size, ids.length)
})

test('every reference leads somewhere', () => {
  for (const [path, { $ref }] of walk(document)) {
    if (typeof $ref !== 'string') continue
    const target = $ref
      .split('/')
      .slice(1)
      .reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], document)
    assert.ok(target, `${path} → ${$ref}`)
  }
})

test('every key that a caller may write is described', () => {
  for (const name of ['RequestDescriptor', 'FilePart', 'Retry', 'TimeoutParts', 'Batch']) {
    for (const [key, schema] of Object.entries(schemas[name]?.properties ?? {})) assert.ok(schema.description, `${name}.${key}`)
  }
})

test('the error types are those of the catalogue, and every status that a caller can meet is there', () => {
  assert.deepEqual(schemas.ErrorType?.enum, Object.keys(CATALOGUE))
  const statuses = new Set(Object.values(CATALOGUE).map(({ status }) => String(status)))
  for (const unseen of ['404', '405', '499']) statuses.delete(unseen)
  assert.deepEqual(Object.keys(document.paths['/v1/requests']?.post?.responses ?? {}).toSorted(), [...statuses, '200'].toSorted())
})

test('it is plain JSON without leftovers of its making', () => {
  assert.deepEqual(JSON.parse(JSON.stringify(document)), document)
  for (const [path, value] of walk(document))
    for (const key of ['$schema', '$id', '~standard']) assert.ok(!(key in value), `${path}/${key}`)
  assert.deepEqual(buildOpenApi('1.2.3'), document)
})

describe('the examples are true', () => {
  for (const [name, { value }] of Object.entries(DESCRIPTOR_EXAMPLES)) {
    test(`the descriptor "${name}" is taken`, () =>
      assert.equal(parseDescriptor(Buffer.from(JSON.stringify(value))).url, value.url))
  }
  for (const example of [ENVELOPE_EXAMPLES.answered.value, INVALID_EXAMPLE, REFUSED_EXAMPLE]) {
    test(`the envelope with error ${example.error?.type ?? null} fits its schema`, () => {
      assert.deepEqual(envelopeSchema.safeParse(example).error?.issues, undefined)
    })
  }
  test('the refusal of a descriptor reads as the parser writes it', () => {
    const { message, detail } = INVALID_EXAMPLE.error
    assert.throws(
      () => parseDescriptor(Buffer.from('{"url":"https://x/","tiemout":5}')),
      (error) => {
        assert.ok(error instanceof GatewayError)
        assert.equal(error.message, message)
        assert.deepEqual(error.detail, detail)
        return true
      },
    )
  })
})

describe('an envelope that does not fit', () => {
  const good = ENVELOPE_EXAMPLES.answered.value
  const cases: Record<string, unknown> = {
    'a key too many': { ...good, extra: 1 },
    'a key too few': { ...good, warnings: undefined },
    'two bodies': { ...good, text: '' },
    'ok beside an error': { ...good, error: REFUSED_EXAMPLE.error },
    'an unknown error type': { ...REFUSED_EXAMPLE, error: { ...REFUSED_EXAMPLE.error, type: 'Oops' } },
  }
  for (const [name, envelope] of Object.entries(cases)) {
    test(name, () => assert.equal(envelopeSchema.safeParse(envelope).success, false))
  }
})
