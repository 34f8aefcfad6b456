import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { openEmbedded } from '../../../src/stores/embedded.ts'
import { createEmbeddedSecrets } from '../../../src/stores/embedded-secrets.ts'
import { createEmbeddedValues } from '../../../src/stores/embedded-values.ts'
import { aMeter } from '../../support/builders.ts'
import { createFakeClock } from '../../support/fake-clock.ts'

const silent = { log: () => {} }

async function inFolder(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-embedded-'))
  try {
    await run(dir)
  } finally {
    rmSync(dir, { recursive: true })
  }
}

test('its files are readable by their owner alone', () =>
  inFolder(async (dir) => {
    const store = openEmbedded(join(dir, 'data'), { meter: aMeter(), log: silent })
    await createEmbeddedSecrets(store).put('a', 'x', { after: 0, revision: 1 })
    const files = readdirSync(join(dir, 'data'))
    assert.ok(files.includes('sallyport.db'))
    for (const file of files) assert.equal(statSync(join(dir, 'data', file)).mode & 0o077, 0, file)
    store.close()
  }))

test('what was kept is there after a restart', () =>
  inFolder(async (dir) => {
    const clock = createFakeClock()
    const first = openEmbedded(dir, { meter: aMeter(), log: silent })
    await createEmbeddedValues(first, clock).put('jar', 'kept', { ttlMs: 1000, ifVersion: null })
    first.close()
    const second = openEmbedded(dir, { meter: aMeter(), log: silent })
    assert.equal((await createEmbeddedValues(second, clock).get('jar'))?.value, 'kept')
    second.close()
  }))

test('two processes on one file: a lock that lasts is Overloaded within its limit, says so once, and heals', () =>
  inFolder(async (dir) => {
    const meter = aMeter()
    const lines: string[] = []
    const store = openEmbedded(dir, { meter, log: { log: (_level, event) => lines.push(event) } })
    const other = new DatabaseSync(join(dir, 'sallyport.db'))
    other.exec('BEGIN IMMEDIATE')
    const secrets = createEmbeddedSecrets(store)
    const began = performance.now()
    for (let i = 0; i < 2; i++)
      await assert.rejects(secrets.put('a', 'x', { after: 0, revision: 1 }), (error) => {
        assert.ok(error instanceof GatewayError && error.type === 'Overloaded')
        assert.match(error.message, /embedded.*locked by another process/)
        return true
      })
    assert.ok(performance.now() - began < 1500)
    assert.equal(store.healthy(), false)
    other.exec('ROLLBACK')
    other.close()
    assert.equal(await secrets.put('a', 'x', { after: 0, revision: 1 }), true)
    assert.equal(store.healthy(), true)
    assert.deepEqual(lines, ['store away', 'store connected'])
    assert.deepEqual(
      meter.deeds.filter(([name]) => name === 'storeHealthy').map((deed) => deed[2]),
      [true, false, true],
    )
    store.close()
  }))

test('an expired value is not only hidden but deleted with the next write', () =>
  inFolder(async (dir) => {
    const clock = createFakeClock()
    const store = openEmbedded(dir, { meter: aMeter(), log: silent })
    const values = createEmbeddedValues(store, clock)
    await values.put('old', 'x', { ttlMs: 10, ifVersion: null })
    await clock.advance(20)
    await values.put('new', 'y', { ttlMs: 10, ifVersion: null })
    assert.equal(store.prepare('SELECT count(*) AS n FROM kv').get()?.n, 1)
    store.close()
  }))
