import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AuditSettings, openAudit } from '../../../src/audit/audit.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { aTrailFolder, TRAIL_KEYS } from '../../support/trails.ts'

const SETTINGS: AuditSettings = {
  ...{ durability: 'process', fileBytes: 1e6, compressAfterMs: null, retentionMs: null, checkpoint: null, sinks: [] },
  stream: { refuseAfterMs: 60_000 },
}

test('where it is asked for, calls are refused while the stream is too far behind, and only then', async (t) => {
  const { dataDir } = aTrailFolder(t)
  const clock = createFakeClock()
  let room = false
  const audit = openAudit(SETTINGS, {
    ...{ dataDir, keys: TRAIL_KEYS, clock, random: () => 1, log: { log: () => {} } },
    meter: { auditFailed: () => {}, auditShipped: () => {} },
    ...{ stdout: process.stdout, post: () => Promise.reject(new Error('no posts here')) },
    stream: { send: async () => room },
  })
  t.after(() => audit.close())
  const intent = () => audit.intent({ id: 'r', caller: 'c', method: 'GET', url: null, adapter: null, credential: null, tags: {} })
  /** The files are read beside the clock. */
  const turn = async (ms: number, done: () => boolean) => {
    await clock.advance(ms)
    for (let i = 0; i < 5000 && !done(); i++) await new Promise((resolve) => setTimeout(resolve, 2))
    assert.ok(done())
  }
  assert.equal(await intent(), 1)
  await turn(500, () => (audit.lags()[0]?.lagSeconds ?? 0) > 0)
  await clock.advance(59_000)
  assert.equal(await intent(), 2)
  assert.equal(audit.writable(), true)
  await clock.advance(2000)
  assert.equal(audit.writable(), false)
  await assert.rejects(intent(), { type: 'Overloaded', message: /more than 60000 ms behind \(audit\.stream\.refuseAfter\)/ })
  room = true
  for (let i = 0; i < 1000 && !audit.writable(); i++) {
    await clock.advance(60_000)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  assert.equal(await intent(), 3)
})
