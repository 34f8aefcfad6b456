// A real httpbin (Debian's python3-httpbin) on a free loopback port.
import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './free-port.ts'

export interface Httpbin {
  readonly origin: string
  stop(): void
}

export async function startHttpbin(): Promise<Httpbin> {
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const code = `from httpbin import app; app.run(host='127.0.0.1', port=${port}, threaded=True)`
  const child = spawn('/usr/bin/python3', ['-c', code], { stdio: 'ignore' })
  for (let tries = 0; tries < 100; tries++) {
    const answered = await fetch(`${origin}/status/200`).then(
      () => true,
      () => false,
    )
    if (answered) return { origin, stop: () => void child.kill() }
    if (child.exitCode !== null) break
    await sleep(100)
  }
  throw new Error('httpbin did not start: is python3-httpbin installed?')
}
