// A real Redis of a test's own: on a free loopback port, nothing on disk, ended by its pid alone. Whatever it holds when it ends
// is scanned for the canary secret, as is all that a test gateway gave away.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis, type RedisOptions } from 'ioredis'
import { parseRedisUrl, type RedisTarget } from '../../src/model/redis-target.ts'
import { findCanaries } from './canary.ts'
import { freePort } from './free-port.ts'
import { dumpRedis } from './redis-dump.ts'

export interface TestRedis {
  readonly url: string
  /** The same as stores/ takes it. */
  readonly target: RedisTarget
  readonly port: number
  readonly pid: number
  /** Freezes it (SIGSTOP): it keeps its sockets and answers nothing. */
  pause(): void
  resume(): void
  /** SIGKILL; the port stays this server's for `restart`. What it held is scanned, as at `stop`. */
  kill(): Promise<void>
  /** The same port, empty. */
  restart(): Promise<void>
  /** Rejects, once it has ended, where a canary secret stood in a key or a value of it. */
  stop(): Promise<void>
  /** One command on a connection of its own. Rejects with Redis' own words. */
  command(...given: readonly (string | number)[]): Promise<unknown>
}

/** A sealing key for `store.key`, the same for the whole process. */
export const STORE_KEY = `k1:${randomBytes(32).toString('base64')}`

/** The target of a URL that is right. */
export function redisTarget(url: string): RedisTarget {
  const target = parseRedisUrl(url)
  if (!target.ok) throw new Error(target.fault)
  return target.value
}

export interface TestRedisOptions {
  /** Further arguments of redis-server, such as `['--requirepass', 'x']`; they win over those it has anyway. */
  readonly args?: readonly string[] | ((at: { readonly port: number; readonly dir: string }) => readonly string[])
  /** Lines of a configuration file, which the server may write to. */
  readonly config?: readonly string[]
  /** How `command` connects. Default: as the default user, without TLS. */
  readonly access?: Omit<RedisOptions, 'replyMapping'>
}

/** Between finding a free port and listening on it somebody else may take it: then another is tried. */
export async function startRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  for (let tries = 1; ; tries++) {
    try {
      return await startOnFreePort(options)
    } catch (error) {
      if (tries === 3) throw error
    }
  }
}

async function startOnFreePort({ args: given = [], config, access = {} }: TestRedisOptions): Promise<TestRedis> {
  const port = await freePort()
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-redis-'))
  const args = typeof given === 'function' ? given({ port, dir }) : given
  const file = config ? [join(dir, 'redis.conf')] : []
  for (const path of file) writeFileSync(path, `${config?.join('\n')}\n`)
  const start = (): Promise<ChildProcess> => launch(port, [...file, ...ownArguments(port, dir), ...args])
  let child = await start().catch((error: unknown) => {
    rmSync(dir, { recursive: true, force: true })
    throw error
  })
  const held = new Set<string>()
  const end = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGCONT')
    try {
      for (const needle of findCanaries(await dumpRedis({ ...access, port }))) held.add(needle)
    } finally {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    }
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    target: redisTarget(`redis://127.0.0.1:${port}`),
    port,
    get pid() {
      return child.pid ?? 0
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    kill: end,
    async restart() {
      await end()
      child = await start()
    },
    async stop() {
      await end()
      rmSync(dir, { recursive: true, force: true })
      assert.deepEqual([...held], [], 'a canary secret stood in Redis')
    },
    command: (...given) => redisCommand({ ...access, port }, ...given),
  }
}

/** One command on a connection of its own, to 127.0.0.1 unless `options` say so. */
export async function redisCommand(
  options: Omit<RedisOptions, 'replyMapping'>,
  ...[name, ...given]: readonly (string | number)[]
): Promise<unknown> {
  const bounded = { lazyConnect: true, enableReadyCheck: false, retryStrategy: () => null, connectTimeout: 2000 }
  const client = new Redis({ host: '127.0.0.1', ...bounded, commandTimeout: 10_000, ...options })
  client.on('error', () => {})
  try {
    await client.connect()
    return await client.call(String(name), ...given)
  } finally {
    client.disconnect()
  }
}

const ownArguments = (port: number, dir: string): string[] =>
  ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'no'] // biome-ignore format: pairs

async function launch(port: number, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn('redis-server', args, { stdio: 'ignore' })
  await once(child, 'spawn')
  const until = performance.now() + 5000
  while (!(await accepts(port))) {
    if (child.exitCode !== null || performance.now() > until) {
      child.kill('SIGKILL')
      throw new Error(`redis-server did not begin to listen on port ${port}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return child
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const tell = (answer: boolean) => () => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', tell(true)).once('error', tell(false))
  })
}
