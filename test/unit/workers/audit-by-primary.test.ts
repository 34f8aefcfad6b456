import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createAuditKeys } from '../../../src/audit/audit-keys.ts'
import { createAuditLog } from '../../../src/audit/audit-log.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { AuditIntent, AuditResult } from '../../../src/model/ports.ts'
import { type AuditAnswers, type AuditBatch, answerAudit, auditByPrimary } from '../../../src/workers/audit-by-primary.ts'
import { type Channel, createPeer } from '../../../src/workers/peer.ts'
import { makeFolder } from '../../support/wire.ts'

const intent = (id: string): AuditIntent => ({
  ...{ id, caller: 'bïlling', method: 'GET', url: 'https://h/?k=v', adapter: 'a', credential: null, tags: { line: 'one\ntwo' } },
})
const result = (id: string, number: number | null): AuditResult => ({
  ...{ id, intent: number, caller: 'billing', url: null, adapter: 'a', status: 200, error: null, sent: 'yes', credential: null },
  ...{ attempts: [], durationMs: 1, bytesOut: 0, bytesIn: 0 },
})

/** A worker's end and a primary's, each message cloned as the channel of processes does. */
function twoEnds() {
  const sides = [new EventEmitter(), new EventEmitter()] as const
  let sent = 0
  const channel = (mine: EventEmitter, other: EventEmitter): Channel => ({
    send: (message) => {
      sent++
      const cloned = structuredClone(message)
      setImmediate(() => other.emit('message', cloned))
    },
    on: (event, listener) => mine.on(event, listener),
  })
  return { worker: channel(sides[0], sides[1]), primary: channel(sides[1], sides[0]), sent: () => sent }
}

function aTrail(t: TestContext) {
  const folder = makeFolder({})
  const quiet = { meter: { auditFailed: () => {} }, log: { log: () => {} }, clock: { date: () => 0 } }
  const keys = createAuditKeys([{ id: 'k', key: Buffer.alloc(32, 1) }])
  const trail = createAuditLog({ dataDir: folder.path('data'), ...quiet, durability: 'process', keys })
  t.after(async () => {
    await trail.close()
    folder.remove()
  })
  const lines = () =>
    readFileSync(join(folder.path('data'), 'audit', '1970-01-01.jsonl'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{"seq"'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  return { trail, lines }
}

const search = { search: () => Promise.reject(new Error('not asked')), close: () => Promise.resolve() }

test('a record stands in the trail, as the primary itself would write it, before its promise resolves', async (t) => {
  const { trail, lines } = aTrail(t)
  const ends = twoEnds()
  createPeer(ends.primary, answerAudit({ ...trail, search: search as never, formed: (_, texts) => trail.formed(texts) }))
  const audit = auditByPrimary(createPeer<AuditAnswers>(ends.worker, {}), { waits: true })
  const numbers = await Promise.all(['r-1', 'r-2', 'r-3'].map((id) => audit.intent(intent(id))))
  assert.deepEqual(numbers, [1, 2, 3])
  await trail.intent(intent('r-1'))
  const [first, , , own] = lines()
  assert.deepEqual({ ...first, seq: 4 }, own)
  await audit.result(result('r-1', 1))
  assert.deepEqual(
    lines().map(({ seq, kind, id }) => [seq, kind, id]),
    [...numbers.map((n) => [n, 'intent', `r-${n}`]), [4, 'intent', 'r-1'], [5, 'result', 'r-1']],
  )
})

test('what begins and what ends in one turn of the loop is one message there and one back', async () => {
  const ends = twoEnds()
  const asked: AuditBatch[] = []
  createPeer(ends.primary, { audit: async (batch: AuditBatch) => asked.push(batch) })
  const audit = auditByPrimary(createPeer<AuditAnswers>(ends.worker, {}), { waits: true })
  await Promise.all([audit.intent(intent('r-1')), audit.result(result('r-0', null)), audit.intent(intent('r-2'))])
  assert.deepEqual(
    asked.map(({ kind, records }) => [kind, records.split('\n').length]),
    [
      ['ends', 1],
      ['intents', 2],
    ],
  )
  assert.equal(ends.sent(), 2)
})

test('calls are refused while what they begin cannot be recorded, though what ended still can', async () => {
  const ends = twoEnds()
  const refused = new GatewayError('Overloaded', 'the disk is full', { rule: 'audit', retryAfter: 5000 })
  let full = true
  createPeer(ends.primary, {
    audit: async ({ kind }: AuditBatch) => (kind === 'intents' && full ? Promise.reject(refused) : 1),
    auditWritable: () => !full,
  })
  const audit = auditByPrimary(createPeer<AuditAnswers>(ends.worker, {}), { waits: true })
  const [begun, ended] = await Promise.allSettled([audit.intent(intent('r-1')), audit.result(result('r-0', null))])
  assert.equal(ended.status, 'fulfilled')
  assert.ok(begun.status === 'rejected' && begun.reason instanceof GatewayError && begun.reason.rule === 'audit')
  full = false
  assert.equal(await audit.intent(intent('r-2')), 1)
})

test('best-effort: nobody waits for the primary, and closing sends what is left', async () => {
  const ends = twoEnds()
  const asked: AuditBatch[] = []
  createPeer(ends.primary, { audit: async (batch: AuditBatch) => asked.push(batch) })
  const audit = auditByPrimary(createPeer<AuditAnswers>(ends.worker, {}), { waits: false })
  assert.equal(await audit.intent(intent('r-1')), null)
  assert.equal(asked.length, 0)
  await audit.close()
  assert.equal(asked.length, 1)
  assert.equal(await audit.intent(intent('r-2')), null)
})
