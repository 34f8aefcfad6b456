// What a call through the gateway costs beside a bare relay that does nothing else (relay.ts) and a service as written by
// hand (rival.ts). Warmed up, they take turns in short rounds, so that whatever else the machine does meets all alike. No test
// asserts a figure.
//   npm run bench [-- --short | --case NAME | --ladder] [--rounds N]
//   npm run bench -- --case audit-search [--records N] [--rounds N]     another thing: how soon the audit trail is searched;
//                                        [--trail FOLDER]              with a trail that is kept there, and used again
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startRedis } from '../support/redis.ts'
import { benchAuditSearch } from './audit-search.ts'
import { countCosts } from './credential.ts'
import { documentOf } from './document.ts'
import type { Load } from './load.ts'
import { lowerThird, type Round, residentBytes, round, warmUp } from './measure.ts'
import { startNginx } from './nginx.ts'
import { KEY, ROOT, type Rung, type Server, startGateway, startScript } from './servers.ts'

const { values: options } = parseArgs({
  options: {
    case: { type: 'string' },
    rounds: { type: 'string' },
    short: { type: 'boolean', default: false },
    ladder: { type: 'boolean', default: false },
    records: { type: 'string', default: '1000000' },
    trail: { type: 'string' },
  },
})

interface Case {
  readonly name: string
  readonly connections: number
  /** Of a round. Absent: a second's. */
  readonly requests?: number
  readonly descriptor: (origin: string) => unknown
  /** What the gateway's CPU per request should be of the relay's. */
  readonly aim: number
  readonly rival?: true
  /** Of the gateway; the relay makes its plain call meanwhile. */
  readonly refused?: true
}

const BODIES = new Map([1000, 65_536, 10_000_000].map((bytes) => [String(bytes), documentOf(bytes)]))
const items = Array.from({ length: 180 }, (_, id) => ({ id, name: `item ${id}`, tags: ['a', 'b'], price: 12.5 }))
const get = (bytes: number, more: object = {}) => ({
  descriptor: (origin: string) => ({ url: `${origin}/${bytes}`, ...more }),
})

const CASES: readonly Case[] = [
  { name: 'get-1k', connections: 64, aim: 1.5, rival: true, ...get(1000) },
  { name: 'get-1k-1-connection', connections: 1, aim: 1.5, ...get(1000) },
  {
    name: 'post-10k',
    connections: 64,

    aim: 1.5,
    rival: true,
    descriptor: (origin) => ({ url: `${origin}/1000`, method: 'POST', json: items }),
  },
  { name: 'get-64k', connections: 64, aim: 1.1, rival: true, ...get(65_536) },
  { name: 'get-64k-base64', connections: 64, aim: 0.65, ...get(65_536, { decode: 'base64' }) },
  { name: 'get-10m', connections: 4, requests: 12, aim: 0.65, ...get(10_000_000) },
  { name: 'get-10m-base64', connections: 4, requests: 12, aim: 0.35, ...get(10_000_000, { decode: 'base64' }) },
  {
    name: 'refusal',
    connections: 64,

    aim: 0.55,
    refused: true,
    descriptor: () => ({ url: 'https://nowhere.example/' }),
  },
]
const [PLAIN] = CASES as readonly [Case]
/** The same call with and without a credential that is stored in Redis. */
const CREDENTIAL: Case = { ...PLAIN, name: 'credential' }

/** One thing after the other left out of a gateway with everything on; the last has as little as can be configured. */
const RUNGS: Readonly<Record<string, Rung>> = {
  'everything on': {},
  'no caller key, no grant': { open: true },
  'no credential': { adapter: { credentials: undefined } },
  'no breaker': { adapter: { breaker: 'off' } },
  'no retry': { adapter: { retry: 'off' } },
  'a rate limit more': { adapter: { limits: { rate: '1000000/s' } } },
  'audit not waited for': { root: { audit: { durability: 'best-effort' } } },
  'no log lines': { root: { log: { level: 'fatal' } } },
  'least of all': {
    open: true,
    adapter: { credentials: undefined, breaker: 'off', retry: 'off' },
    root: { audit: { durability: 'best-effort' }, log: { level: 'fatal' } },
  },
}

interface Figures {
  readonly cpuMicros: number
  /** CPU of the relay's in this case. */
  readonly ratio: number
  readonly p50Micros: number
  readonly p99Micros: number
  readonly perSecond: number
  readonly residentMiB: number
}

interface Row {
  readonly case: string
  readonly aim: number
  readonly servers: Record<string, Figures>
}

const HEADERS = { 'content-type': 'application/json', 'x-sallyport-key': KEY }

function loadOf(one: Case, server: Server, upstream: string, isGateway: boolean): Load {
  const { connections, requests, descriptor } = one.refused && !isGateway ? PLAIN : one
  const body = JSON.stringify(descriptor(upstream))
  const refused = one.refused === true && isGateway
  const url = `${server.url}/v1/requests`
  return { url, headers: HEADERS, body, connections, seconds: 1, ...(requests === undefined ? {} : { requests }), refused }
}

/** `servers`: the first is the one that the others are compared with. */
async function measure(one: Case, servers: ReadonlyMap<string, Server>, upstream: string, rounds: number): Promise<Row> {
  const taken = new Map<string, Round[]>([...servers.keys()].map((name) => [name, []]))
  const load = (name: string, server: Server): Load => loadOf(one, server, upstream, name !== 'relay' && name !== 'rival')
  for (const [name, server] of servers) await warmUp(load(name, server))
  for (let index = 0; index < rounds; index++) {
    // Each goes first as often as last: who follows whom must not matter.
    const turn = index % 2 === 0 ? [...servers] : [...servers].reverse()
    for (const [name, server] of turn) taken.get(name)?.push(await round(server, load(name, server)))
  }
  return { case: one.name, aim: one.aim, servers: figuresOf(taken, servers) }
}

function figuresOf(taken: ReadonlyMap<string, readonly Round[]>, servers: ReadonlyMap<string, Server>): Record<string, Figures> {
  const figures: Record<string, Figures> = {}
  let base = 0
  for (const [name, all] of taken) {
    const cpu = lowerThird(all.map((result) => result.cpuMicros))
    base ||= cpu
    figures[name] = {
      cpuMicros: Math.round(cpu * 10) / 10,
      ratio: Math.round((cpu / base) * 100) / 100,
      p50Micros: Math.round(lowerThird(all.map((result) => result.p50Micros))),
      p99Micros: Math.round(lowerThird(all.map((result) => result.p99Micros))),
      perSecond: Math.round(Math.max(...all.map((result) => result.perSecond))),
      residentMiB: Math.round(residentBytes(servers.get(name)?.pid ?? 0) / 2 ** 20),
    }
  }
  return figures
}

function print(row: Row): void {
  console.log(`\n${row.case}`)
  console.table(
    Object.fromEntries(
      Object.entries(row.servers).map(([name, { cpuMicros, ratio, p50Micros, p99Micros, perSecond, residentMiB }]) => [
        name,
        {
          'CPU µs/request': cpuMicros,
          'of the relay': ratio,
          'p50 ms': p50Micros / 1000,
          'p99 ms': p99Micros / 1000,
          'requests/s': perSecond,
          MiB: residentMiB,
        },
      ]),
    ),
  )
}

interface Bench {
  readonly relay: Server
  readonly upstream: string
  readonly folder: string
  readonly rounds: number
  readonly keep: (starting: Promise<Server>) => Promise<Server>
}

async function measureCredential({ relay, upstream, folder, rounds, keep }: Bench): Promise<void> {
  const redis = await startRedis()
  try {
    const start = (name: string, rung: Rung) => keep(startGateway(upstream, join(folder, name), { ...rung, redis: redis.url }))
    const without = await start('without', { adapter: { credentials: undefined } })
    const gateway = await start('with', {})
    const servers = new Map([['relay', relay], ['without credential', without], ['credential in Redis', gateway]]) // biome-ignore format: pairs
    const row = await measure(CREDENTIAL, servers, upstream, rounds)
    print(row)
    const [plain, credentialed] = ['without credential', 'credential in Redis'].map((name) => row.servers[name]?.cpuMicros ?? 0)
    console.log(`CPU with the credential: ${((credentialed ?? 0) / (plain ?? 1)).toFixed(2)} of the call without`)
    without.stop()
    for (const line of await countCosts(gateway, redis, loadOf(CREDENTIAL, gateway, upstream, true))) console.log(line)
  } finally {
    await redis.stop()
  }
}

async function main(): Promise<number> {
  const wanted = [...CASES, CREDENTIAL].filter(({ name }) =>
    options.case ? name === options.case : !(options.short || options.ladder) || name === PLAIN.name,
  )
  if (wanted.length === 0)
    throw new Error(`no case ${options.case}; there are ${[...CASES, CREDENTIAL].map(({ name }) => name).join(', ')}`)
  const rounds = Number(options.rounds ?? (options.short ? 4 : 12))
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
  const running: Server[] = []
  const keep = async (starting: Promise<Server>): Promise<Server> => {
    const server = await starting
    running.push(server)
    return server
  }
  const rows: Row[] = []
  try {
    const nginx = await startNginx(join(folder, 'upstream'), BODIES)
    const upstream = (await keep(nginx ? Promise.resolve(nginx) : startScript('upstream.ts'))).url
    const relay = await keep(startScript('relay.ts'))
    const servers = new Map([['relay', relay]])
    const rungs = Object.entries(options.ladder ? RUNGS : { gateway: {} })
    for (const [name, rung] of rungs) servers.set(name, await keep(startGateway(upstream, join(folder, name), rung)))
    console.log(
      `start to ready: ${rungs.map(([name]) => `${name} ${Math.round(servers.get(name)?.startMs ?? 0)} ms`).join(', ')}`,
    )
    const rival = options.ladder || options.short ? null : await keep(startScript('rival.ts'))
    for (const one of wanted) {
      if (one === CREDENTIAL) {
        await measureCredential({ relay, upstream, folder, rounds, keep })
        continue
      }
      const compared = one.rival && rival ? new Map([...servers, ['rival', rival]]) : servers
      const row = await measure(one, compared, upstream, rounds)
      print(row)
      rows.push(row)
    }
  } finally {
    for (const server of running) server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  if (!options.short && !options.case && !options.ladder) write(rows, rounds)
  return options.short ? judge(rows) : 0
}

/** Only gross regressions fail: twice what is aimed at. */
function judge(rows: readonly Row[]): number {
  const gross = rows.filter((row) => (row.servers.gateway?.ratio ?? 0) > row.aim * 2)
  for (const row of gross) console.error(`${row.case}: ${row.servers.gateway?.ratio} times the relay; the aim is ${row.aim}`)
  return gross.length > 0 ? 1 : 0
}

function write(rows: readonly Row[], rounds: number): void {
  const machine = {
    node: process.version,
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    // Over the last minute; what is above 1 or 2 came from others.
    load: Math.round((loadavg()[0] ?? 0) * 10) / 10,
    at: new Date().toISOString().slice(0, 10),
  }
  writeFileSync(join(ROOT, 'docs', 'benchmark.json'), `${JSON.stringify({ machine, rounds, rows }, null, 2)}\n`)
}

if (options.case === 'audit-search')
  await benchAuditSearch(Number(options.records), Number(options.rounds ?? 10), options.trail ?? null)
else process.exitCode = await main()
