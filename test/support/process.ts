// The gateway as a process of its own, as an operator runs it: started from a configuration file, spoken to over its port and by
// signals, killed with the test where it still runs.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { type Agent, type IncomingHttpHeaders, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export interface Answered {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

export interface GatewayProcess {
  readonly child: ChildProcess
  readonly port: number
  readonly file: string
  readonly dataDir: string
  /** Replaces the file, as an editor does. */
  write(config: object | string): void
  errors(): string
  logs(): string
  /** `agent` false: a connection of its own. Rejects where the connection fails before the whole answer. */
  ask(method: string, path: string, body: string | null, agent?: Agent | false): Promise<Answered>
  /** Status and error type of POST /v1/requests. */
  call(url: string): Promise<readonly [number, string | null]>
  /** The same of POST /v1/admin/config/reload. */
  reload(): Promise<readonly [number, string | null]>
  metrics(): Promise<string>
  /** Exit code and signal. */
  readonly exited: Promise<readonly [number | null, string | null]>
}

/** Resolves when it listens. The configuration has a free port and a data folder of its own where it names none. */
export async function startProcess(t: TestContext, config: object, args: readonly string[] = []): Promise<GatewayProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
  const file = join(folder, 'sallyport.yaml')
  const dataDir = join(folder, 'data')
  const write = (next: object | string): void => {
    const text = typeof next === 'string' ? next : JSON.stringify({ listen: { port: 0 }, dataDir, ...next })
    writeFileSync(`${file}.new`, text)
    renameSync(`${file}.new`, file)
  }
  write(config)
  const child = fork(MAIN, ['--config', file, ...args], { silent: true })
  const exited = once(child, 'exit') as Promise<[number | null, string | null]>
  const kept = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.on('data', (chunk: Buffer) => {
      kept[name] += chunk.toString()
    })
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await exited
    }
    rmSync(folder, { recursive: true, force: true })
  })
  const started = await Promise.race([once(child, 'message') as Promise<[{ port: number }]>, exited])
  if (typeof started[0] !== 'object' || started[0] === null) throw new Error(`it did not start: ${kept.stderr}`)
  const { port } = started[0]
  const ask: GatewayProcess['ask'] = (method, path, body, agent = false) => send({ port, method, path, agent }, body)
  const post = async (path: string, body: string): Promise<readonly [number, string | null]> => {
    const { status, text } = await ask('POST', path, body)
    return [status, JSON.parse(text).error?.type ?? null]
  }
  return {
    ...{ child, port, file, dataDir, write, ask, exited },
    errors: () => kept.stderr,
    logs: () => kept.stdout,
    call: (url) => post('/v1/requests', JSON.stringify({ url })),
    reload: () => post('/v1/admin/config/reload', '{}'),
    metrics: async () => (await ask('GET', '/metrics', null)).text,
  }
}

interface Asked {
  readonly port: number
  readonly method: string
  readonly path: string
  readonly agent: Agent | false
}

function send(to: Asked, body: string | null): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const headers = body === null ? {} : { 'content-type': 'application/json' }
    request({ host: '127.0.0.1', ...to, headers }, (response) => {
      let text = ''
      response.on('error', reject).on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
    })
      .on('error', reject)
      .end(body ?? undefined)
  })
}
