// The gateway as a process: its configuration and how that changes, signals, the sample upstream.
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Reloaded } from './admin/process.ts'
import { type App, createApp } from './app.ts'
import type { Config } from './config/config.ts'
import { ConfigError } from './config/faults.ts'
import { loadConfig } from './config/load.ts'
import { watchConfig } from './config/watch.ts'
import { systemClock } from './installation.ts'
import { VERSION } from './model/version.ts'
import { createLogger, type ProcessLogger } from './telemetry/logger.ts'
import { loadPretty } from './telemetry/pretty.ts'
import { loadTraces } from './telemetry/traces.ts'

/** Resolves once it listens. `given`: the configuration file; null: that of SALLYPORT_CONFIG, else the sample. */
export async function serve(given: string | null): Promise<void> {
  const file = given ?? process.env.SALLYPORT_CONFIG ?? null
  const { config, warnings, files } = await loadConfig({ file, env: process.env })
  const log = createLogger({ level: config.log.level, pretty: process.stdout.isTTY === true ? await loadPretty() : null })
  const traces = await loadTraces(process.env)
  const app = createApp(config, { log, traces, reload: () => following.ask() })
  const following = await followChanges(files, () => reload(app, file, log))
  const sample = file === null ? await startSample(app, config) : null
  const { address, port } = await app.listen()
  banner(config, { file, address, port }, warnings)
  process.send?.({ port })
  process.on('SIGHUP', following.changed)
  endOnSignal(async () => {
    following.stop()
    await app.drain({ notice: true })
    sample?.kill()
  }, log)
}

interface Followed extends Reloaded {
  /** What the configuration was read from. */
  readonly files: readonly string[]
}

/** Runs `reload` after each change or when asked, one at a time, and then watches the files that the new configuration was read from. */
async function followChanges(files: readonly string[], reload: () => Promise<Followed>) {
  let turn: Promise<unknown> = Promise.resolve()
  const ask = (): Promise<Reloaded> => {
    const mine = turn.then(async () => {
      const { files: now, ...reloaded } = await reload()
      await rewatch(now)
      return reloaded
    })
    turn = mine.catch(() => {})
    return mine
  }
  /** A refusal was told by `reload` itself. */
  const changed = (): void => void ask().catch(() => {})
  let stop = await watchConfig(files, changed, systemClock)
  const rewatch = async (now: readonly string[]): Promise<void> => {
    stop()
    stop = await watchConfig(now, changed, systemClock)
  }
  return { ask, changed, stop: () => stop() }
}

/** All or nothing: a file with a fault leaves everything as it was. Rejects with that fault, once it was told. */
async function reload(app: App, file: string | null, log: ProcessLogger): Promise<Followed> {
  try {
    const { config, warnings, files } = await loadConfig({ file, env: process.env })
    const change = app.reload(config)
    log.log('info', 'configuration reloaded', { count: config.adapters.length })
    for (const key of change.needsRestart) log.log('warn', 'configuration change needs a restart', { key })
    for (const warning of warnings) process.stderr.write(`${warning}\n`)
    return { ...change, warnings, files }
  } catch (error) {
    app.reloadRefused()
    log.log('error', 'configuration refused, the old one stands', {})
    process.stderr.write(`${error instanceof ConfigError ? error.message : `the configuration cannot be taken: ${error}`}\n`)
    throw error
  }
}

function endOnSignal(drain: () => Promise<void>, log: ProcessLogger): void {
  let ending = false
  const end = (signal: NodeJS.Signals): void => {
    if (ending) process.exit(1)
    ending = true
    log.log('info', 'draining', { signal })
    drain().then(
      () => process.exit(0),
      () => process.exit(1),
    )
  }
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
}

/** The sample upstream as a process of its own, and the secret that it wants: a token drawn anew at each start. */
async function startSample(app: App, config: Config): Promise<ChildProcess> {
  const token = randomBytes(24).toString('base64url')
  const script = fileURLToPath(new URL(`./sample/upstream${extname(import.meta.url)}`, import.meta.url))
  const child = fork(script, { env: { ...process.env, SAMPLE_TOKEN: token } })
  const [message] = (await once(child, 'message')) as [{ failed?: string }]
  if (message.failed) {
    throw new Error(`the sample upstream could not listen (${message.failed}): set SALLYPORT_SAMPLE_PORT to a free port`)
  }
  const origin = new URL(config.adapters[0]?.mount ?? '').origin
  await app.provision({ name: 'sample-token', scheme: 'bearer', values: { token }, origins: [origin], callers: ['*'] })
  return child
}

/** A few lines for the person who started it: where it listens, what is mounted, what is missing. */
function banner(config: Config, at: { file: string | null; address: string; port: number }, warnings: readonly string[]): void {
  const host = at.address.includes(':') ? `[${at.address}]` : at.address
  const width = Math.max(...config.adapters.map(({ name }) => name.length))
  const lines = [
    `Sallyport ${VERSION} listens on http${config.listen.tls ? 's' : ''}://${host}:${at.port} (documentation at /docs)`,
    ...config.adapters.map(
      ({ name, mount, credentials }) => `  ${name.padEnd(width)}  ${mount}${credentials ? `  with ${credentials}` : ''}`,
    ),
    ...(at.file === null ? ['no configuration given: this is the sample; for your own: npm start -- --config FILE'] : []),
    ...(config.callers.length === 0 ? ['no callers configured: only this machine may call, with admin rights'] : []),
    ...(config.store.redis === null ? [`no store.redis: state is kept in ${config.dataDir}, by this process alone`] : []),
    ...(config.store.keyFile === null && config.store.key === null
      ? ['no sealing key (store.keyFile): stored secrets are forgotten at exit']
      : []),
    ...((config.audit.keyFile ?? config.audit.key ?? config.store.keyFile ?? config.store.key) === null
      ? [`no audit key (audit.keyFile): who can write ${config.dataDir} can write the audit trail anew`]
      : []),
    ...warnings.map((warning) => `warning: ${warning}`),
  ]
  process.stderr.write(`${lines.join('\n')}\n`)
}
