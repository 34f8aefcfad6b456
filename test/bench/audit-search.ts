// How soon a million audit records are searched: a generator of a month of calls, the index made from its files, and a mix of
// questions as operators ask them, each with other values each time. Bounded: about a gigabyte of temporary files, some minutes.
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
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

function questions(random: Random): Record<string, AuditQuery> {
  const from = START + random(29) * DAY
  return {
    'the newest': {},
    'a caller': { caller: `caller-${random(40)}` },
    'a host': { host: `api-${random(60)}.example.com` },
    'an adapter on a day': { adapter: `adapter-${random(25)}`, from, to: from + DAY },
    'an error of a caller': { error: 'ReadTimeout', caller: `caller-${random(40)}` },
    'a status of a host': { status: '5xx', host: `api-${random(60)}.example.com` },
    'slow calls of an adapter': { minDurationMs: 25_000, adapter: `adapter-${random(25)}` },
    'a tag': { tags: [`order=${random(200_000)}`] },
    'a tag of a caller that failed': { tags: [`team=team-${random(20)}`], error: 'any', caller: `caller-${random(40)}` },
    'a credential in an hour': { credential: `token@${1 + random(5)}`, from, to: from + 3_600_000 },
    'a request id that is not there': { requestId: 'none' },
    'nothing at all': { status: 418 },
  }
}

const milliseconds = async (work: () => Promise<unknown>): Promise<number> => {
  const begun = performance.now()
  await work()
  return performance.now() - begun
}

const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0

export async function benchAuditSearch(records: number, rounds: number): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'sallyport-bench-audit-'))
  const folder = join(dataDir, 'audit')
  mkdirSync(folder)
  try {
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
    const indexFile = join(dataDir, 'audit-index.db')
    const search = openTrailSearch(folder, indexFile)
    const indexed = await milliseconds(() => search.catchUp())
    console.log(
      `${records} records: written in ${(written / 1000).toFixed(1)} s, compressed in ${(packed / 1000).toFixed(1)} s, indexed in ${(indexed / 1000).toFixed(1)} s, index ${Math.round(statSync(indexFile).size / 2 ** 20)} MiB`,
    )
    const times = new Map<string, number[]>()
    for (let round = 0; round < rounds; round++)
      for (const [name, query] of Object.entries(questions(random))) {
        const took = await milliseconds(() => search.search(query))
        times.set(name, [...(times.get(name) ?? []), took])
      }
    await search.close()
    print(times)
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}

function print(times: ReadonlyMap<string, readonly number[]>): void {
  const row = (values: readonly number[]) => {
    const sorted = values.toSorted((a, b) => a - b)
    return {
      'p50 ms': Math.round(at(sorted, 0.5)),
      'p95 ms': Math.round(at(sorted, 0.95)),
      'longest ms': Math.round(sorted.at(-1) ?? 0),
    }
  }
  console.table(
    Object.fromEntries([...[...times].map(([name, values]) => [name, row(values)]), ['all', row([...times.values()].flat())]]),
  )
}
