// The command line beside a Redis that it has only just begun to connect to.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { startRedis } from '../support/redis.ts'

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts')
const run = promisify(execFile)

test('secrets are set and listed in Redis, and one that is away is said to be', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-cli-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const redis = await startRedis()
  t.after(() => redis.stop())
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
  const store = { redis: redis.url, keyFile: file('keys', `k1:${randomBytes(32).toString('base64')}\n`) }
  const config = file('sallyport.yaml', JSON.stringify({ dataDir: join(folder, 'data'), store, adapters: [] }))
  const values = file('values', 'token=abc\n')
  const bound = ['--scheme', 'bearer', '--origin', 'https://api.example.com', '--caller', '*']
  const cli = (...args: string[]) => run(process.execPath, [MAIN, ...args, '--config', config])
  assert.match((await cli('secrets', 'set', 'a', ...bound, '--values', values)).stdout, /stored a, version 1/)
  assert.match((await cli('secrets', 'list')).stdout, /^a /m)
  await redis.kill()
  await assert.rejects(cli('secrets', 'list'), (error: Error & { stderr?: string }) => {
    assert.match(error.stderr ?? '', /the store \(redis at 127\.0\.0\.1:\d+\)/)
    return true
  })
})
