import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ADMIN_ENTRANCES } from '../../../src/descriptor/admin-entrances.ts'
import { logLevelBodySchema, overrideBodySchema } from '../../../src/descriptor/admin-schema.ts'
import { buildOpenApi } from '../../../src/descriptor/openapi.ts'
import { readAdminBody } from '../../../src/descriptor/read-admin.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { CANARY_TOKEN } from '../../support/canary.ts'

const read = (text: string) => readAdminBody(overrideBodySchema, Buffer.from(text))

test('units and instants are read as everywhere', () => {
  assert.deepEqual(read('{"state":"open","reason":"x","expiresIn":"10m"}'), { state: 'open', reason: 'x', expiresIn: 600_000 })
  assert.deepEqual(read('{"state":"open","reason":"x","until":"2026-01-01T01:00:00+01:00"}'), {
    ...{ state: 'open', reason: 'x' },
    until: Date.UTC(2026, 0, 1),
  })
})

test('null is as an absent key, but where it has a meaning of its own', () => {
  assert.deepEqual(read('{"state":null,"reason":null,"origin":null}'), { state: null })
  assert.deepEqual(readAdminBody(logLevelBodySchema, Buffer.from('{"level":null}')), { level: null })
})

test('no fault repeats a value', () => {
  const token = JSON.stringify(CANARY_TOKEN)
  for (const text of [
    `{"state":${token},"reason":[${token}],"origin":${token},"expiresIn":${token},"until":${token}}`,
    `{"state":"open","reason":{"a":${token}}}`,
    `${token}`,
  ])
    assert.throws(
      () => read(text),
      (error) => error instanceof GatewayError && !JSON.stringify([error.message, error.detail]).includes(CANARY_TOKEN),
    )
})

test('`__proto__` is an unknown key like any other', () => {
  assert.throws(() => read('{"state":null,"__proto__":{"reason":"x"}}'), /unknown key "__proto__"/)
})

test('every entrance has an operation of its own in the document', () => {
  const { paths } = buildOpenApi('1') as { paths: Record<string, Record<string, { operationId: string }>> }
  for (const [operation, { method, path }] of Object.entries(ADMIN_ENTRANCES))
    assert.equal(paths[path]?.[method.toLowerCase()]?.operationId, operation)
})
