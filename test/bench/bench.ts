// `npm run bench`: CPU per request (user + system of the process under test) and latency of the gateway, of a bare relay and
// of a service written by hand, interleaved in one run. Ratios are what to read: machines are shared and noisy.
//   --case NAME   one case      --rounds N   rounds of each (default 9)      --seconds N   a round's length (default 2)
//   --short       three short rounds; fails only where a ratio is more than twice its aim
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import autocannon from 'autocannon'

const HERE = import.meta.dirname
const ROOT = join(HERE, '..', '..')
const { values: options } = parseArgs({
  options: {
    case: { type: 'string' },
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '2' },
    short: { type: 'boolean', default: false },
  },
})

interface Case {
  readonly name: string
  readonly connections: number
  readonly descriptor: (origin: string) => unknown
  /** What the gateway's CPU per request may be of the relay's. */
  readonly aim: number
  readonly rival: boolean
}

const item = (index: number): object => ({ id: index, name: `item ${index}`, tags: ['a', 'b'], price: 12.5 })
const CASES: readonly Case[] = [
  { name: 'get-1k', connections: 64, aim: 1.5, rival: true, descriptor: (origin) => ({ url: `${origin}/1000` }) },
  { name: 'get-1k-1-connection', connections: 1, aim: 1.5, rival: false, descriptor: (origin) => ({ url: `${origin}/1000` }) },
  {
    name: 'post-10k',
    connections: 64,
    aim: 1.5,
    rival: true,
    descriptor: (origin) => ({ url: `${origin}/1000`, method: 'POST', json: Array.from({ length: 180 }, (_, i) => item(i)) }),
  },
  { name: 'get-64k', connections: 64, aim: 1.5, rival: true, descriptor: (origin) => ({ url: `${origin}/65536` }) },
  { name: 'get-10m', connections: 4, aim: 1.5, rival: false, descriptor: (origin) => ({ url: `${origin}/10000000` }) },
  { name: 'refusal', connections: 64, aim: 1, rival: false, descriptor: () => ({ url: 'https://nowhere.example/' }) },
]

interface Server {
  readonly child: ChildProcess
  readonly url: string
}

interface Round {
  readonly cpuMicros: number
  readonly p50: number
  readonly p99: number
  readonly perSecond: number
}

function started(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve((message as { port: number }).port))
    child.once('exit', (code) => reject(new Error(`ended with ${code} before it listened`)))
  })
}

async function startScript(file: string): Promise<Server> {
  const child = fork(join(HERE, file), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  return { child, url: `http://127.0.0.1:${await started(child)}` }
}

/** The gateway as a user runs it, everything on: limits, retry, breaker, audit, metrics, one log line a call. */
async function startGateway(upstream: string, folder: string): Promise<Server> {
  const file = join(folder, 'bench.yaml')
  writeFileSync(
    file,
    `listen: { host: 127.0.0.1, port: 0 }
dataDir: ${folder}
adapters:
  - name: bench
    mount: ${upstream}/
    egress: { allow: [127.0.0.0/8] }
    responseSize: 32MiB
`,
  )
  const child = fork(join(ROOT, 'src', 'main.ts'), ['--config', file], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  return { child, url: `http://127.0.0.1:${await started(child)}` }
}

/** User and system time of a process in microseconds, from the kernel's accounting in ticks of 10 ms. */
function cpuMicros(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

async function round(server: Server, body: string, connections: number, seconds: number, refused: boolean): Promise<Round> {
  const pid = server.child.pid ?? 0
  const before = cpuMicros(pid)
  const result = await autocannon({
    url: `${server.url}/v1/requests`,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    connections,
    duration: seconds,
  })
  const done = result['2xx'] + (refused ? result.non2xx : 0)
  if (done === 0 || result.errors > 0)
    throw new Error(`${done} answered, ${result.errors} errors, ${result.non2xx} refused at ${server.url}`)
  return {
    cpuMicros: (cpuMicros(pid) - before) / done,
    p50: result.latency.p50,
    p99: result.latency.p99,
    perSecond: done / seconds,
  }
}

/** The mean of the lower third: what it costs when nobody else is in the way. */
function lowerThird(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const third = sorted.slice(0, Math.max(1, Math.ceil(sorted.length / 3)))
  return third.reduce((sum, value) => sum + value, 0) / third.length
}

type Results = Map<string, Round[]>

async function measure(
  one: Case,
  servers: Map<string, Server>,
  upstream: string,
  rounds: number,
  seconds: number,
): Promise<Results> {
  const body = JSON.stringify(one.descriptor(upstream))
  const plain = JSON.stringify(CASES[0]?.descriptor(upstream))
  const results: Results = new Map()
  for (let index = -1; index < rounds; index++) {
    for (const [name, server] of servers) {
      if (name === 'rival' && !one.rival) continue
      // A refusal has no relay to compare with: it is compared with the relay's plain call.
      const ask = one.name === 'refusal' && name !== 'gateway' ? plain : body
      const result = await round(server, ask, one.connections, index < 0 ? 1 : seconds, one.name === 'refusal')
      if (index >= 0) results.set(name, [...(results.get(name) ?? []), result])
    }
  }
  return results
}

interface Row {
  readonly case: string
  readonly aim: number
  readonly servers: Record<string, { cpuMicros: number; ratio: number; p50: number; p99: number; perSecond: number }>
}

function summarise(one: Case, results: Results): Row {
  const base = lowerThird((results.get('relay') ?? []).map((result) => result.cpuMicros))
  const servers: Row['servers'] = {}
  for (const [name, all] of results) {
    const cpu = lowerThird(all.map((result) => result.cpuMicros))
    servers[name] = {
      cpuMicros: Math.round(cpu),
      ratio: Math.round((cpu / base) * 100) / 100,
      p50: lowerThird(all.map((result) => result.p50)),
      p99: lowerThird(all.map((result) => result.p99)),
      perSecond: Math.round(Math.max(...all.map((result) => result.perSecond))),
    }
  }
  return { case: one.name, aim: one.aim, servers }
}

function print(rows: readonly Row[]): void {
  const lines = rows.flatMap((row) =>
    Object.entries(row.servers).map(([name, figures]) => ({
      case: row.case,
      server: name,
      'CPU µs/request': figures.cpuMicros,
      'of the relay': figures.ratio,
      'p50 ms': figures.p50,
      'p99 ms': figures.p99,
      'requests/s': figures.perSecond,
    })),
  )
  console.table(lines)
}

async function main(): Promise<number> {
  const rounds = options.short ? 3 : Number(options.rounds)
  const seconds = options.short ? 1 : Number(options.seconds)
  const wanted = CASES.filter((one) => (options.case ? one.name === options.case : !options.short || one.name === 'get-1k'))
  if (wanted.length === 0) throw new Error(`no case ${options.case}; there are ${CASES.map((one) => one.name).join(', ')}`)

  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
  const upstream = await startScript('upstream.ts')
  const servers = new Map([
    ['relay', await startScript('relay.ts')],
    ['gateway', await startGateway(upstream.url, folder)],
    ['rival', await startScript('rival.ts')],
  ])
  const rows: Row[] = []
  try {
    for (const one of wanted) rows.push(summarise(one, await measure(one, servers, upstream.url, rounds, seconds)))
  } finally {
    for (const { child } of [upstream, ...servers.values()]) child.kill()
    rmSync(folder, { recursive: true, force: true })
  }
  print(rows)
  const gross = rows.filter((row) => (row.servers.gateway?.ratio ?? 0) > row.aim * 2)
  for (const row of gross)
    console.error(`${row.case}: ${row.servers.gateway?.ratio} times the relay, more than twice the aim of ${row.aim}`)
  if (!options.short && !options.case) {
    const machine = {
      node: process.version,
      cpu: cpus()[0]?.model,
      cores: cpus().length,
      at: new Date().toISOString().slice(0, 10),
    }
    writeFileSync(join(ROOT, 'docs', 'benchmark.json'), `${JSON.stringify({ machine, rounds, seconds, rows }, null, 2)}\n`)
  }
  return options.short && gross.length > 0 ? 1 : 0
}

process.exitCode = await main()
