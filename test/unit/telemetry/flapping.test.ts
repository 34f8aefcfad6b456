// What flaps must not fill the disk: each source of lines about changes is driven for real into a real log, which lets fifty of a
// kind through, five more with each second, and says how many it left out. (The configuration: test/wire/log-lines.test.ts.)
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createBreakerFleet } from '../../../src/adapters/breaker-fleet.ts'
import type { DiskPort } from '../../../src/audit/audit-file.ts'
import { createAuditLog } from '../../../src/audit/audit-log.ts'
import { startShipper } from '../../../src/audit/shipper.ts'
import { createExpiryWatch } from '../../../src/credentials/expiry-watch.ts'
import { createKeyRing } from '../../../src/credentials/key-ring.ts'
import { createKeyFollower } from '../../../src/credentials/sources/key-file.ts'
import { parseKeys } from '../../../src/credentials/sources/key-source.ts'
import { createBreaker, createBreakerRotation } from '../../../src/layers/breaker.ts'
import { gates } from '../../../src/model/dispatch.ts'
import { openEmbedded } from '../../../src/stores/embedded.ts'
import { createRedisHealth } from '../../../src/stores/redis-health.ts'
import { createLogger } from '../../../src/telemetry/logger.ts'
import { aContext, aMeter, aRequest, aResponse } from '../../support/builders.ts'
import { createFakeClock, settle } from '../../support/fake-clock.ts'
import { scripted } from '../../support/scripted-dispatch.ts'
import { aTrailFolder, TRAIL_KEYS, TRAIL_START } from '../../support/trails.ts'

const TIMES = 60

/** A log whose time stands still until it is turned. */
function aLog(t: TestContext) {
  const lines: string[] = []
  let now = 1000
  t.mock.method(performance, 'now', () => now)
  const log = createLogger({ level: 'info', pretty: null, destination: { write: (line) => lines.push(line) } })
  const of = (event: string) =>
    lines.map((line) => JSON.parse(line) as { event: string; suppressed?: number }).filter((line) => line.event === event)
  return {
    log,
    /** `again`: the source moves once more; `times`: how often it has moved before. */
    async isLimited(event: string, again: () => unknown, times = TIMES): Promise<void> {
      assert.equal(of(event).length, 50, event)
      now += 200
      await again()
      assert.equal(of(event).length, 51)
      assert.equal(of(event).at(-1)?.suppressed, times - 50, 'those left out are counted')
    },
  }
}

test('a breaker that opens and closes all the time', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  const { log, isLimited } = aLog(t)
  const clock = createFakeClock()
  const policy = {
    errorRate: 0.5,
    volume: 1,
    windowMs: 10_000,
    openForMs: 500,
    probes: 1,
    statuses: [503],
    slowMs: null,
    rampMs: 0,
  }
  const breaker = createBreaker(policy, {
    ...{ clock, log, meter: aMeter(), adapter: 'up', origin: 'https://up.example', rotation: createBreakerRotation(clock) },
    ...{ forced: () => null, fleet: createBreakerFleet({ board: null, clock, replica: 'r' }) },
  })
  const call = async (status: number): Promise<void> => {
    const { dispatch } = scripted(aResponse({ status }))
    await gates(breaker.door, breaker.gate)(dispatch)(aRequest(), aContext())
  }
  const flap = async (): Promise<void> => {
    await call(503)
    t.mock.timers.tick(500)
    await clock.advance(500)
    await call(200)
  }
  for (let i = 0; i < TIMES; i++) await flap()
  await isLimited('breaker moved', () => call(503), 3 * TIMES)
})

test('a Redis that comes and goes', async (t) => {
  const { log, isLimited } = aLog(t)
  const health = createRedisHealth('redis', { clock: createFakeClock(), meter: aMeter(), log })
  const leave = (): void => health.failed(Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }))
  for (let i = 0; i < TIMES; i++) {
    leave()
    health.answered()
  }
  await isLimited('store away', leave)
  await isLimited('store connected', health.answered)
})

test('an embedded store that fails now and then', async (t) => {
  const { log, isLimited } = aLog(t)
  const dir = aFolder(t)
  const store = openEmbedded(dir, { meter: aMeter(), log })
  t.after(store.close)
  const fail = (): Promise<void> =>
    store
      .read(() => {
        throw Object.assign(new Error('disk I/O error'), { code: 'ERR_SQLITE_ERROR' })
      })
      .catch(() => {})
  const work = (): Promise<number> => store.read(() => 1)
  for (let i = 0; i < TIMES; i++) {
    await fail()
    await work()
  }
  await isLimited('store away', fail)
  await isLimited('store connected', work)
})

test('secrets that end one after the other', async (t) => {
  const { log, isLimited } = aLog(t)
  const watch = createExpiryWatch(log)
  const look = (version: number, expiresAt: number): void => {
    const of = { version, expiresAt, createdAt: 0, notBefore: null, overlapUntil: null, revokedAt: null, pool: null }
    const versions = [{ ...of, scheme: 'bearer' as const, origins: [], callers: [], secret: null }]
    const choice = { current: null, others: [], because: '', until: 0 }
    watch.look(new Map([['github', { versions, choice, preferred: null }]]), 1_000_000)
  }
  for (let version = 1; version <= TIMES; version++) look(version, 1_000_001)
  for (let version = 1; version <= TIMES; version++) look(version, 999_999)
  await isLimited('secret expires soon', () => look(TIMES + 1, 1_000_001))
  await isLimited('secret expired', () => look(TIMES + 1, 999_999))
})

test('a disk of the audit trail that is full now and then', async (t) => {
  const { log, isLimited } = aLog(t)
  let full = false
  const disk: DiskPort = {
    write(fd, bytes, offset) {
      if (full) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
      return writeSync(fd, bytes, offset, bytes.length - offset)
    },
    sync: (_fd, done) => done(null),
  }
  const audit = createAuditLog({
    ...{ dataDir: aFolder(t), clock: createFakeClock(), meter: aMeter(), log, durability: 'process', keys: TRAIL_KEYS, disk },
  })
  const record = { id: 'r', caller: 'c', method: 'GET', url: null, adapter: null, credential: null, tags: {} }
  const move = async (to: boolean): Promise<void> => {
    full = to
    await audit.intent(record).catch(() => {})
  }
  for (let i = 0; i < TIMES; i++) {
    await move(true)
    await move(false)
  }
  await isLimited('audit records cannot be written', () => move(true))
  await isLimited('audit records are written again', () => move(false))
  await audit.close()
})

test('a sink of the audit trail that takes records now and then', async (t) => {
  const { log, isLimited } = aLog(t)
  const trail = aTrailFolder(t)
  const clock = createFakeClock(TRAIL_START)
  const chain = trail.open({ clock })
  let sent = 0
  let well = false
  const sink = {
    async send(): Promise<boolean> {
      sent++
      if (!well) throw new Error('refused')
      return true
    },
  }
  const options = { name: 'siem', folder: trail.folder, cursorFile: join(trail.dataDir, 'siem.json'), batch: 10, end: chain.end }
  const shipper = startShipper(options, sink, { clock, random: () => 1, log, meter: { auditShipped: () => {} } })
  const move = async (to: boolean): Promise<void> => {
    well = to
    if (!to) chain.append([{ kind: 'note', note: 'n' }])
    const before = sent
    // The files are read beside the clock.
    for (let i = 0; i < 1000 && sent === before; i++) {
      await clock.advance(500)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    await settle()
  }
  for (let i = 0; i < TIMES; i++) {
    await move(false)
    await move(true)
  }
  await isLimited('audit sink takes no records, which wait in the files', () => move(false))
  await isLimited('audit sink takes records again', () => move(true))
  await shipper.close()
  chain.close()
})

test('a file of sealing keys that changes all the time, and one that is refused in ever other words', async (t) => {
  const { log, isLimited } = aLog(t)
  const file = join(aFolder(t), 'sealing.key')
  const key = (id: string): string => `${id}:${randomBytes(32).toString('base64')}`
  const [stays, goes] = [key('stays'), key('goes')]
  const write = (text: string): void => {
    writeFileSync(`${file}.new`, text)
    renameSync(`${file}.new`, file)
  }
  write(stays)
  const follower = createKeyFollower(file, createKeyRing(parseKeys(stays, file)), log)
  const follow = (text: string): Promise<boolean> => {
    write(text)
    return follower.follow(async () => new Map())
  }
  for (let i = 0; i < TIMES; i++) {
    await follow(i % 2 === 0 ? `${stays}\n${goes}` : stays)
    await follow(`${'\n'.repeat(i)}not a key`)
  }
  await isLimited('sealing keys changed', () => follow(`${stays}\n${goes}`))
  await isLimited('sealing keys refused, the old ones stand', () => follow('not a key'))
})

function aFolder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-flapping-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}
