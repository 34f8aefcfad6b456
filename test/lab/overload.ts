// Far more calls than can be served, from callers that give up: how much is still served, what the others are told, and how soon
// all is well again. Part of `npm run chaos`, where --overload asks for it alone.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { residentBytes } from '../bench/measure.ts'
import { KEY, type Server, startGateway, startScript } from '../bench/servers.ts'
import { freePort } from '../support/free-port.ts'
import { type BurstOrder, type BurstReport, STEP_MS } from './burst.ts'

interface Bottleneck {
  readonly name: string
  readonly adapter: Readonly<Record<string, unknown>>
  /** Of the upstream: bytes and ms. */
  readonly path: string
}

/** The second one has enough upstream and costs the gateway itself more than a refusal does, as a call with some content will. */
const BOTTLENECKS: readonly Bottleneck[] = [
  { name: 'upstream of 5 at once, 40 ms each', adapter: { limits: { concurrency: 5, queue: 10 } }, path: '/500/40' },
  { name: "the gateway's own processor, 300 KB of JSON a call", adapter: {}, path: '/300000/0' },
]
const TIMES = 5
const PATIENCE_MS = 1500
/** What is offered before and after, as a share of the peak. */
const BASE = 0.4
/** Recovered: from then on this share of the calls begun in every half second is answered well. */
const WELL = 0.95
const WELL_STEPS = 500 / STEP_MS
const PROBES = ['/healthz', '/readyz', '/metrics']
const PROBE_EVERY_MS = 200

export interface Promised {
  /** Of the peak, at TIMES that load. */
  readonly share: number
  readonly recoveryMs: number
}

interface Row {
  readonly name: string
  readonly peak: number
  readonly burst: BurstReport
  readonly goodput: number
  readonly share: number
  readonly recoveryMs: number
  /** What a probe or the metrics, and what the admin entrance took to answer meanwhile. */
  readonly longest: Longest
  readonly memoryMiB: number
}

/** What was promised and not kept, in words. */
export async function runOverload(seconds: number, promised: Promised): Promise<string[]> {
  const rows: Row[] = []
  for (const bottleneck of BOTTLENECKS) {
    process.stderr.write(`overload: ${bottleneck.name} …\n`)
    rows.push(await measure(bottleneck, seconds))
  }
  for (const row of rows) process.stdout.write(`${describe(row)}\n`)
  return rows.flatMap((row) => broken(row, promised))
}

async function measure({ name, adapter, path }: Bottleneck, seconds: number): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-overload-'))
  const upstream = await startScript('../lab/paced-upstream.ts')
  const port = await freePort()
  // The guard as every installation has it; benchmarks have it looser.
  const root = {
    callers: [{ name: 'bench', keys: [KEY], admin: true, may: [{ adapter: 'bench' }] }],
    overload: {},
    metrics: { listen: { port } },
  }
  const gateway = await startGateway(upstream.url, join(folder, 'gateway'), { adapter, root })
  const caller = fork(fileURLToPath(new URL('burst.ts', import.meta.url)))
  try {
    const order = { port: Number(new URL(gateway.url).port), patienceMs: PATIENCE_MS, request: requestOf(upstream.url + path) }
    const burst = (load: BurstOrder['load'], time: number) => runIn(caller, { ...order, load, seconds: time })
    await burst({ callers: 32 }, Math.min(2, seconds)) // everything that is made and compiled on first use
    const peak = goodputOf(await burst({ callers: 15 }, seconds))
    const probes = startProbes(gateway, `http://127.0.0.1:${port}`)
    const over = await burst({ perSecond: peak * TIMES }, seconds)
    const memoryMiB = residentBytes(gateway.pid) / 1024 / 1024
    const longest = await probes.stop()
    const after = await burst({ perSecond: peak * BASE }, 6)
    const goodput = goodputOf(over)
    return { name, peak, burst: over, goodput, share: goodput / peak, recoveryMs: recoveryOf(after), longest, memoryMiB }
  } finally {
    caller.kill()
    gateway.stop()
    upstream.stop()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

async function runIn(caller: ChildProcess, order: BurstOrder): Promise<BurstReport> {
  const ended = once(caller, 'message')
  caller.send(order)
  const [report] = (await ended) as [BurstReport]
  return report
}

function requestOf(url: string): string {
  const body = JSON.stringify({ url })
  const head = [
    'POST /v1/requests HTTP/1.1',
    'Host: localhost',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Sallyport-Key: ${KEY}`,
    `X-Sallyport-Timeout: ${PATIENCE_MS}ms`,
  ]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}

function goodputOf({ outcomes, seconds }: BurstReport): number {
  return (outcomes.ok ?? 0) / seconds
}

/** Until the end of the last half second in which calls were not served well, ms. */
function recoveryOf({ steps }: BurstReport): number {
  for (let end = steps.length; end >= WELL_STEPS; end--) {
    const part = steps.slice(end - WELL_STEPS, end)
    const sum = (of: 'offered' | 'good') => part.reduce((total, step) => total + step[of], 0)
    if (sum('good') < sum('offered') * WELL) return end * STEP_MS
  }
  return 0
}

/** `admin` null: it did not always answer; `probes` so for the others. */
interface Longest {
  readonly probes: number | null
  readonly admin: number | null
}

/** Probes and scrapes at the port of their own, as docs/overload.md has it; the admin entrance where callers are. */
function startProbes(gateway: Server, ownPort: string): { stop(): Promise<Longest> } {
  const asked: Record<keyof Longest, Promise<number | null>[]> = { probes: [], admin: [] }
  const probe = async (url: string): Promise<number | null> => {
    const from = performance.now()
    const answer = await fetch(url, { headers: { 'x-sallyport-key': KEY } }).catch(() => null)
    await answer?.arrayBuffer()
    return answer?.status === 200 ? performance.now() - from : null
  }
  const timer = setInterval(() => {
    for (const path of PROBES) asked.probes.push(probe(ownPort + path))
    asked.admin.push(probe(`${gateway.url}/v1/admin/adapters`))
  }, PROBE_EVERY_MS)
  const longest = async (of: keyof Longest): Promise<number | null> =>
    (await Promise.all(asked[of])).reduce((most, ms) => (most === null || ms === null ? null : Math.max(most, ms)), 0)
  return {
    async stop() {
      clearInterval(timer)
      return { probes: await longest('probes'), admin: await longest('admin') }
    },
  }
}

function describe({ name, peak, burst, goodput, share, recoveryMs, longest, memoryMiB }: Row): string {
  const others = Object.entries(burst.outcomes)
    .filter(([outcome]) => outcome !== 'ok')
    .map(([outcome, count]) => `${outcome} ${count}`)
  return [
    `overload, ${name}`,
    `  peak ${peak.toFixed(0)}/s; offered ${(burst.offered / burst.seconds).toFixed(0)}/s: ` +
      `${goodput.toFixed(0)}/s answered well, ${(share * 100).toFixed(0)} % of the peak, p99 ${burst.p99Ms.toFixed(0)} ms`,
    `  the others: ${others.join(', ') || 'none'}`,
    `  recovered after ${recoveryMs} ms; probes and metrics ${within(longest.probes)}, admin ${within(longest.admin)}; ` +
      `${memoryMiB.toFixed(0)} MiB`,
  ].join('\n')
}

const within = (ms: number | null): string => (ms === null ? 'did not always answer' : `within ${ms.toFixed(0)} ms`)

function broken({ name, share, recoveryMs, longest }: Row, promised: Promised): string[] {
  const found: string[] = []
  if (share < promised.share) found.push(`only ${(share * 100).toFixed(0)} % of the peak at ${TIMES} times its load`)
  if (recoveryMs > promised.recoveryMs) found.push(`not well again ${promised.recoveryMs} ms after it`)
  if (longest.probes === null) found.push('a probe or the metrics did not answer')
  if (longest.admin === null) found.push('the admin entrance did not answer')
  return found.map((what) => `overload, ${name}: ${what}`)
}
