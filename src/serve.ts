// The gateway as a process: its configuration and how that changes, signals, the sample upstream.
import { type ChildProcess, fork } from 'node:child_process'
import cluster from 'node:cluster'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ConfigChange } from './admin/config-change.ts'
import type { Reloaded } from './admin/process.ts'
import { type App, createApp } from './app.ts'
import { openAudit } from './audit/audit.ts'
import type { Config } from './config/config.ts'
import { ConfigError } from './config/faults.ts'
import { loadConfig } from './config/load.ts'
import { watchConfig } from './config/watch.ts'
import { openKeyRing } from './credentials/open-secrets.ts'
import { openAuditKeys, openConfiguredStores, systemClock } from './installation.ts'
import { VERSION } from './model/version.ts'
import type { Bound } from './server/listener.ts'
import { createLogger, type ProcessLogger } from './telemetry/logger.ts'
import { createMetrics } from './telemetry/metrics.ts'
import { loadPretty } from './telemetry/pretty.ts'
import { loadTraces } from './telemetry/traces.ts'
import { createPoster } from './transport/post.ts'
import { auditByPrimary } from './workers/audit-by-primary.ts'
import { createPeer } from './workers/peer.ts'
import { createPrimary, type PrimaryAnswers, type WorkerAnswers } from './workers/primary.ts'
import { openRecordPipe } from './workers/record-pipe.ts'
import { refuseWorkers } from './workers/share.ts'

/** What serves: this process, or the workers of which it is the primary. */
interface Serving {
  listen(): Promise<Bound>
  /** Another configuration takes effect. */
  take(config: Config): ConfigChange | Promise<ConfigChange>
  /** One was refused. */
  refused(): void
  /** Resolves with the exit code. */
  drain(): Promise<0 | 1>
  kill(): void
}

interface ServingPorts {
  readonly log: ProcessLogger
  readonly reload: () => Promise<Reloaded>
}

/**
 * Resolves once it listens. `given`: the configuration file; null: that of SALLYPORT_CONFIG, else the sample. `workers` null: as
 * configured.
 */
export async function serve(given: string | null, workers: number | 'auto' | null): Promise<void> {
  if (cluster.isWorker) return serveAsWorker()
  const file = given ?? process.env.SALLYPORT_CONFIG ?? null
  const { config, warnings, files } = await loadConfig({ file, env: process.env })
  const count = workers === 'auto' ? availableParallelism() : (workers ?? config.workers)
  const log = await openLog(config, count > 1)
  const ports: ServingPorts = { log, reload: () => following.ask() }
  const serving = count > 1 ? serveByWorkers(config, count, ports) : await serveAlone(config, file, ports)
  const following = await followChanges(files, () => reload(serving, { file, count }, log))
  const { address, port } = await serving.listen()
  process.on('SIGHUP', following.changed)
  endOnSignal({ ...serving, stop: following.stop }, log)
  // Last: whoever reads that it listens may send a signal at once.
  banner(config, { file, address, port }, warnings)
  process.send?.({ port })
}

async function openLog({ log }: Config, shared: boolean): Promise<ProcessLogger> {
  return createLogger({ level: log.level, pretty: process.stdout.isTTY === true ? await loadPretty() : null, shared })
}

async function serveAlone(config: Config, file: string | null, ports: ServingPorts): Promise<Serving> {
  const app = createApp(config, { ...ports, traces: await loadTraces(process.env) })
  const sample = file === null ? await startSample(app, config) : null
  return {
    listen: app.listen,
    take: app.reload,
    refused: app.reloadRefused,
    async drain() {
      await app.drain({ notice: true })
      sample?.kill()
      return 0
    },
    kill: () => {},
  }
}

/** Throws where several workers cannot serve that configuration. */
function serveByWorkers(config: Config, count: number, { log, reload }: ServingPorts): Serving {
  const refusal = refuseWorkers(config, count)
  if (refusal !== null) throw new Error(refusal)
  const metrics = createMetrics({ version: VERSION })
  const keys = openAuditKeys(config, openKeyRing(config.store))
  const clock = systemClock
  const poster = createPoster()
  const stores = config.audit.stream && openConfiguredStores(config, { canSeal: true, clock, meter: metrics, log })
  const audit = openAudit(config.audit, {
    ...{
      dataDir: config.dataDir,
      keys,
      clock,
      random: Math.random,
      meter: metrics,
      log,
      stdout: process.stdout,
      post: poster.post,
    },
    stream: config.audit.stream && (stores?.auditStream?.(config.audit.stream) ?? null),
  })
  metrics.watchSinks(audit.lags)
  const primary = createPrimary({ config, count }, { audit, metrics, log, reload })
  metrics.configTaken([])
  return {
    listen: () =>
      primary.start().catch(async (error: unknown) => {
        primary.kill()
        await audit.close()
        throw error
      }),
    async take(next) {
      const change = await primary.take(next)
      metrics.configTaken([])
      return change
    },
    refused: metrics.configRefused,
    async drain() {
      const code = await primary.drain()
      await audit.close()
      await poster.close()
      stores?.close()
      log.flush()
      return code
    },
    kill: primary.kill,
  }
}

/** One of several: what the machine has one of, its primary has, which also says when to begin and when to end. */
function serveAsWorker(): void {
  // A terminal sends its signals to the workers too.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
  const serving = Promise.withResolvers<App>()
  const answers: WorkerAnswers = {
    async start({ config, level }) {
      const log = await openLog(config, true)
      const app = createApp(config, {
        ...{ log, traces: await loadTraces(process.env) },
        reload: () => primary.ask('reload', null),
        machine: {
          audit: auditByPrimary({ primary, pipe: openRecordPipe() }, { waits: config.audit.durability !== 'best-effort' }),
          scrape: (accept) => primary.ask('scrape', accept ?? ''),
          setLogLevel: (level, by, forMs) => void primary.ask('setLevel', { level, by, forMs }).catch(() => {}),
        },
      })
      if (level !== null) app.setLogLevel(level.level, level.by, level.forMs)
      const { address, port } = await app.listen()
      serving.resolve(app)
      return { address, port }
    },
    take: async (config) => (await serving.promise).reload(config),
    samples: async () => (await serving.promise).samples(),
    setLevel: async ({ level, by, forMs }) => (await serving.promise).setLogLevel(level, by, forMs),
    async drain() {
      await (await serving.promise).drain({ notice: true })
      process.exit(0)
    },
  }
  const primary = createPeer<PrimaryAnswers>(process, answers)
  process.send?.('ready')
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
async function reload(
  serving: Serving,
  { file, count }: { readonly file: string | null; readonly count: number },
  log: ProcessLogger,
): Promise<Followed> {
  try {
    const { config, warnings, files } = await loadConfig({ file, env: process.env })
    const refusal = count > 1 ? refuseWorkers(config, count) : null
    if (refusal !== null) throw new ConfigError([{ file: file ?? '', line: 1, column: 1, key: 'workers', message: refusal }])
    const change = await serving.take(config)
    log.log('info', 'configuration reloaded', { count: config.adapters.length })
    for (const key of change.needsRestart) log.log('warn', 'configuration change needs a restart', { key })
    for (const warning of warnings) process.stderr.write(`${warning}\n`)
    return { ...change, warnings, files }
  } catch (error) {
    serving.refused()
    log.log('error', 'configuration refused, the old one stands', error instanceof ConfigError ? whereOf(error) : {})
    process.stderr.write(`${error instanceof ConfigError ? error.message : `the configuration cannot be taken: ${error}`}\n`)
    throw error
  }
}

/** The first fault; the message of each stands on standard error. */
function whereOf({ faults }: ConfigError): {
  readonly file?: string
  readonly line?: number
  readonly key?: string
  readonly count: number
} {
  const [first] = faults
  return { ...(first && { file: first.file, line: first.line, key: first.key }), count: faults.length }
}

function endOnSignal(serving: Pick<Serving, 'drain' | 'kill'> & { stop(): void }, log: ProcessLogger): void {
  let ending = false
  const end = (signal: NodeJS.Signals): void => {
    if (ending) {
      serving.kill()
      process.exit(1)
    }
    ending = true
    log.log('info', 'draining', { signal })
    serving.stop()
    serving.drain().then(
      (code) => process.exit(code),
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
