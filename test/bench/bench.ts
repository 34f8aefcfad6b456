// What a call through the gateway costs beside a bare relay that does nothing else (relay.ts) and services as written by hand.
// Warmed up, they take turns in short rounds, so that whatever else the machine does meets all alike. No test asserts a figure.
//   npm run bench [-- --short | --case NAME [--write]] [--rounds N] [--node PATH] [--calls N]
//     --write: that case's row in docs/benchmark.json and the plot are replaced, as a run of all replaces all
//     --node PATH: everything measured runs on that Node   --calls N: of the soak, default 100000
//   npm run bench -- --case audit-search [--records N] [--rounds N]     another thing: how soon the audit trail is searched;
//                                        [--trail FOLDER]              with a trail that is kept there, and used again
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { benchAuditSearch } from './audit-search.ts'
import { BODIES, CASES, type Contestants, ladder, measureCase, PLAIN, storedCredential } from './cases.ts'
import type { Bench, Row } from './compare.ts'
import { startNginx } from './nginx.ts'
import { loadNow, printAll, printRow, writeReport } from './report.ts'
import { halfLoad, manyAdapters, manyCallers, manyConnections, manyOrigins, soak, twoWorkers } from './scale.ts'
import { nodePath, runOn, type Server, startGateway, startScript } from './servers.ts'
import { startToReady } from './start.ts'

const { values: options } = parseArgs({
  options: {
    case: { type: 'string' },
    rounds: { type: 'string' },
    short: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    node: { type: 'string', default: process.execPath },
    calls: { type: 'string', default: '100000' },
    records: { type: 'string', default: '1000000' },
    trail: { type: 'string' },
  },
})

/** null: what it needs is not installed. */
type Measure = (bench: Bench) => Promise<Row | null>

/** Those that start gateways of their own. */
const OTHERS: Readonly<Record<string, Measure>> = {
  start: startToReady,
  credential: storedCredential,
  '1000-connections': manyConnections,
  'half-load': halfLoad,
  '2000-adapters': manyAdapters,
  '10000-callers': manyCallers,
  '5000-origins': manyOrigins,
  '2-workers': twoWorkers,
  soak: (bench) => soak(bench, Number(options.calls)),
  ladder,
}

/** Of the form for CI, where a second or two must do. */
const SHORT = [PLAIN.name, 'refusal']

function wantedNames(): readonly string[] {
  const all = [...CASES.map(({ name }) => name), ...Object.keys(OTHERS)]
  if (options.case === undefined) return options.short ? SHORT : all
  if (!all.includes(options.case)) throw new Error(`no case ${options.case}; there are ${all.join(', ')}, audit-search`)
  return [options.case]
}

async function main(): Promise<number> {
  runOn(options.node)
  const wanted = wantedNames()
  const rounds = Number(options.rounds ?? (options.short ? 4 : 12))
  const loadBefore = loadNow()
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
  const running: Server[] = []
  const keep = async (starting: Promise<Server>): Promise<Server> => {
    const server = await starting
    running.push(server)
    return server
  }
  const rows: Row[] = []
  const take = (row: Row | null): void => {
    if (row === null) return
    printRow(row)
    rows.push(row)
  }
  try {
    const nginx = await startNginx(join(folder, 'upstream'), BODIES)
    const { url: upstream } = await keep(nginx ? Promise.resolve(nginx) : startScript('upstream.ts'))
    const bench: Bench = { upstream, relay: await keep(startScript('relay.ts')), rounds, folder, keep }
    const calls = CASES.filter(({ name }) => wanted.includes(name))
    if (calls.length > 0) {
      const contestants = await startContestants(bench)
      for (const one of calls) take(await measureCase(one, bench, contestants))
      for (const server of [contestants.gateway, ...Object.values(contestants.rivals)]) server.stop()
    }
    for (const [name, measure] of Object.entries(OTHERS)) if (wanted.includes(name)) take(await measure(bench))
  } finally {
    for (const server of running) server.stop()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  if (options.short) return judge(rows)
  if (options.case === undefined) printAll(rows)
  if (options.case === undefined || options.write) {
    const node = execFileSync(nodePath(), ['--version'], { encoding: 'utf8' }).trim()
    writeReport(rows, { rounds, node, loadBefore })
  }
  return 0
}

async function startContestants({ upstream, folder, keep }: Bench): Promise<Contestants> {
  const gateway = await keep(startGateway(upstream, join(folder, 'gateway')))
  return { gateway, rivals: options.short ? {} : { 'express, axios, opossum': await keep(startScript('rival.ts')) } }
}

/** Of an aim. Where the aims are missed by a factor of about two, as they are today, less would fail on any busy machine. */
const GROSS = 3

/** Only gross regressions fail. */
function judge(rows: readonly Row[]): number {
  let gross = 0
  for (const row of rows)
    for (const { what, value, aim } of row.checks)
      if (value > aim * GROSS) {
        console.error(`${row.case}: ${what} is ${value}; the aim is ${aim}`)
        gross++
      }
  return gross > 0 ? 1 : 0
}

if (options.case === 'audit-search')
  await benchAuditSearch(Number(options.records), Number(options.rounds ?? 10), options.trail ?? null)
else process.exitCode = await main()
