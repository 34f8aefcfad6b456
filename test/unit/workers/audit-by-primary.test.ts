import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { createAuditKeys } from '../../../src/audit/audit-keys.ts'
import { createAuditLog } from '../../../src/audit/audit-log.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { AuditIntent, AuditResult } from '../../../src/model/ports.ts'
import { auditByPrimary } from '../../../src/workers/audit-by-primary.ts'
import { openRecordPipe, takeRecords } from '../../../src/workers/record-pipe.ts'
import { makeFolder } from '../../support/wire.ts'

const intent = (id: string): AuditIntent => ({
  ...{ id, caller: 'bïlling', method: 'GET', url: 'https://h/?k=v', adapter: 'a', credential: null, tags: { line: 'one\ntwo' } },
})
const result = (id: string, number: number | null): AuditResult => ({
  ...{ id, intent: number, caller: 'billing', url: null, adapter: 'a', status: 200, error: null, sent: 'yes', credential: null },
  ...{ attempts: [], durationMs: 1, bytesOut: 0, bytesIn: 0 },
})

/** A stream whose other end is another one, as a pipe between processes has them. Counts what is sent. */
function twoEnds() {
  let sent = 0
  const end = (other: () => Duplex): Duplex =>
    new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        sent++
        // In two pieces, as a kernel may give them.
        setImmediate(() => {
          other().push(chunk.subarray(0, chunk.length >> 1))
          other().push(chunk.subarray(chunk.length >> 1))
          done()
        })
      },
    })
  const worker: Duplex = end(() => primary)
  const primary: Duplex = end(() => worker)
  return { worker, primary, sent: () => sent }
}

type Formed = (kind: 'intents' | 'ends', texts: readonly string[]) => Promise<number | null>

/** A worker's audit trail, over a pipe to what `formed` makes of its records. `ask`: its other questions. */
function aWorker(formed: Formed, { waits = true, ask = () => Promise.reject(new Error('not asked')) } = {}) {
  const ends = twoEnds()
  takeRecords(ends.primary, { formed })
  const audit = auditByPrimary({ primary: { ask } as never, pipe: openRecordPipe(ends.worker) }, { waits })
  return { audit, ends }
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

test('a record stands in the trail, as the primary itself would write it, before its promise resolves', async (t) => {
  const { trail, lines } = aTrail(t)
  const { audit } = aWorker((_, texts) => trail.formed(texts))
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
  const asked: [string, number][] = []
  const { audit, ends } = aWorker(async (kind, texts) => asked.push([kind, texts.length]))
  await Promise.all([audit.intent(intent('r-1')), audit.result(result('r-0', null)), audit.intent(intent('r-2'))])
  assert.deepEqual(asked, [
    ['ends', 1],
    ['intents', 2],
  ])
  assert.equal(ends.sent(), 2)
})

test('what comes while a message is under way is the next one, once that is answered', async () => {
  const written = Promise.withResolvers<number>()
  const asked: number[] = []
  const { audit } = aWorker((_, texts) => {
    asked.push(texts.length)
    return asked.length === 1 ? written.promise : Promise.resolve(2)
  })
  const first = audit.intent(intent('r-1'))
  while (asked.length === 0) await turn()
  const later = [audit.intent(intent('r-2'))]
  await turn()
  later.push(audit.intent(intent('r-3')))
  for (let turns = 0; turns < 10; turns++) await turn()
  assert.deepEqual(asked, [1])
  written.resolve(1)
  assert.equal(await first, 1)
  assert.deepEqual(await Promise.all(later), [2, 3])
  assert.deepEqual(asked, [1, 2])
})

test('calls are refused while what they begin cannot be recorded, though what ended still can', async () => {
  const refused = new GatewayError('Overloaded', 'the disk is full', { rule: 'audit', retryAfter: 5000 })
  let full = true
  const { audit } = aWorker((kind) => (kind === 'intents' && full ? Promise.reject(refused) : Promise.resolve(1)))
  const [begun, ended] = await Promise.allSettled([audit.intent(intent('r-1')), audit.result(result('r-0', null))])
  assert.equal(ended.status, 'fulfilled')
  assert.ok(begun.status === 'rejected' && begun.reason instanceof GatewayError)
  const { type, rule, retryAfter, message } = begun.reason
  assert.deepEqual([type, rule, retryAfter, message], ['Overloaded', 'audit', 5000, 'the disk is full'])
  assert.equal(audit.writable(), false)
  full = false
  assert.equal(await audit.intent(intent('r-2')), 1)
  assert.equal(audit.writable(), true)
})

test('where the primary is gone, who waits for it and who comes later is refused', async () => {
  const { audit, ends } = aWorker(() => new Promise(() => {}))
  const waiting = audit.intent(intent('r-1'))
  await turn()
  await turn()
  ends.worker.destroy()
  for (const call of [waiting, audit.intent(intent('r-2'))])
    await assert.rejects(call, (error) => error instanceof GatewayError && error.type === 'Overloaded')
})

test('best-effort: nobody waits for the primary, and closing sends what is left', async () => {
  const asked: number[] = []
  const { audit } = aWorker(async (_, texts) => asked.push(texts.length), { waits: false })
  assert.equal(await audit.intent(intent('r-1')), null)
  assert.equal(asked.length, 0)
  await audit.close()
  assert.deepEqual(asked, [1])
  assert.equal(await audit.intent(intent('r-2')), null)
})
