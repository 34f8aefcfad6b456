import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  fdatasync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { DiskPort } from '../../../src/audit/audit-file.ts'
import { createAuditKeys } from '../../../src/audit/audit-keys.ts'
import { type AuditLogOptions, createAuditLog } from '../../../src/audit/audit-log.ts'
import { verifyTrail } from '../../../src/audit/verify.ts'
import type { AuditIntent, AuditResult } from '../../../src/model/ports.ts'

const DAY = 86_400_000
const START = Date.UTC(2026, 0, 1, 12)

const intent = (id: string): AuditIntent => ({
  ...{ id, caller: 'billing', method: 'GET', url: 'https://h/?k=v', adapter: 'a', credential: null, tags: {} },
})
const result = (id: string): AuditResult => ({
  ...{
    id,
    intent: null,
    caller: 'billing',
    url: 'https://h/?k=v',
    adapter: 'a',
    status: 200,
    error: null,
    sent: 'yes',
    credential: null,
  },
  ...{ attempts: [], durationMs: 1, bytesOut: 0, bytesIn: 0 },
})

function aTrail(t: TestContext, over: Partial<AuditLogOptions> = {}) {
  const dataDir = mkdtempSync(join(tmpdir(), 'audit-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const time = { now: START }
  const failures = { count: 0 }
  const said: string[] = []
  const file = (day = '2026-01-01') => join(dataDir, 'audit', `${day}.jsonl`)
  const open = () =>
    createAuditLog({
      dataDir,
      clock: { date: () => time.now },
      meter: { auditFailed: () => failures.count++ },
      log: { log: (level, event, fields = {}) => void said.push(`${level} ${event} ${JSON.stringify(fields)}`) },
      durability: 'process',
      keys: createAuditKeys([{ id: 'k', key: Buffer.alloc(32, 1) }]),
      ...over,
    })
  const lines = (day?: string) =>
    readFileSync(file(day), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{"seq"') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  return { dataDir, time, failures, said, file, open, lines }
}

const OVERLOADED = { type: 'Overloaded', status: 503 }

for (const durability of ['process', 'strict'] as const)
  test(`${durability}: when the promise resolves the record can be read, and intent and result share an id`, async (t) => {
    const { open, lines, file } = aTrail(t, { durability })
    const audit = open()
    await audit.intent(intent('r-1'))
    assert.deepEqual(
      lines().map((line) => [line.seq, line.kind, line.id]),
      [[1, 'intent', 'r-1']],
    )
    await audit.result(result('r-1'))
    assert.deepEqual(
      lines().map((line) => [line.seq, line.kind, line.id, line.at]),
      [
        [1, 'intent', 'r-1', '2026-01-01T12:00:00.000Z'],
        [2, 'result', 'r-1', '2026-01-01T12:00:00.000Z'],
      ],
    )
    assert.equal(statSync(file()).mode & 0o777, 0o600)
    await audit.close()
  })

test('records of one turn of the loop are one write, in the order they came', async (t) => {
  let writes = 0
  const disk: DiskPort = {
    write: (fd, bytes, offset) => {
      writes++
      return writeSync(fd, bytes, offset)
    },
    sync: fdatasync,
  }
  const { open, lines, file } = aTrail(t, { disk })
  const audit = open()
  await Promise.all(Array.from({ length: 50 }, (_, i) => audit.intent(intent(`r-${i}`))))
  assert.equal(writes, 1)
  assert.equal(readFileSync(file(), 'utf8').match(/"kind":"block"/g)?.length, 1)
  assert.deepEqual(
    lines().map((line) => line.seq),
    Array.from({ length: 50 }, (_, i) => i + 1),
  )
  await audit.close()
})

test('strict: many records that come while the disk is busy are all answered', async (t) => {
  const { open, lines } = aTrail(t, { durability: 'strict' })
  const audit = open()
  const waiting: Promise<unknown>[] = []
  for (let i = 0; i < 20; i++) {
    waiting.push(audit.intent(intent(`r-${i}`)))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await Promise.all(waiting)
  assert.equal(lines().length, 20)
  await audit.close()
})

test('a new day begins a new file and goes on counting', async (t) => {
  const { open, lines, time } = aTrail(t)
  const audit = open()
  await audit.intent(intent('r-1'))
  time.now += DAY
  await audit.result(result('r-1'))
  assert.deepEqual(
    [...lines('2026-01-01'), ...lines('2026-01-02')].map((line) => [line.seq, line.kind]),
    [
      [1, 'intent'],
      [2, 'result'],
    ],
  )
  await audit.close()
})

test('after a restart the numbers go on, across days', async (t) => {
  const { open, lines, time } = aTrail(t)
  const first = open()
  for (let i = 0; i < 3; i++) await first.intent(intent(`r-${i}`))
  await first.close()
  time.now += 3 * DAY
  const second = open()
  await second.intent(intent('r-9'))
  assert.deepEqual(
    lines('2026-01-04').map((line) => line.seq),
    [4],
  )
  await second.close()
})

test('records longer than what is read at once are found again', async (t) => {
  const { open, lines } = aTrail(t)
  const first = open()
  const tags = { note: 'x'.repeat(200_000) }
  await first.intent({ ...intent('r-1'), tags })
  await first.intent({ ...intent('r-2'), tags })
  await first.close()
  const second = open()
  await second.intent(intent('r-3'))
  assert.deepEqual(
    lines().map((line) => [line.seq, line.id]),
    [
      [1, 'r-1'],
      [2, 'r-2'],
      [3, 'r-3'],
    ],
  )
  await second.close()
})

for (const days of [0, 1])
  test(`a torn tail is ended and noted when the trail is opened ${days} days later`, async (t) => {
    const { open, lines, file, time } = aTrail(t)
    const first = open()
    await first.intent(intent('r-1'))
    await first.close()
    appendFileSync(file(), '{"seq":2,"kind":"int')
    time.now += days * DAY
    const second = open()
    await second.intent(intent('r-2'))
    const fresh = lines('2026-01-01').slice(1)
    const after = days === 0 ? [] : lines('2026-01-02')
    assert.deepEqual(
      [...fresh, ...after].map((line) => [line.seq, line.kind, line.id]),
      [
        [2, 'note', undefined],
        [3, 'intent', 'r-2'],
      ],
    )
    assert.match(String(fresh[0]?.note), /2026-01-01\.jsonl/)
    assert.match(readFileSync(file(), 'utf8'), /"kind":"int \n/)
    await second.close()
  })

test('a file of nothing but rubbish does not stop the gateway from starting', async (t) => {
  const { dataDir, open, lines, file } = aTrail(t)
  mkdirSync(join(dataDir, 'audit'))
  writeFileSync(file(), Buffer.from([0, 255, 10, 10, 13, 34, 10]))
  const audit = open()
  await audit.intent(intent('r-1'))
  assert.equal(lines().at(-1)?.seq, 2)
  await audit.close()
})

test('a failed write refuses every call of its batch, saying why, and is counted', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const { dataDir, open, file, failures } = aTrail(t)
  mkdirSync(join(dataDir, 'audit'))
  symlinkSync('/dev/full', file())
  const audit = open()
  const outcomes = await Promise.allSettled([audit.intent(intent('r-1')), audit.intent(intent('r-2'))])
  for (const outcome of outcomes) {
    assert.equal(outcome.status, 'rejected')
    assert.equal(outcome.reason.type, 'Overloaded')
    assert.match(outcome.reason.message, /ENOSPC/)
    assert.doesNotMatch(outcome.reason.message, /audit-/)
  }
  assert.equal(failures.count, 1)
  await audit.close()
})

test('when writing works again calls are recorded again', async (t) => {
  const { dataDir, open, lines, time } = aTrail(t)
  const audit = open()
  rmSync(join(dataDir, 'audit'), { recursive: true })
  time.now += DAY
  await assert.rejects(audit.intent(intent('r-1')), OVERLOADED)
  mkdirSync(join(dataDir, 'audit'))
  await audit.intent(intent('r-2'))
  assert.deepEqual(
    lines('2026-01-02').map((line) => [line.seq, line.id]),
    [[1, 'r-2']],
  )
  await audit.close()
})

test('it is not writable from a failed write until one succeeds, which asking tries', async (t) => {
  const { dataDir, open, lines, time } = aTrail(t)
  const audit = open()
  assert.equal(audit.writable(), true)
  rmSync(join(dataDir, 'audit'), { recursive: true })
  time.now += DAY
  assert.equal(audit.writable(), true, 'nothing has failed yet')
  await assert.rejects(audit.intent(intent('r-1')), OVERLOADED)
  assert.equal(audit.writable(), false)
  mkdirSync(join(dataDir, 'audit'))
  assert.equal(audit.writable(), true)
  assert.deepEqual(
    lines('2026-01-02').map(({ kind }) => kind),
    ['note'],
  )
  await audit.close()
})

test('a batch that was written half is cut off again, so that the file holds whole records only', (t) => {
  const { dataDir, file } = aTrail(t)
  const script = `
    import { createAuditKeys } from ${JSON.stringify(new URL('../../../src/audit/audit-keys.ts', import.meta.url).href)}
    import { createAuditLog } from ${JSON.stringify(new URL('../../../src/audit/audit-log.ts', import.meta.url).href)}
    process.on('SIGXFSZ', () => {})
    const audit = createAuditLog({ dataDir: process.argv[1], clock: { date: () => ${START} }, meter: { auditFailed() {} }, log: { log() {} }, durability: 'process', keys: createAuditKeys([{ id: 'k', key: Buffer.alloc(32, 1) }]) })
    const intent = (id, note) => audit.intent({ id, caller: 'c', method: 'GET', url: null, adapter: null, credential: null, tags: { note } })
    await intent('r-1', '')
    await intent('r-2', 'x'.repeat(20000)).then(() => console.log('written'), (error) => console.log(error.type))
    await intent('r-3', '')
  `
  const run = spawnSync(
    'sh',
    ['-c', 'ulimit -f 8 && exec "$0" --input-type=module -e "$1" "$2"', process.execPath, script, dataDir],
    {
      encoding: 'utf8',
      timeout: 20_000,
    },
  )
  assert.equal(run.stdout, 'Overloaded\n', run.stderr)
  const text = readFileSync(file(), 'utf8')
  assert.deepEqual(
    text
      .trimEnd()
      .split('\n')
      .filter((line) => line.startsWith('{"seq"'))
      .map((line) => [JSON.parse(line).seq, JSON.parse(line).id]),
    [
      [1, 'r-1'],
      [2, 'r-3'],
    ],
  )
})

test('best-effort: a call is made even if its record cannot be written, which is counted', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const { dataDir, open, file, failures } = aTrail(t, { durability: 'best-effort' })
  mkdirSync(join(dataDir, 'audit'))
  symlinkSync('/dev/full', file())
  const audit = open()
  await audit.intent(intent('r-1'))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(audit.writable(), true, 'calls are made all the same')
  await audit.close()
  assert.equal(failures.count, 1)
})

test('closing writes what waits, and afterwards nothing is recorded', async (t) => {
  const { open, lines } = aTrail(t)
  const audit = open()
  const waiting = audit.intent(intent('r-1'))
  await audit.close()
  await waiting
  assert.equal(lines().length, 1)
  await assert.rejects(audit.result(result('r-1')), OVERLOADED)
  await audit.close()
})

/** A disk that a test breaks and mends. */
function aDisk() {
  const disk = { full: false, half: false, syncs: [] as ((error: Error | null) => void)[], held: false, broken: false }
  const enospc = () => Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  const port: DiskPort = {
    write(fd, bytes, offset) {
      if (disk.full && (!disk.half || offset > 0)) throw enospc()
      return writeSync(fd, bytes, offset, disk.full ? 10 : bytes.length - offset)
    },
    sync(_fd, done) {
      if (disk.held) disk.syncs.push(done)
      else setImmediate(() => done(disk.broken ? Object.assign(new Error('input/output error'), { code: 'EIO' }) : null))
    },
  }
  return { disk, port }
}

const settled = async (promise: Promise<unknown>): Promise<boolean> => {
  let done = false
  void promise.then(
    () => {
      done = true
    },
    () => {
      done = true
    },
  )
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
  return done
}

test('strict: nobody goes on before fdatasync has said that the record is on disk', async (t) => {
  const { disk, port } = aDisk()
  const { open } = aTrail(t, { durability: 'strict', disk: port })
  const audit = open()
  disk.held = true
  const first = audit.intent(intent('r-1'))
  assert.equal(await settled(first), false)
  assert.equal(disk.syncs.length, 1)
  const second = audit.result(result('r-1'))
  assert.equal(await settled(second), false, 'what came meanwhile waits for a sync of its own')
  disk.syncs[0]?.(null)
  assert.deepEqual([await settled(first), await settled(second), disk.syncs.length], [true, false, 2])
  disk.held = false
  disk.syncs[1]?.(null)
  await second
  await audit.close()
})

test('process: fdatasync is not waited for', async (t) => {
  const { disk, port } = aDisk()
  disk.held = true
  const { open } = aTrail(t, { disk: port })
  const audit = open()
  assert.equal(await settled(audit.intent(intent('r-1'))), true)
  assert.equal(disk.syncs.length, 0)
  disk.held = false
  await audit.close()
})

test('strict: a disk that cannot sync refuses calls, and they go on when it can again', async (t) => {
  const { disk, port } = aDisk()
  const { open, failures, said } = aTrail(t, { durability: 'strict', disk: port })
  const audit = open()
  disk.broken = true
  await assert.rejects(audit.intent(intent('r-1')), { ...OVERLOADED, message: /\(EIO\)/ })
  assert.equal(failures.count, 1)
  disk.broken = false
  await audit.intent(intent('r-2'))
  assert.equal(audit.writable(), true)
  assert.deepEqual(said, ['error audit records cannot be written {"because":"EIO"}', 'info audit records are written again {}'])
  await audit.close()
})

for (const half of [false, true])
  test(`a full disk refuses calls, ${half ? 'with half a batch taken off again, ' : ''}and the chain is whole when there is room`, async (t) => {
    const { disk, port } = aDisk()
    const { open, lines, dataDir, failures, said } = aTrail(t, { disk: port })
    const audit = open()
    await audit.intent(intent('r-1'))
    Object.assign(disk, { full: true, half })
    await assert.rejects(audit.intent(intent('r-2')), { ...OVERLOADED, message: /\(ENOSPC\)/ })
    await assert.rejects(audit.intent(intent('r-3')), OVERLOADED)
    assert.equal(audit.writable(), false)
    assert.equal(failures.count, 2)
    disk.full = false
    assert.equal(audit.writable(), true)
    assert.equal(await audit.intent(intent('r-4')), 3)
    assert.deepEqual(said, [
      'error audit records cannot be written {"because":"ENOSPC"}',
      'info audit records are written again {}',
    ])
    await audit.close()
    assert.deepEqual(
      lines().map(({ seq, id, kind }) => [seq, id ?? kind]),
      [
        [1, 'r-1'],
        [2, 'note'],
        [3, 'r-4'],
      ],
    )
    const keys = createAuditKeys([{ id: 'k', key: Buffer.alloc(32, 1) }])
    assert.deepEqual((await verifyTrail({ folder: join(dataDir, 'audit'), keys })).chains[0]?.findings, [])
  })
