// The process' own output: JSON lines into a pipe, lines for a person on a terminal, a line for each change of the configuration.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { loopbackAdapter, makeFolder, metric, until } from '../support/wire.ts'

const MAIN = join(import.meta.dirname, '../../src/main.ts')

interface Running {
  readonly url: string
  lines(): string[]
  configure(config: object | string): void
}

const config = (more: object = {}): object => ({
  listen: { port: 0 },
  adapters: [loopbackAdapter('up', 'http://127.0.0.1:9')],
  ...more,
})

async function start(t: TestContext, { terminal }: { readonly terminal: boolean }): Promise<Running> {
  const folder = makeFolder({})
  t.after(folder.remove)
  const file = folder.path('sallyport.yaml')
  const configure = (next: object | string): void =>
    writeFileSync(file, typeof next === 'string' ? next : JSON.stringify({ dataDir: folder.path('data'), ...next }))
  configure(config())
  const own = [process.execPath, MAIN, '--config', file]
  // `script` gives it a terminal of its own; its pid is said first, since ending `script` would leave it running.
  const inTerminal = ['script', '-qfec', `sh -c 'echo pid: $$; exec ${own.join(' ')}'`, '/dev/null']
  const [command = '', ...args] = terminal ? inTerminal : own
  const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(async () => {
    const exited = once(child, 'exit')
    process.kill(Number(/pid: (\d+)/.exec(out)?.[1] ?? child.pid), 'SIGTERM')
    await exited
  })
  let out = ''
  let said = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    out += chunk
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk
  })
  const port = (): string | undefined => /listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(out + said)?.[1]
  await until('it listens', () => port() !== undefined, 10_000)
  return { url: `http://127.0.0.1:${port()}`, configure, lines: () => out.split('\n').filter(Boolean) }
}

async function call(url: string): Promise<void> {
  const body = '{"url": "http://127.0.0.1:9/", "timeout": "1s"}'
  await fetch(`${url}/v1/requests`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
}

it('into a pipe it writes JSON lines, says each change of the configuration, and changes its level while running', async (t) => {
  const { url, lines, configure } = await start(t, { terminal: false })
  const parsed = () => lines().map((line) => JSON.parse(line) as Record<string, unknown>)
  const has = (event: string) => until(event, () => parsed().some((line) => line.event === event), 5000)
  const metrics = async () => (await fetch(`${url}/metrics`)).text()
  await call(url)
  await has('call')
  assert.deepEqual(
    parsed().flatMap(({ event, fault, error }) => (event === 'call' ? [[fault, error]] : [])),
    [['upstream', 'ConnectionError']],
  )
  configure('adapters: []]')
  await has('configuration refused, the old one stands')
  const refused = parsed().find(({ event }) => event === 'configuration refused, the old one stands')
  assert.deepEqual([refused?.line, refused?.count], [1, 1])
  assert.match(String(refused?.file), /sallyport\.yaml$/)
  assert.equal(metric(await metrics(), 'sallyport_config_last_reload_successful'), 0)
  assert.equal(metric(await metrics(), 'sallyport_config_reload_failures_total'), 1)
  configure(config({ log: { level: 'warn' } }))
  await until('it is taken', async () => metric(await metrics(), 'sallyport_config_last_reload_successful') === 1, 5000)
  await call(url)
  await new Promise((resolve) => setTimeout(resolve, 150)) // longer than lines are held together
  assert.equal(parsed().filter(({ event }) => event === 'call').length, 1)
})

it('a configuration that is refused again and again does not fill the log', async (t) => {
  const { url, lines, configure } = await start(t, { terminal: false })
  configure('adapters: []]')
  const begun = performance.now()
  const refusals = 100
  const reload = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }
  for (let i = 0; i < refusals; i++) assert.equal((await fetch(`${url}/v1/admin/config/reload`, reload)).status, 400)
  const most = 50 + 5 * Math.ceil((performance.now() - begun) / 1000)
  await new Promise((resolve) => setTimeout(resolve, 150)) // longer than lines are held together
  const told = lines()
    .map((line) => JSON.parse(line) as { event: string; suppressed?: number })
    .filter(({ event }) => event === 'configuration refused, the old one stands')
  assert.ok(told.length >= Math.min(50, refusals) && told.length <= most, `${told.length} lines, and at most ${most}`)
})

it('on a terminal it writes for a person', async (t) => {
  const { url, lines } = await start(t, { terminal: true })
  await call(url)
  await until('the call has its line', () =>
    lines().some((line) => /call GET http:\/\/127\.0\.0\.1:9\/ ConnectionError in /.test(line)),
  )
  assert.ok(!lines().some((line) => line.startsWith('{"level"')))
})
