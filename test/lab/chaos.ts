// `npm run chaos`: a real gateway between real load, an upstream and a Redis that are spoilt one way after another. Prints a
// table and ends with 1 where a promise was broken: a call without an answer, an acknowledged call that was not carried out,
// a POST carried out twice, a request without its credential, or no recovery.
//   --short            each fault for a moment, at a lower rate; for CI
//   --overload         only far more calls than can be served
//   --scenario TEXT    only those whose name contains it
//   --rate N           calls a second (default 300)
//   --seconds N        how long each fault lasts (default 8)
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startGateway } from '../bench/servers.ts'
import { startRedis } from '../support/redis.ts'
import { MASTER, startSentinelSet } from '../support/redis-topologies.ts'
import { type CountingUpstream, startCountingUpstream } from './counting-upstream.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import { type Call, startLoad } from './load.ts'
import { runOverload } from './overload.ts'
import { FAILOVERS, SCENARIOS, type Scenario, type SentinelWorld, type World } from './scenarios.ts'

interface Row {
  readonly scenario: string
  readonly storeForgets: boolean
  /** Requests that reached the upstream without their credential. */
  readonly bare: number
  readonly offered: number
  readonly outcomes: ReadonlyMap<string, number>
  /** Without any answer. */
  readonly unanswered: number
  /** Acknowledged, and the upstream never saw it. */
  readonly lost: number
  /** POSTs that reached the upstream twice, and those with a key that reached it again after they were acknowledged. */
  readonly duplicated: number
  /** The caller was told `sent: no`, and the upstream carried it out. */
  readonly falseNo: number
  readonly longestStallMs: number
  /** From the fault's end until the last call that failed; null: calls still failed at the end. */
  readonly recoveryMs: number | null
}

/** The gateway's own clocks, short so that a fault of seconds shows its whole course. */
const ADAPTER = {
  timeout: { connect: '500ms', read: '1s', total: '3s' },
  retry: { total: 2, backoffFactor: '50ms', backoffMax: '300ms' },
  breaker: { volume: 20, window: '3s', openFor: '1s', probes: 2 },
  limits: { concurrency: 100, queue: 200 },
}
const BEFORE_MS = 1000
/** Calls go on for so long after a fault's end. */
const AFTER_MS = 6000
/** Of it, the last part must be without a failure. */
const CALM_MS = 1500

const OVERLOAD = { share: 0.8, recoveryMs: 5000 }
/** Machines that others use as well lend a process its share of a processor by the moment: only a collapse is told from that. */
const SHORT_OVERLOAD = { share: 0.1, recoveryMs: 5500 }

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      short: { type: 'boolean', default: false },
      scenario: { type: 'string', default: '' },
      overload: { type: 'boolean', default: false },
      rate: { type: 'string' },
      seconds: { type: 'string' },
    },
  })
  const runOver = (): Promise<string[]> => runOverload(values.short ? 2 : 8, values.short ? SHORT_OVERLOAD : OVERLOAD)
  if (values.overload) return tell(await runOver())
  const perSecond = Number(values.rate ?? (values.short ? 60 : 300))
  const faultMs = Number(values.seconds ?? (values.short ? 1.5 : 8)) * 1000
  const named = <W>(scenarios: readonly Scenario<W>[]) => scenarios.filter(({ name }) => name.includes(values.scenario))
  const pace = { perSecond, faultMs, afterMs: values.short ? AFTER_MS / 2 : AFTER_MS }
  const rows = [
    ...(await runAll(named(SCENARIOS), buildWorld, pace)),
    ...(await runAll(named(FAILOVERS), buildSentinelWorld, pace)),
  ]
  if (rows.length === 0)
    throw new Error(`no scenario is called so; there are: ${[...SCENARIOS, ...FAILOVERS].map(({ name }) => name).join(', ')}`)
  process.stdout.write(`${table(rows)}\n`)
  const overloaded = values.short && values.scenario === '' ? await runOver() : []
  const answered = rows.reduce((sum, { offered, unanswered }) => sum + offered - unanswered, 0)
  process.stdout.write(`${answered} of ${rows.reduce((sum, { offered }) => sum + offered, 0)} calls were answered\n`)
  return tell([...rows.flatMap(promisesBroken), ...overloaded])
}

/** The exit code. */
function tell(broken: readonly string[]): number {
  for (const promise of broken) process.stdout.write(`BROKEN  ${promise}\n`)
  return broken.length === 0 ? 0 : 1
}

interface Built<W> {
  readonly world: W
  readonly upstream: CountingUpstream
  /** Where the gateway reaches it. */
  readonly upstreamUrl: string
  readonly gateway: string
  close(): Promise<void>
}

/** Every scenario of a kind in one world, one after the other. */
async function runAll<W>(scenarios: readonly Scenario<W>[], build: () => Promise<Built<W>>, pace: Pace): Promise<Row[]> {
  if (scenarios.length === 0) return []
  const built = await build()
  try {
    const rows: Row[] = []
    for (const scenario of scenarios) {
      process.stderr.write(`${scenario.name} …\n`)
      rows.push(await run(scenario, built, pace))
    }
    return rows
  } finally {
    await built.close()
  }
}

async function buildWorld(): Promise<Built<World>> {
  // What Redis acknowledged must be there when it comes back, or nobody could promise anything.
  const redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
  const storeWire = await startFaultProxy({ port: redis.port })
  const { wire, ...built } = await buildGateway(`redis://127.0.0.1:${storeWire.port}`)
  return {
    ...built,
    world: { wire, storeWire, upstream: built.upstream, redis },
    async close() {
      await built.close()
      await Promise.all([storeWire.close(), redis.stop()])
    },
  }
}

async function buildSentinelWorld(): Promise<Built<SentinelWorld>> {
  const sentinels = await startSentinelSet()
  const { wire: _wire, ...built } = await buildGateway({
    sentinels: sentinels.sentinels.map(({ port }) => `127.0.0.1:${port}`),
    master: MASTER,
  })
  return {
    ...built,
    world: { sentinels },
    async close() {
      await built.close()
      await sentinels.stop()
    },
  }
}

async function buildGateway(redis: string | object): Promise<Omit<Built<never>, 'world'> & { readonly wire: FaultProxy }> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-chaos-'))
  const upstream = await startCountingUpstream()
  const wire = await startFaultProxy({ port: upstream.port })
  const store = { keyFile: join(folder, 'gateway', 'keys'), redis, staleFor: '5m' }
  const upstreamUrl = `http://127.0.0.1:${wire.port}`
  const gateway = await startGateway(upstreamUrl, join(folder, 'gateway'), { adapter: ADAPTER, root: { store } })
  const [, token = ''] = readFileSync(join(folder, 'gateway', 'values'), 'utf8')
    .trim()
    .split('token=')
  upstream.expect(token)
  return {
    upstream,
    upstreamUrl,
    wire,
    gateway: gateway.url,
    async close() {
      gateway.stop()
      await Promise.all([wire.close(), upstream.close()])
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

interface Pace {
  readonly perSecond: number
  readonly faultMs: number
  readonly afterMs: number
}

async function run<W>(scenario: Scenario<W>, built: Built<W>, { perSecond, faultMs, afterMs }: Pace): Promise<Row> {
  const { world, upstream, upstreamUrl, gateway } = built
  const bareBefore = upstream.bare
  const load = startLoad({ gateway, upstream: upstreamUrl, perSecond, times: upstream.times })
  await sleep(BEFORE_MS)
  await scenario.begin(world)
  await sleep(faultMs)
  await scenario.end(world)
  const healedAt = performance.now()
  await sleep(afterMs)
  const stoppedAt = performance.now()
  await load.stop()
  const { calls } = load
  const failed = calls.filter(({ issuedAt, acknowledged }) => issuedAt > healedAt && !acknowledged)
  const lastFailed = failed.at(-1)?.issuedAt ?? healedAt
  const outcomes = new Map<string, number>()
  for (const { outcome } of calls) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  const times = ({ name }: Call): number => upstream.times(name)
  return {
    scenario: scenario.name,
    storeForgets: scenario.storeForgets ?? false,
    bare: upstream.bare - bareBefore,
    offered: calls.length,
    outcomes,
    unanswered: calls.filter(({ outcome }) => outcome.startsWith('unanswered')).length,
    lost: calls.filter((call) => call.acknowledged && times(call) === 0).length,
    duplicated: calls.filter((call) => doneTwice(call, times(call))).length,
    falseNo: calls.filter((call) => call.kind !== 'keyed' && call.saidUnsent && times(call) > 0).length,
    longestStallMs: longestStall(calls),
    recoveryMs: lastFailed > stoppedAt - CALM_MS ? null : lastFailed - healedAt,
  }
}

/** Before a call with a key is acknowledged it may be tried again, under its key; afterwards nothing goes out any more. */
function doneTwice({ kind, seenWhenAcknowledged }: Call, times: number): boolean {
  if (kind === 'post') return times > 1
  return seenWhenAcknowledged !== null && times > seenWhenAcknowledged
}

/** The longest time in which no call at all was answered well. */
function longestStall(calls: readonly Call[]): number {
  const ends = calls.filter(({ acknowledged }) => acknowledged).map(({ endedAt }) => endedAt)
  const first = calls[0]?.issuedAt ?? 0
  const sorted = [first, ...ends.sort((a, b) => a - b)]
  return sorted.reduce((longest, end, index) => Math.max(longest, end - (sorted[index - 1] ?? end)), 0)
}

function promisesBroken({ scenario, storeForgets, bare, unanswered, lost, duplicated, falseNo, recoveryMs }: Row): string[] {
  const promises: [number | boolean, string][] = [
    [unanswered, 'calls without an answer'],
    [lost, 'acknowledged calls that were never carried out'],
    [bare, 'requests that reached the upstream without their credential'],
    [storeForgets ? 0 : duplicated, 'POSTs carried out more than once'],
    [falseNo, 'calls said not to have been sent, and carried out'],
  ]
  const broken = promises.filter(([count]) => count !== 0).map(([count, what]) => `${scenario}: ${count} ${what}`)
  return recoveryMs === null ? [...broken, `${scenario}: calls still failed when the fault was long over`] : broken
}

function table(rows: readonly Row[]): string {
  const head = ['fault', 'offered', 'ok', 'answered otherwise', 'lost', 'twice', 'stall ms', 'recovery ms']
  const cells = rows.map((row) => [
    row.scenario,
    `${row.offered}`,
    `${row.outcomes.get('ok') ?? 0}`,
    [...row.outcomes]
      .filter(([outcome]) => outcome !== 'ok')
      .map(([outcome, count]) => `${outcome} ${count}`)
      .join(', ') || '-',
    `${row.lost + row.unanswered}`,
    `${row.duplicated}`,
    row.longestStallMs.toFixed(0),
    row.recoveryMs === null ? 'never' : row.recoveryMs.toFixed(0),
  ])
  const widths = head.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column]?.length ?? 0)))
  return [head, ...cells]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

process.exitCode = await main()
