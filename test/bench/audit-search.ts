// How soon a million audit records are searched: a generator of a month of calls, the index made from its files, and every filter, pair
// of filters and three of them, with other values each time, the first page and the next. Half a gigabyte of temporary files, some minutes.
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuditKeys } from '../../src/audit/audit-keys.ts'
import { type ChainWriter, openChain } from '../../src/audit/chain-writer.ts'
import { compressOld } from '../../src/audit/compress.ts'
import { openTrailSearch } from '../../src/audit/search.ts'
import type { AuditQuery } from '../../src/model/audit-search.ts'

const START = Date.UTC(2026, 0, 1)
const DAY = 86_400_000

type Random = (below: number) => number

function createRandom(seed: number): Random {
  let state = seed
  return (below) => {
    // xorshift32
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** A few callers and hosts make most of the calls. */
const skewed = (random: Random, names: number): number => Math.min(random(names), random(names))

function record(chain: ChainWriter, number: number, random: Random): void {
  const id = `${number.toString(16).padStart(8, '0')}-${random(1e9)}`
  const [caller, adapter] = [`caller-${skewed(random, 40)}`, `adapter-${skewed(random, 25)}`]
  const origin = `https://api-${skewed(random, 60)}.example.com`
  const url = `${origin}/v1/things/${random(1e6)}?key=***`
  const failed = random(200) === 0
  const tags = { team: `team-${random(20)}`, order: String(random(200_000)) }
  const [status, error] = failed ? [null, 'ReadTimeout' as const] : [random(50) === 0 ? 503 : 200, null]
  const intent = chain.append([
    { kind: 'intent', record: { id, caller, method: 'GET', url, adapter, credential: 'token', tags } },
  ])
  const attempts = [
    { hop: 0, origin, address: '203.0.113.9', status: status ?? undefined, sent: 'yes' as const, elapsed: random(3000) / 10 },
  ]
  const ended = { id, intent, caller, url, adapter, status, error, sent: 'yes' as const, credential: `token@${1 + random(5)}` }
  const known = attempts.map(({ status: answered, ...rest }) => (answered === undefined ? rest : { ...rest, status: answered }))
  const sizes = { durationMs: random(100) === 0 ? random(30_000) : random(3000) / 10, bytesOut: 0, bytesIn: random(10_000) }
  chain.append([{ kind: 'result', record: { ...ended, attempts: known, ...sizes } }])
}

type Filter = 'time' | 'caller' | 'adapter' | 'host' | 'status' | 'error' | 'tag' | 'request id' | 'credential' | 'duration'

function filters(random: Random): { readonly [K in Filter]: AuditQuery } {
  const from = START + random(29) * DAY
  return {
    time: { from, to: from + DAY },
    caller: { caller: `caller-${random(40)}` },
    adapter: { adapter: `adapter-${random(25)}` },
    host: { host: `api-${random(60)}.example.com` },
    status: { status: random(2) ? '5xx' : 503 },
    error: { error: random(2) ? 'any' : 'ReadTimeout' },
    tag: { tags: [random(2) ? `team=team-${random(20)}` : `order=${random(200_000)}`] },
    'request id': { requestId: 'none' },
    credential: { credential: `token@${1 + random(5)}` },
    duration: { minDurationMs: 20_000 + random(10_000) },
  }
}

/** One filter, each two of them, and as many threes, drawn. */
function questions(random: Random): [name: string, query: AuditQuery][] {
  const all = Object.entries(filters(random))
  const pairs = all.flatMap(([name, query], at) =>
    all.slice(at + 1).map(([other, more]): [string, AuditQuery] => [`${name} + ${other}`, { ...query, ...more }]),
  )
  const threes = pairs.map(([name, query], at): [string, AuditQuery] => {
    const others = all.filter(([other]) => !name.split(' + ').includes(other))
    const [third, more] = others[(at + random(others.length)) % others.length] ?? ['', {}]
    return [`${name} + ${third}`, { ...query, ...more }]
  })
  return [['none', {}], ...all, ['what no record has', { status: 418 }], ...pairs, ...threes]
}

const milliseconds = async (work: () => Promise<unknown>): Promise<number> => {
  const begun = performance.now()
  await work()
  return performance.now() - begun
}

const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0

/** `kept`: a folder for the trail, which is used again where it stands there already; null: a temporary one. */
export async function benchAuditSearch(records: number, rounds: number, kept: string | null): Promise<void> {
  const dataDir = kept ?? mkdtempSync(join(tmpdir(), 'sallyport-bench-audit-'))
  const folder = join(dataDir, 'audit')
  try {
    if (!existsSync(folder)) await generate(folder, records)
    await measure(folder, join(dataDir, 'audit-index.db'), rounds)
  } finally {
    if (kept === null) rmSync(dataDir, { recursive: true, force: true })
  }
}

async function generate(folder: string, records: number): Promise<void> {
  mkdirSync(folder, { recursive: true })
  let now = START
  const random = createRandom(4711)
  const keys = createAuditKeys([{ id: 'k', key: Buffer.alloc(32, 1) }])
  const chain = openChain({ folder, writer: 'gateway', clock: { date: () => now }, keys })
  const step = (30 * DAY) / (records / 2)
  const written = await milliseconds(async () => {
    for (let number = 0; number < records / 2; number++) {
      now = Math.floor(START + number * step)
      record(chain, number, random)
    }
  })
  chain.close()
  const packed = await milliseconds(() => compressOld(folder, { now, afterMs: DAY }))
  console.log(`${records} records: written in ${(written / 1000).toFixed(1)} s, compressed in ${(packed / 1000).toFixed(1)} s`)
}

async function measure(folder: string, indexFile: string, rounds: number): Promise<void> {
  const random = createRandom(42)
  const search = openTrailSearch(folder, indexFile)
  const indexed = await milliseconds(() => search.catchUp())
  console.log(`indexed in ${(indexed / 1000).toFixed(1)} s, index ${Math.round(statSync(indexFile).size / 2 ** 20)} MiB`)
  const times = new Map<string, number[]>()
  const add = (name: string, took: number): void => void times.set(name, [...(times.get(name) ?? []), took])
  for (let round = 0; round < rounds; round++)
    for (const [name, query] of questions(random)) {
      let cursor: string | null = null
      const first = async (): Promise<void> => {
        cursor = (await search.search(query)).nextCursor
      }
      add(name, await milliseconds(first))
      if (cursor !== null) add(`${name}${NEXT}`, await milliseconds(() => search.search({ ...query, cursor: cursor ?? '' })))
    }
  await search.close()
  const [load = 0] = loadavg()
  console.log(`${cpus().length} cores, ${cpus()[0]?.model}, load ${load.toFixed(1)}, Node ${process.version}`)
  print(times)
}

const NEXT = ', next page'

function print(times: ReadonlyMap<string, readonly number[]>): void {
  const row = (values: readonly number[]) => {
    const sorted = values.toSorted((a, b) => a - b)
    const [middle, late, longest] = [at(sorted, 0.5), at(sorted, 0.95), sorted.at(-1) ?? 0].map(Math.round)
    return { searches: values.length, 'p50 ms': middle, 'p95 ms': late, 'longest ms': longest }
  }
  const filtersIn = (name: string): number => name.split(' + ').length
  const group = (holds: (name: string) => boolean) =>
    row([...times].filter(([name]) => holds(name)).flatMap(([, values]) => values))
  const slowest = (count: number) =>
    Object.fromEntries(
      [...times]
        .filter(([name]) => filtersIn(name) === count && !name.endsWith(NEXT))
        .map(([name, values]) => [name, row(values)] as const)
        .sort(([, a], [, b]) => (b['p95 ms'] ?? 0) - (a['p95 ms'] ?? 0))
        .slice(0, count === 1 ? 99 : 5),
    )
  console.log('one filter:')
  console.table(slowest(1))
  console.log('two filters, the slowest pairs:')
  console.table(slowest(2))
  console.log('three filters, the slowest:')
  console.table(slowest(3))
  console.table({
    'one filter': group((name) => filtersIn(name) === 1),
    'two filters': group((name) => filtersIn(name) === 2),
    'three filters': group((name) => filtersIn(name) === 3),
    'next pages': group((name) => name.endsWith(NEXT)),
    all: group(() => true),
  })
}
