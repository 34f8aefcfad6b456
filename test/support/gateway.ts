// A whole gateway for wire tests: real configuration, real sockets, everything on. Every answer is held against the contract's
// shapes, and what it gave away is scanned for the canary secret when it stops: every test that uses it tests these too.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp } from '../../src/app.ts'
import type { CallerAdministration } from '../../src/callers/administration.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { SecretAdministration } from '../../src/credentials/administer.ts'
import type { Terms } from '../../src/credentials/make-version.ts'
import type { NewSecret } from '../../src/credentials/provision.ts'
import type { Clock } from '../../src/model/ports.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import type { OpenTraces } from '../../src/telemetry/traces.ts'
import { findCanaries } from './canary.ts'
import { checkAnswer } from './contract-check.ts'

export interface TestGatewayOptions {
  /** As in the configuration file. */
  readonly adapters: readonly object[]
  /** Further keys of the configuration file. */
  readonly config?: object
  readonly env?: Record<string, string>
  readonly secrets?: readonly NewSecret[]
  /** Default: off. */
  readonly traces?: OpenTraces | null
  /** Default: the system's. */
  readonly clock?: Clock
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests read whatever the envelope holds
  readonly envelope: any
}

export interface AskOptions {
  readonly headers?: Record<string, string>
  /** The upstream echoes what it was sent, on purpose: the answer is not scanned. */
  readonly echoes?: boolean
  readonly signal?: AbortSignal
}

export interface TestGateway {
  readonly url: string
  readonly port: number
  readonly dataDir: string
  /** POST /v1/requests. */
  call(descriptor: unknown, options?: AskOptions): Promise<Reply>
  post(path: string, body: string | Buffer, options?: AskOptions): Promise<Reply>
  get(path: string, options?: AskOptions): Promise<Reply>
  /** Any method, no header but those given. */
  send(method: string, path: string, body: string | Buffer | null, options?: AskOptions): Promise<Reply>
  logs(): string
  // biome-ignore lint/suspicious/noExplicitAny: audit records as they stand
  audit(): any[]
  metrics(): Promise<string>
  provision(secret: NewSecret, terms?: Terms): Promise<number>
  readonly secrets: SecretAdministration
  readonly callers: CallerAdministration
  /** Writes another configuration file, which nobody is told of. */
  rewrite(options: TestGatewayOptions): void
  /** Takes another configuration, whole or not at all. */
  reload(options: TestGatewayOptions): Promise<readonly string[]>
  stop(): Promise<void>
}

function writeConfig(folder: string, { adapters, config }: TestGatewayOptions): string {
  const file = join(folder, 'sallyport.yaml')
  // A machine that runs other tests as well is late without being overloaded.
  const overload = { eventLoopDelay: '1m' }
  // JSON is YAML.
  writeFileSync(file, JSON.stringify({ listen: { port: 0 }, dataDir: join(folder, 'data'), overload, adapters, ...config }))
  return file
}

/** What each file of the data folder holds, the embedded store's among them: a character a byte. */
function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export async function startGateway(options: TestGatewayOptions): Promise<TestGateway> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
  const file = writeConfig(folder, options)
  const lines: string[] = []
  const given: string[] = []
  const { config } = await loadConfig({ file, env: options.env ?? {} })
  const log = createLogger({ level: 'debug', pretty: null, destination: { write: (line) => lines.push(line) } })
  const app = createApp(config, {
    log,
    ...(options.clock ? { clock: options.clock } : {}),
    traces: options.traces ?? null,
    async reload() {
      const { config: next, warnings } = await loadConfig({ file, env: options.env ?? {} })
      return { ...app.reload(next), warnings }
    },
  })
  for (const secret of options.secrets ?? []) await app.provision(secret)
  const { port } = await app.listen()
  const agent = new Agent({ keepAlive: true })

  function send(
    method: string,
    path: string,
    body: string | Buffer | null,
    { headers, echoes, signal }: AskOptions = {},
  ): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        { host: '127.0.0.1', port, path, method, agent, headers: { ...headers }, ...(signal ? { signal } : {}) },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString()
            if (!echoes) given.push(JSON.stringify(response.headers), text)
            const reply = { status: response.statusCode ?? 0, headers: response.headers, text, envelope: parseJson(text) }
            try {
              if (method !== 'HEAD') checkAnswer({ path, method, ...reply }, reply.envelope)
              resolve(reply)
            } catch (error) {
              reject(error)
            }
          })
        },
      )
      outgoing.on('error', reject)
      outgoing.end(body ?? undefined)
    })
  }

  const auditText = (): string => {
    const audit = join(folder, 'data', 'audit')
    return readdirSync(audit)
      .filter((name) => name.endsWith('.jsonl'))
      .sort()
      .map((name) => readFileSync(join(audit, name), 'utf8'))
      .join('')
  }

  const post: TestGateway['post'] = (path, body, ask = {}) =>
    send('POST', path, body, { ...ask, headers: { 'content-type': 'application/json', ...ask.headers } })
  const get: TestGateway['get'] = (path, ask = {}) => send('GET', path, null, ask)

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    dataDir: join(folder, 'data'),
    post,
    get,
    send,
    call: (descriptor, ask) => post('/v1/requests', JSON.stringify(descriptor), ask),
    logs: () => lines.join(''),
    audit: () =>
      auditText()
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('{"kind":"block"'))
        .map(parseJson),
    metrics: async () => (await get('/metrics')).text,
    provision: (secret, terms) => app.provision(secret, terms),
    secrets: app.secrets,
    callers: app.callers,
    rewrite: (next) => void writeConfig(folder, next),
    async reload(next) {
      return app.reload((await loadConfig({ file: writeConfig(folder, next), env: next.env ?? {} })).config).needsRestart
    },
    async stop() {
      agent.destroy()
      await app.drain()
      const everything = [...given, lines.join(''), auditText(), ...filesUnder(join(folder, 'data'))].join('\n')
      rmSync(folder, { recursive: true, force: true })
      assert.deepEqual(findCanaries(everything), [], 'a canary secret came out of the gateway')
    },
  }
}
