// The processes of a benchmark: upstream, relay, rival and gateways, each of its own, as a user would run them.
import { type ChildProcess, execFile, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Probed } from './probe.ts'

const run = promisify(execFile)
const HERE = fileURLToPath(new URL('.', import.meta.url))
export const ROOT = join(HERE, '..', '..')
const MAIN = join(ROOT, 'src', 'main.ts')
/** What the bench's caller identifies itself with. */
export const KEY = randomBytes(24).toString('base64url')

export interface Server {
  readonly pid: number
  readonly url: string
  /** From the start of the process until it listened, ms. */
  readonly startMs: number
  stop(): void
  /** Where it was started with a probe. */
  probe?(): Promise<Probed>
}

/** What of a gateway is other than usual. Absent: all on. */
export interface Rung {
  /** Keys of the adapter, as YAML's flow style has them. */
  readonly adapter?: Readonly<Record<string, unknown>>
  /** Keys of the root. */
  readonly root?: Readonly<Record<string, unknown>>
  /** Without callers, and so without keys and grants. */
  readonly open?: boolean
  /** Keys of the caller. */
  readonly caller?: Readonly<Record<string, unknown>>
  /** Secrets are kept there rather than in the embedded store. */
  readonly redis?: string
  readonly probe?: boolean
  readonly workers?: number
  /** A folder: a CPU profile is written there when it ends. */
  readonly profileTo?: string
  /** Further adapters and callers than the one of each. */
  readonly adapters?: readonly object[]
  readonly callers?: readonly object[]
}

/** The Node that everything measured runs on; unless said otherwise, that of the benchmark. */
let node = process.execPath

export function runOn(path: string): void {
  node = path
}

export const nodePath = (): string => node

const PROBE = ['--import', join(HERE, 'probe.ts')]

export async function startScript(file: string, args: readonly string[] = [], { probe = false } = {}): Promise<Server> {
  const execArgv = probe ? PROBE : []
  return started(fork(join(HERE, file), args, { execPath: node, execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }))
}

/**
 * Everything on: a caller with a key and a grant, a stored credential, limits, retry, breaker, egress rule, audit, metrics, one
 * log line a call. The folder holds its configuration, its secrets and its audit trail.
 */
export async function startGateway(
  upstream: string,
  folder: string,
  { adapter, root, open = false, redis, workers = 1, ...further }: Rung = {},
): Promise<Server> {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const config = join(folder, 'sallyport.json')
  const keyFile = join(folder, 'keys')
  const values = join(folder, 'values')
  writeFileSync(keyFile, `bench:${randomBytes(32).toString('base64')}\n`, { mode: 0o600 })
  writeFileSync(values, `token=${randomBytes(24).toString('base64url')}\n`)
  const mounted = {
    name: 'bench',
    mount: `${upstream}/`,
    egress: { allow: ['127.0.0.0/8'] },
    responseSize: '32MiB',
    credentials: 'bench-token',
    allowPlaintextSecrets: true,
    ...adapter,
  }
  const callers = open
    ? []
    : [{ name: 'bench', keys: [KEY], may: [{ adapter: 'bench' }], ...further.caller }, ...(further.callers ?? [])]
  // JSON is YAML.
  const settings = {
    listen: { port: 0 },
    dataDir: join(folder, 'data'),
    store: { keyFile, ...(redis === undefined ? {} : { redis }) },
    callers,
    adapters: [mounted, ...(further.adapters ?? [])],
    // On a machine that others use as well the loop is late through no fault of the load; what is shed would not be measured.
    overload: { eventLoopDelay: '10s' },
    ...root,
  }
  writeFileSync(config, JSON.stringify(settings))
  const secret = ['--scheme', 'bearer', '--origin', upstream, '--caller', '*', '--config', config, '--values', values]
  await run(node, [MAIN, 'secrets', 'set', 'bench-token', ...secret])
  const flags = further.probe ? [...PROBE] : []
  if (further.profileTo) flags.push('--cpu-prof', '--cpu-prof-interval', '500', '--cpu-prof-dir', further.profileTo)
  return started(
    fork(MAIN, ['--config', config, '--workers', `${workers}`], {
      execPath: node,
      execArgv: flags,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    }),
  )
}

function started(child: ChildProcess): Promise<Server> {
  const from = performance.now()
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`ended with ${code} before it listened: ${said}`)))
    child.once('message', (message) => {
      const { port } = message as { port: number }
      const url = `http://127.0.0.1:${port}`
      const startMs = performance.now() - from
      resolve({ pid: child.pid ?? 0, url, startMs, stop: () => void child.kill(), probe: () => probed(child) })
    })
  })
}

async function probed(child: ChildProcess): Promise<Probed> {
  const answered = once(child, 'message')
  child.send('probe')
  const [answer] = await answered
  return answer as Probed
}
