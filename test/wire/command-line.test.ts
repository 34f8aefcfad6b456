// The command line as a process of its own, where what reads it goes away.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts')

test('a command whose reader goes away ends well and says nothing of it', async (t) => {
  const child = spawn(process.execPath, [MAIN, 'keys', 'generate'], { stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  child.stdout.destroy()
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
  assert.deepEqual([code, said.includes('EPIPE')], [0, false], said)
})
