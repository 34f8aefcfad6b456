import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Config } from '../../../src/config/config.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { refuseWorkers, shareOf } from '../../../src/workers/share.ts'

async function configWith(over: object, adapter: object = {}): Promise<Config> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
  const file = join(folder, 'c.yaml')
  const adapters = [{ name: 'a', mount: 'https://api.example.com/', ...adapter }]
  writeFileSync(file, JSON.stringify({ adapters, dataDir: folder, store: { key: `k1:${'A'.repeat(43)}=` }, ...over }))
  const { config } = await loadConfig({ file, env: {} }).finally(() => rmSync(folder, { recursive: true }))
  return config
}

test('the parts of all workers are the whole, remainders with the first', async () => {
  const quota = { rate: '11/m', concurrency: 7 }
  const caller = { name: 'c', keys: ['key-of-this-caller-in-a-test'], may: [{ adapter: 'a' }], quota }
  const config = await configWith({ callers: [caller] }, { limits: { concurrency: 10, queue: 5, rate: '100/s' } })
  const shares = [0, 1, 2].map((index) => shareOf(config, { index, count: 3 }))
  assert.deepEqual(
    shares.map(({ adapters: [a] }) => [a?.limits.concurrency, a?.limits.queue, a?.limits.rate?.burst]),
    [
      [4, 2, 34],
      [3, 2, 33],
      [3, 1, 33],
    ],
  )
  assert.deepEqual(
    shares.map(({ callers: [c] }) => [c?.caller.quota?.concurrency, c?.caller.quota?.rate?.burst]),
    [
      [3, 4],
      [2, 4],
      [2, 3],
    ],
  )
  const refilled = shares.reduce((sum, { adapters: [a] }) => sum + (a?.limits.rate?.count ?? 0), 0)
  assert.ok(Math.abs(refilled - 100) < 1e-9)
  assert.equal(
    shares.reduce((sum, { listen }) => sum + listen.connections, 0),
    config.listen.connections,
  )
})

test('rates are whole for each where Redis shares them, and workers are told how many they are', async () => {
  const store = { key: `k1:${'A'.repeat(43)}=`, redis: 'redis://127.0.0.1:6379' }
  const config = await configWith({ store }, { limits: { concurrency: 8, rate: '2/s' } })
  assert.equal(refuseWorkers(config, 4), null)
  const share = shareOf(config, { index: 3, count: 4 })
  assert.deepEqual(share.adapters[0]?.limits.rate, { count: 2, perMs: 1000, burst: 2 })
  assert.deepEqual([share.workers, share.adapters[0]?.limits.concurrency], [4, 2])
})

test('what several workers cannot keep is refused by name', async () => {
  const plain = await configWith({})
  assert.equal(refuseWorkers(plain, 4), null)
  assert.match(refuseWorkers({ ...plain, store: { ...plain.store, key: null } }, 2) ?? '', /sealing key/)
  assert.match(refuseWorkers(await configWith({}, { idempotency: 'local' }), 2) ?? '', /adapter "a" has idempotency: local/)
  const narrow = await configWith({}, { limits: { concurrency: 3 } })
  assert.equal(refuseWorkers(narrow, 3), null)
  assert.match(refuseWorkers(narrow, 4) ?? '', /adapter "a": limits\.concurrency is 3, which 4 workers cannot divide/)
})
