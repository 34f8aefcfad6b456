import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAdministration } from '../../../src/admin/administration.ts'
import type { Operations } from '../../../src/admin/operation.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { AdminAsk } from '../../../src/model/administration.ts'
import type { AuditAct } from '../../../src/model/ports.ts'
import { aMeter } from '../../support/builders.ts'
import { CANARY } from '../../support/canary.ts'

const OPS = { name: 'ops', admin: true, may: [] }

function build(over: Partial<Operations> = {}) {
  const order: string[] = []
  const records: AuditAct[] = []
  const lines: unknown[] = []
  let broken = false
  const unasked = () => assert.fail('this operation was not asked for')
  const operations = new Proxy(over, { get: (given, name) => Reflect.get(given, name) ?? unasked }) as Operations
  const administration = createAdministration({
    audit: {
      async act(record) {
        if (broken) throw new GatewayError('Overloaded', 'cannot be recorded')
        order.push(`record ${record.phase ?? 'refusal'} ${record.error}`)
        records.push(record)
      },
    },
    log: { log: (...line) => void lines.push(line) },
    meter: aMeter(),
    operations,
  })
  const ask = (operation: string, more: Partial<AdminAsk> = {}) =>
    administration.perform({
      ...{ operation, caller: OPS, requestId: 'r1', params: {}, query: '', accept: '', body: Buffer.alloc(0) },
      ...more,
    })
  return { ask, order, records, lines, breakAudit: () => (broken = true) }
}

const LEVEL = { level: 'info', configured: 'info', by: null, until: null } as const
const SET = Buffer.from('{"level":"debug"}')

test('what changes something is recorded before it is done and again before it is answered', async () => {
  const { ask, order, records } = build({
    setLogLevel: () => ({
      detail: { level: 'debug' },
      async carryOut() {
        order.push('done')
        return { answer: LEVEL, detail: { version: 3 } }
      },
    }),
  })
  assert.deepEqual(await ask('setLogLevel', { body: SET }), { json: LEVEL })
  assert.deepEqual(order, ['record begun null', 'done', 'record ended null'])
  assert.equal(records[0]?.id, records[1]?.id)
  assert.deepEqual(records[1]?.detail, { requestId: 'r1', level: 'debug', version: 3 })
  assert.deepEqual([records[0]?.who, records[0]?.act, records[0]?.subject], ['ops', 'log.set', null])
})

test('what cannot be recorded is not done', async () => {
  const { ask, breakAudit } = build({ setLogLevel: () => ({ detail: {}, carryOut: () => assert.fail('it was done') }) })
  breakAudit()
  await assert.rejects(ask('setLogLevel', { body: SET }), { type: 'Overloaded' })
})

test('what could be begun and not finished is recorded with its error', async () => {
  const { ask, order } = build({
    setLogLevel: () => ({ detail: {}, carryOut: () => Promise.reject(new GatewayError('Overloaded', 'the store is away')) }),
  })
  await assert.rejects(ask('setLogLevel', { body: SET }), { message: 'the store is away' })
  assert.deepEqual(order, ['record begun null', 'record ended Overloaded'])
})

test('reading is not recorded, but for a refusal of who has no rights; then nothing is read of what was asked', async () => {
  const { ask, records } = build({ getLogLevel: () => LEVEL })
  await ask('getLogLevel')
  assert.deepEqual(records, [])
  const caller = { name: 'billing', admin: false, may: [] }
  await assert.rejects(ask('getLogLevel', { caller }), { type: 'Forbidden', message: /"billing" has not/ })
  await assert.rejects(ask('setLogLevel', { caller, body: Buffer.from('{') }), { type: 'Forbidden' })
  assert.deepEqual(
    records.map(({ who, act, error }) => [who, act, error]),
    [
      ['billing', 'log.read', 'Forbidden'],
      ['billing', 'log.set', 'Forbidden'],
    ],
  )
})

test('a bug of ours tells nothing of itself, to nobody', async () => {
  const { ask, records, lines } = build({
    setLogLevel: () => {
      throw new TypeError(CANARY)
    },
  })
  await assert.rejects(ask('setLogLevel', { body: SET }), { type: 'InternalError', message: /report it with the requestId/ })
  assert.equal(records[0]?.error, 'InternalError')
  assert.doesNotMatch(JSON.stringify([records, lines]), /cnry/)
})

test('a name that is none is not written down', async () => {
  const { ask, records } = build()
  await assert.rejects(ask('setBreaker', { params: { name: 'a/../b' }, body: Buffer.from('{"state":null}') }), {
    type: 'NotFound',
  })
  assert.deepEqual([records[0]?.act, records[0]?.subject], ['breaker.force', '?'])
})
