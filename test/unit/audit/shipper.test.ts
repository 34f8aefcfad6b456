import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { compressOld } from '../../../src/audit/compress.ts'
import { openCursor } from '../../../src/audit/ship-cursor.ts'
import { shipTrail } from '../../../src/audit/ship-trail.ts'
import { SinkError, startShipper } from '../../../src/audit/shipper.ts'
import { createHttpSink, createOtlpSink, createStreamSink } from '../../../src/audit/sinks.ts'
import type { AuditSink, Post, ShippedRecord } from '../../../src/model/audit-sink.ts'
import { createFakeClock, settle } from '../../support/fake-clock.ts'
import { aTrailFolder, TRAIL_START } from '../../support/trails.ts'

const DAY = 86_400_000
const QUIET = { stopped: () => false, waiting: () => {}, sent: () => {} }

/** Files are read beside the clock. */
async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 2))
  assert.ok(condition())
}

function aShipper(t: TestContext, batch = 100) {
  const trail = aTrailFolder(t)
  const clock = createFakeClock(TRAIL_START)
  const chain = trail.open({ clock })
  const taken: ShippedRecord[][] = []
  const answer = async (): Promise<boolean> => true
  const script = { answer }
  const sink: AuditSink = {
    async send(records) {
      const taking = await script.answer()
      if (taking) taken.push([...records])
      return taking
    },
    tooMany: (error) => error instanceof SinkError && error.status === 413,
  }
  const said: string[] = []
  const log = { log: (_level: string, event: string, fields = {}) => void said.push(`${event} ${JSON.stringify(fields)}`) }
  const counts = { shipped: 0, refused: 0, failed: 0 }
  const meter = {
    auditShipped: (_sink: string, outcome: keyof typeof counts, count: number) => {
      counts[outcome] += count
    },
  }
  const cursorFile = join(trail.dataDir, 'audit-ship', 'siem.json')
  const start = () =>
    startShipper({ name: 'siem', folder: trail.folder, cursorFile, batch, end: chain.end }, sink, {
      clock,
      random: () => 1,
      log,
      meter,
    })
  const note = (count = 1) => void chain.append(Array.from({ length: count }, () => ({ kind: 'note' as const, note: 'n' })))
  const seqs = () => taken.flat().map(({ seq }) => seq)
  return {
    ...trail,
    clock,
    chain,
    taken,
    start,
    said,
    counts,
    note,
    seqs,
    cursorFile,
    answers: (next: typeof answer) => void Object.assign(script, { answer: next }),
  }
}

test('what is recorded is sent, in order and in batches, and after a restart from where it stopped', async (t) => {
  const { start, clock, note, taken, seqs, counts } = aShipper(t, 2)
  note(5)
  const first = start()
  await clock.advance(500)
  await until(() => counts.shipped === 5)
  assert.deepEqual(
    taken.map((batch) => batch.length),
    [2, 2, 1],
  )
  await until(() => first.sample().lagSeconds === 0)
  assert.deepEqual(first.sample(), { sink: 'siem', lagSeconds: 0, lagRecords: 0 })
  await first.close()
  note(2)
  const second = start()
  await clock.advance(500)
  await until(() => counts.shipped === 7)
  await second.close()
  assert.deepEqual(seqs(), [1, 2, 3, 4, 5, 6, 7])
})

test('a sink that fails is tried again, ever later; meanwhile it lags and files that it needs are kept', async (t) => {
  const { start, clock, note, seqs, said, counts, answers } = aShipper(t)
  answers(() => Promise.reject(Object.assign(new Error('canary'), { code: 'ECONNREFUSED' })))
  note(3)
  const shipper = start()
  const tries: number[] = []
  for (let second = 1; second <= 31; second++) {
    await clock.advance(500)
    await until(() => true)
    await settle()
    await new Promise((resolve) => setTimeout(resolve, 5))
    tries.push(counts.failed)
  }
  assert.ok((tries.at(-1) ?? 0) >= 4 && (tries.at(-1) ?? 0) <= 6, `tried ${tries.at(-1)} times in 15 s`)
  assert.deepEqual(said, ['audit sink takes no records, which wait in the files {"name":"siem","because":"ECONNREFUSED"}'])
  const { lagSeconds, lagRecords } = shipper.sample()
  assert.deepEqual([lagSeconds > 14, lagRecords], [true, 3])
  assert.equal(
    shipper.needs({ name: '2026-01-01.jsonl', writer: 'gateway', day: '2026-01-01', part: 1, compressed: false }),
    true,
  )
  answers(async () => true)
  await clock.advance(60_000)
  await until(() => seqs().length === 3)
  assert.match(said[1] ?? '', /takes records again/)
  await shipper.close()
})

test('a sink without room is no loss: the same records come when there is some', async (t) => {
  const { start, clock, note, seqs, counts, answers } = aShipper(t, 2)
  let room = 4
  answers(async () => {
    room -= 2
    return room >= 0
  })
  note(6)
  const shipper = start()
  await clock.advance(500)
  await until(() => counts.refused === 1)
  assert.deepEqual(seqs(), [1, 2, 3, 4])
  room = 100
  await clock.advance(1000)
  await until(() => seqs().length === 6)
  await shipper.close()
  assert.deepEqual(seqs(), [1, 2, 3, 4, 5, 6])
})

test('a batch too large for a collector is sent in smaller ones', async (t) => {
  const { start, clock, note, taken, counts, answers, seqs } = aShipper(t, 8)
  let refusals = 1
  answers(() => (refusals-- > 0 ? Promise.reject(new SinkError('it answered 413', 413)) : Promise.resolve(true)))
  note(8)
  const shipper = start()
  await clock.advance(500)
  await until(() => counts.failed === 1)
  await clock.advance(1000)
  await until(() => seqs().length === 8)
  assert.equal(taken[0]?.length, 2)
  await shipper.close()
})

test('what is recorded last is sent at the end, and a sink that hangs does not hold it up', async (t) => {
  const { start, clock, note, seqs, answers } = aShipper(t)
  const shipper = start()
  note(2)
  await shipper.close()
  assert.deepEqual(seqs(), [1, 2])
  const hanging = start()
  answers(() => new Promise(() => {}))
  note(1)
  let closed = false
  const closing = hanging.close().then(() => {
    closed = true
  })
  await settle()
  assert.equal(closed, false)
  await clock.advance(3000)
  await closing
})

test('a cursor that is none is named', (t) => {
  const { dataDir } = aTrailFolder(t)
  writeFileSync(join(dataDir, 'cursor'), 'nonsense')
  assert.throws(() => openCursor(join(dataDir, 'cursor')), /is not a cursor of the audit trail; remove it/)
})

test('every record is sent at least once, in order, however often sending fails, stops and starts again, and whatever is compressed', async () => {
  const step = fc.oneof(
    fc.record({ write: fc.integer({ min: 1, max: 5 }) }),
    fc.constant('day' as const),
    fc.constant('compress' as const),
    fc.record({ ship: fc.integer({ min: 1, max: 4 }), failAfter: fc.integer({ min: 0, max: 3 }), forgets: fc.boolean() }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const { folder, dataDir, open, time } = aTrailFolder(null)
      const chain = open()
      const cursorFile = join(dataDir, 'cursor.json')
      const got: number[] = []
      const ship = async (batch: number, failAfter: number): Promise<void> => {
        let left = failAfter
        const sink: AuditSink = {
          async send(records) {
            if (left-- === 0) throw new Error('away')
            got.push(...records.map(({ seq }) => seq))
            return true
          },
        }
        await shipTrail({ folder, cursor: openCursor(cursorFile), sink, batch, ...QUIET }).catch(() => {})
      }
      for (const each of steps) {
        if (each === 'day') time.now += DAY
        else if (each === 'compress') await compressOld(folder, { now: time.now + 9 * DAY, afterMs: 0 })
        else if ('write' in each) chain.append(Array.from({ length: each.write }, () => ({ kind: 'note', note: 'n' })))
        else {
          const before = each.forgets && got.length > 0 ? readFileSync(cursorFile, 'utf8') : null
          await ship(each.ship, each.failAfter)
          // Killed before it noted how far it came.
          if (before !== null) writeFileSync(cursorFile, before)
        }
      }
      await ship(3, -1)
      const total = chain.end()?.seq ?? 0
      assert.deepEqual(
        [...new Set(got)].sort((a, b) => a - b),
        Array.from({ length: total }, (_, i) => i + 1),
      )
      for (const [index, seq] of got.entries()) assert.ok(seq <= (got[index - 1] ?? 0) + 1, 'never ahead')
      chain.close()
    }),
    { numRuns: 60 },
  )
})

const RECORD: ShippedRecord = {
  chain: 'c1',
  seq: 7,
  at: TRAIL_START,
  line: `{"seq":7,"at":"x","kind":"result","error":"ReadTimeout","durationMs":1.5,"ok":true,"attempts":[]}`,
}

test('lines say what they are and whose', async () => {
  const written: string[] = []
  const sink = createStreamSink({
    write(text: unknown, done: unknown) {
      written.push(String(text))
      const tell = done as () => void
      tell()
      return true
    },
  })
  assert.equal(await sink.send([RECORD]), true)
  assert.equal(written.join(''), `{"event":"audit","chain":"c1",${RECORD.line.slice(1)}\n`)
})

test('an OpenTelemetry log has the record as its body and its plain fields as attributes', async () => {
  const posted: Parameters<Post>[0][] = []
  const post: Post = async (request) => {
    posted.push(request)
    return { status: 200, text: '{}' }
  }
  await createOtlpSink({ url: 'http://collector/v1/logs', headers: { a: 'b' }, ca: null }, post).send([RECORD])
  const [{ body = '{}', headers } = {}] = posted
  assert.deepEqual(headers, { a: 'b', 'content-type': 'application/json' })
  const { resourceLogs } = JSON.parse(body)
  const [{ resource, scopeLogs }] = resourceLogs
  assert.ok(
    resource.attributes.some(
      ({ key, value }: { key: string; value: object }) =>
        key === 'service.instance.id' && JSON.stringify(value) === '{"stringValue":"c1"}',
    ),
  )
  assert.deepEqual(scopeLogs[0].logRecords, [
    {
      ...{
        timeUnixNano: `${TRAIL_START}000000`,
        observedTimeUnixNano: `${TRAIL_START}000000`,
        severityNumber: 13,
        severityText: 'WARN',
      },
      ...{ eventName: 'sallyport.audit.result', body: { stringValue: RECORD.line } },
      attributes: [
        { key: 'sallyport.audit.seq', value: { intValue: '7' } },
        { key: 'sallyport.audit.at', value: { stringValue: 'x' } },
        { key: 'sallyport.audit.kind', value: { stringValue: 'result' } },
        { key: 'sallyport.audit.error', value: { stringValue: 'ReadTimeout' } },
        { key: 'sallyport.audit.durationMs', value: { doubleValue: 1.5 } },
        { key: 'sallyport.audit.ok', value: { boolValue: true } },
      ],
    },
  ])
})

for (const [status, taken] of [
  [200, true],
  [204, true],
  [302, false],
  [400, false],
  [503, false],
] as const)
  test(`a collector that answers ${status} has ${taken ? '' : 'not '}taken the records`, async () => {
    const sink = createHttpSink({ url: 'http://collector/', headers: {}, ca: null }, async () => ({ status, text: 'canary' }))
    if (taken) assert.equal(await sink.send([RECORD]), true)
    else await assert.rejects(sink.send([RECORD]), { message: `it answered ${status}` })
  })
