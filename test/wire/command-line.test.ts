// The command line as a process of its own: where what reads it goes away, and where there is no configuration.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { aTrailFolder } from '../support/trails.ts'

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts')

test('a command whose reader goes away ends well and says nothing of it', async (t) => {
  const child = spawn(process.execPath, [MAIN, 'keys', 'generate'], { stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  child.stdout.destroy()
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
  assert.deepEqual([code, said.includes('EPIPE')], [0, false], said)
})

test('a copy of the audit trail is read without a configuration, verified only with one, and missed where it is not', async (t) => {
  const { dataDir, folder, open, call } = aTrailFolder(t)
  call(open(), { id: 'r-1' })
  const { SALLYPORT_CONFIG: _, ...env } = process.env
  const audit = async (...words: string[]) => {
    const child = spawn(process.execPath, [MAIN, 'audit', ...words], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    t.after(() => child.kill('SIGKILL'))
    const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
    return { out, err, code }
  }
  const [copy, keyless, missing, none] = await Promise.all([
    audit('export', '--dir', folder),
    audit('verify', '--dir', folder),
    audit('verify', '--dir', join(dataDir, 'nowhere')),
    audit('export'),
  ])
  assert.deepEqual([copy.code, copy.err, JSON.parse(copy.out).id], [0, '', 'r-1'])
  assert.deepEqual([keyless.code, keyless.out], [1, ''])
  assert.match(keyless.err, /to verify wants the keys of the installation: --config FILE/)
  assert.deepEqual([missing.code, missing.out], [1, ''])
  assert.match(missing.err, /^sallyport: --dir: there is no folder \S+nowhere that can be read\n$/)
  assert.match(none.err, /say which installation/)
})
