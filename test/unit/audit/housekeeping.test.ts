import assert from 'node:assert/strict'
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { createAuditLog } from '../../../src/audit/audit-log.ts'
import { compressOld } from '../../../src/audit/compress.ts'
import { takeLock } from '../../../src/audit/folder-lock.ts'
import { type HousekeepingOptions, keepHouse } from '../../../src/audit/housekeeping.ts'
import { openTrailSearch } from '../../../src/audit/search.ts'
import { verifyTrail } from '../../../src/audit/verify.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { aTrailFolder, TRAIL_KEYS, TRAIL_START } from '../../support/trails.ts'

const DAY = 86_400_000
const visible = (folder: string) =>
  readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .sort()

/** A file a day, today's last. */
function someDays(t: TestContext, days: number, callsADay = 3) {
  const trail = aTrailFolder(t)
  for (let day = 0; day < days; day++) {
    if (day > 0) trail.time.now += DAY
    const chain = trail.open()
    for (let i = 0; i < callsADay; i++) trail.call(chain, { id: `d${day}-${i}`, tags: { day: String(day) } })
    chain.close()
  }
  const verify = async () =>
    (await verifyTrail({ folder: trail.folder, keys: TRAIL_KEYS })).chains.flatMap(({ findings }) => findings)
  const search = openTrailSearch(trail.folder, null)
  t.after(() => search.close())
  return { ...trail, verify, search }
}

describe('compression', () => {
  test('leaves what is written today, and everything is found and verified as before', async (t) => {
    const { folder, time, verify, search } = someDays(t, 3, 2000)
    const plain = readFileSync(join(folder, '2026-01-01.jsonl'), 'utf8')
    const before = await search.search({ tags: ['day=0'], limit: 5 })
    assert.equal(await compressOld(folder, { now: time.now, afterMs: 2 * DAY }), 0)
    assert.equal(await compressOld(folder, { now: time.now, afterMs: DAY }), 1)
    assert.equal(await compressOld(folder, { now: time.now, afterMs: 0 }), 1)
    assert.deepEqual(visible(folder), ['2026-01-01.jsonl.gz', '2026-01-02.jsonl.gz', '2026-01-03.jsonl'])
    const packed = readFileSync(join(folder, '2026-01-01.jsonl.gz'))
    assert.equal(gunzipSync(packed).toString(), plain, 'any gzip reads it')
    assert.ok(packed.length < plain.length / 4)
    assert.equal(statSync(join(folder, '2026-01-01.jsonl.gz')).mode & 0o777, 0o600)
    assert.deepEqual(await verify(), [])
    assert.deepEqual(await search.search({ tags: ['day=0'], limit: 5 }), before)
    const anew = openTrailSearch(folder, null)
    assert.deepEqual(await anew.search({ tags: ['day=0'], limit: 5 }), before)
    await anew.close()
  })

  test('a chain goes on from a compressed file', async (t) => {
    const { folder, time, open, call, verify } = someDays(t, 2)
    await compressOld(folder, { now: time.now + 30 * DAY, afterMs: 0 })
    rmSync(join(folder, '2026-01-02.jsonl'))
    time.now += DAY
    call(open())
    assert.deepEqual(
      (await verify()).map(({ kind }) => kind),
      [],
    )
  })

  test('after a crash between its steps nothing is lost, and the next time it is finished', async (t) => {
    const { folder, time, verify, search } = someDays(t, 2)
    const plain = join(folder, '2026-01-01.jsonl')
    copyFileSync(plain, join(folder, 'kept'))
    writeFileSync(`${plain}.gz.draft`, 'half a')
    await compressOld(folder, { now: time.now, afterMs: 0 })
    assert.equal(existsSync(`${plain}.gz.draft`), false)
    copyFileSync(join(folder, 'kept'), plain)
    rmSync(join(folder, 'kept'))
    assert.deepEqual([(await verify()).length, (await search.search({})).records.length], [0, 6])
    await compressOld(folder, { now: time.now, afterMs: 0 })
    assert.deepEqual(visible(folder), ['2026-01-01.jsonl.gz', '2026-01-02.jsonl'])
    assert.deepEqual([(await verify()).length, (await search.search({})).records.length], [0, 6])
  })

  test('a damaged compressed file is named', async (t) => {
    const { folder, time, verify } = someDays(t, 2, 200)
    await compressOld(folder, { now: time.now, afterMs: 0 })
    const path = join(folder, '2026-01-01.jsonl.gz')
    const bytes = readFileSync(path)
    bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1)
    writeFileSync(path, bytes)
    const [first] = await verify()
    assert.deepEqual([first?.kind, first?.file], ['damaged', '2026-01-01.jsonl'])
  })
})

function aHouse(t: TestContext, options: Partial<HousekeepingOptions>, days = 5) {
  const trail = someDays(t, days)
  const clock = createFakeClock(trail.time.now)
  const audit = createAuditLog({
    ...{ dataDir: trail.dataDir, clock, keys: TRAIL_KEYS, meter: { auditFailed: () => {} }, durability: 'process' },
    log: { log: () => {} },
  })
  const lines: [string, Record<string, unknown>][] = []
  const log = { log: (_level: string, event: string, fields = {}) => void lines.push([event, fields]) }
  const ports = { folder: trail.folder, keys: TRAIL_KEYS, clock, log, trail: audit }
  const start = (needed = (_file: { name: string }) => false) =>
    keepHouse({ retentionMs: null, checkpoint: null, ...options }, { ...ports, needed })
  return { ...trail, clock, audit, lines, start }
}

describe('retention', () => {
  test('removes what is old, and a record says so: the rest verifies', async (t) => {
    const { folder, verify, start, audit, search, clock } = aHouse(t, { retentionMs: 2 * DAY })
    assert.equal((await search.search({})).records.length, 15)
    const stop = start()
    assert.deepEqual(visible(folder), ['2026-01-03.jsonl', '2026-01-04.jsonl', '2026-01-05.jsonl'])
    assert.deepEqual(await verify(), [])
    assert.equal((await search.search({ kind: 'call' })).records.length, 9)
    await audit.intent({ id: 'x', caller: 'c', method: 'GET', url: null, adapter: null, credential: null, tags: {} })
    await clock.advance(DAY)
    assert.deepEqual(visible(folder), ['2026-01-04.jsonl', '2026-01-05.jsonl', '2026-01-06.jsonl'])
    assert.deepEqual(await verify(), [])
    await stop()
    await audit.close()
    rmSync(join(folder, '2026-01-04.jsonl'))
    assert.deepEqual(
      (await verify()).map(({ kind }) => kind),
      ['missing'],
      'one more than the record says',
    )
  })

  test('keeps what somebody still needs, and the newest whatever its age', async (t) => {
    const { folder, start, clock, audit } = aHouse(t, { retentionMs: DAY })
    let needed = '2026-01-02.jsonl'
    const stop = start(({ name }) => name === needed)
    assert.deepEqual(visible(folder).slice(0, 1), ['2026-01-02.jsonl'])
    needed = ''
    await clock.advance(3_600_000)
    assert.deepEqual(visible(folder), ['2026-01-04.jsonl', '2026-01-05.jsonl'])
    await stop()
    await audit.close()
  })

  test('looks after the chains of others, but not of those who are still there', async (t) => {
    const { folder, start, open, time, audit, verify } = aHouse(t, { retentionMs: DAY })
    for (const writer of ['acts', 'gateway-2'] as const)
      for (const now of [TRAIL_START, TRAIL_START + DAY]) {
        const chain = open({ writer, clock: { date: () => now } })
        chain.append([{ kind: 'note', note: 'x' }])
        chain.close()
      }
    const lock = takeLock(folder, 'gateway-2', 0)
    const stop = start()
    lock?.release()
    assert.deepEqual(
      visible(folder).filter((name) => /^[a-z]/.test(name)),
      [
        'acts-2026-01-02.jsonl',
        `acts-${new Date(time.now).toISOString().slice(0, 10)}.jsonl`,
        'gateway-2-2026-01-01.jsonl',
        'gateway-2-2026-01-02.jsonl',
      ],
    )
    assert.deepEqual(await verify(), [])
    await stop()
    await audit.close()
  })
})

describe('checkpoints', () => {
  test('go to the log each time that something was recorded since, and at the end', async (t) => {
    const { start, lines, clock, audit } = aHouse(t, { checkpoint: { everyMs: 60_000, file: null } })
    const stop = start()
    const record = () =>
      audit.intent({ id: 'x', caller: 'c', method: 'GET', url: null, adapter: null, credential: null, tags: {} })
    const settle = async () => {
      await clock.advance(60_000)
    }
    await settle()
    await settle()
    await record()
    await settle()
    await record()
    await audit.close()
    await stop()
    assert.deepEqual(
      lines.map(([event, { seq }]) => [event, seq]),
      [
        ['audit checkpoint', 30],
        ['audit checkpoint', 31],
        ['audit checkpoint', 32],
      ],
    )
    assert.deepEqual(lines.at(-1)?.[1], { ...audit.end() })
  })

  test('are lines in a file, which the verifier takes; one that cannot be written is told of', async (t) => {
    const file = join(aTrailFolder(t).dataDir, 'checkpoints')
    const { start, audit, folder } = aHouse(t, { checkpoint: { everyMs: 60_000, file } })
    await audit.close()
    await start()()
    const [line = '', ...more] = readFileSync(file, 'utf8').trimEnd().split('\n')
    assert.deepEqual(more, [])
    assert.equal((await verifyTrail({ folder, keys: TRAIL_KEYS, checkpoints: [JSON.parse(line)] })).ok, true)
    const other = aHouse(t, { checkpoint: { everyMs: 60_000, file: join(file, 'below a file') } })
    await other.start()()
    assert.deepEqual(other.lines, [['audit housekeeping failed', { code: 'ENOTDIR', because: 'Error' }]])
    await other.audit.close()
  })
})
