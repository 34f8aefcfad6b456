// A real Prometheus of a test's own: scrapes one gateway each second, evaluates the rules, and answers queries. Debian's package
// `prometheus`. Ended by its pid alone.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from './free-port.ts'

export interface Prometheus {
  /** Values that are numbers; empty: no data. Throws where the expression is none. */
  query(expr: string): Promise<number[]>
  /** Trace ids that stand as exemplars beside that series. */
  exemplars(series: string): Promise<string[]>
  /** Whether the last scrape of the gateway was understood, and if not, why. */
  target(): Promise<{ readonly health: string; readonly lastError: string }>
  stop(): Promise<void>
}

export async function startPrometheus(options: { readonly target: string; readonly rules: string }): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-prometheus-'))
  const address = `127.0.0.1:${await freePort()}`
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s', scrape_timeout: '1s' },
    rule_files: [options.rules],
    scrape_configs: [{ job_name: 'sallyport', static_configs: [{ targets: [options.target] }] }],
  }
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(config)) // JSON is YAML
  const flags = [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=${address}`,
    '--enable-feature=exemplar-storage',
    '--log.level=error',
  ]
  const child = spawn('prometheus', flags, { stdio: ['ignore', 'ignore', 'inherit'] })
  const failed = once(child, 'error').then(([error]) => Promise.reject(error))
  await Promise.race([once(child, 'spawn'), failed])
  const ask = async <T>(path: string): Promise<T> => {
    const answer = await fetch(`http://${address}/api/v1/${path}`, { signal: AbortSignal.timeout(5000) })
    const { status, data, error } = (await answer.json()) as { status: string; data: T; error?: string }
    if (status !== 'success') throw new Error(error)
    return data
  }
  await until(() => fetch(`http://${address}/-/ready`).then(({ ok }) => ok))

  return {
    async query(expr) {
      type Value = readonly [at: number, value: string]
      const { result } = await ask<{ result: ({ value: Value } | Value)[] }>(`query?query=${encodeURIComponent(expr)}`)
      const values = result.map((entry) => ('value' in entry ? Number(entry.value[1]) : Number.NaN))
      return values.filter((value) => !Number.isNaN(value))
    },
    async exemplars(series) {
      const now = Date.now() / 1000
      type Found = { exemplars: { labels: { trace_id: string } }[] }[]
      const found = await ask<Found>(`query_exemplars?query=${series}&start=${now - 600}&end=${now + 5}`)
      return found.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels.trace_id))
    },
    async target() {
      type Targets = { activeTargets: { health: string; lastError: string }[] }
      const [target] = (await ask<Targets>('targets')).activeTargets
      return { health: target?.health ?? 'none', lastError: target?.lastError ?? '' }
    },
    async stop() {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** What promtool says; throws, saying what it found, where it finds fault. `input`: for its standard input. */
export async function promtool(args: readonly string[], input = ''): Promise<string> {
  const running = promisify(execFile)('promtool', args)
  running.child.stdin?.end(input)
  try {
    return (await running).stdout
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    throw new Error(`promtool ${args.join(' ')}:\n${stdout}${stderr}`)
  }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000
  while (!(await holds().catch(() => false))) {
    if (performance.now() > end) throw new Error('prometheus did not start within 10 s')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
