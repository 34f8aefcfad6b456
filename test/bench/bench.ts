// What a call through the gateway costs beside a bare relay that does nothing else (relay.ts), services as written by hand and
// reverse proxies. Warmed up, they take turns in short rounds, so that whatever else the machine does meets all alike. No test
// asserts a figure.
//   npm run bench [-- --short | --case NAME... [--write]] [--rounds N] [--node PATH] [--calls N]
//     all: rows are written to docs/ as they are made, each in the place of the last of its case   --write: so are those of --case
//     --node PATH: everything measured runs on that Node   --calls N: of the soak, default 200000
//   npm run bench -- --case audit-search [--records N] [--rounds N]     another thing: how soon the audit trail is searched;
//                                        [--trail FOLDER]              with a trail that is kept there, and used again
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { benchAuditSearch } from './audit-search.ts'
import { BODIES, CASES, measureCase, PLAIN, startContestants, storedCredential } from './cases.ts'
import type { Bench, Row } from './compare.ts'
import { ladder } from './ladder.ts'
import { largeAnswers } from './large.ts'
import { startNginx } from './nginx.ts'
import { loadNow, printAll, printRow, writeRow } from './report.ts'
import { halfLoad, manyAdapters, manyCallers, manyConnections, manyOrigins, soak, twoWorkers } from './scale.ts'
import { nodePath, runOn, type Server, startScript } from './servers.ts'
import { startToReady } from './start.ts'

const { values: options } = parseArgs({
  options: {
    case: { type: 'string', multiple: true },
    rounds: { type: 'string' },
    short: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    node: { type: 'string', default: process.execPath },
    calls: { type: 'string', default: '200000' },
    records: { type: 'string', default: '1000000' },
    trail: { type: 'string' },
  },
})

/** Of an aim, in the form for CI: what is above it fails. */
const GROSS = 2

/** null: what it needs is not installed. */
type Measure = (bench: Bench) => Promise<Row | null>

/** Those that start gateways of their own. */
const OTHERS: Readonly<Record<string, Measure>> = {
  start: startToReady,
  credential: storedCredential,
  'large-answers': largeAnswers,
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
  for (const name of options.case)
    if (!all.includes(name)) throw new Error(`no case ${name}; there are ${all.join(', ')}, audit-search`)
  return options.case
}

async function main(): Promise<number> {
  runOn(options.node)
  const begun = performance.now()
  const rounds = Number(options.rounds ?? (options.short ? 4 : 24))
  const isKept = options.write || (options.case === undefined && !options.short)
  const node = execFileSync(nodePath(), ['--version'], { encoding: 'utf8' }).trim()
  const rows: Row[] = []
  let loadBefore = loadNow()
  for await (const row of measured(wantedNames(), rounds)) {
    printRow(row)
    rows.push(row)
    if (isKept) writeRow(row, { rounds, node, loadBefore })
    loadBefore = loadNow()
  }
  if (options.short) return judge(rows)
  if (rows.length > 1) printAll(rows)
  console.log(`${Math.round((performance.now() - begun) / 1000)} s in all, on Node ${node}`)
  return 0
}

async function* measured(wanted: readonly string[], rounds: number): AsyncGenerator<Row> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
  const running: Server[] = []
  const keep = async (starting: Promise<Server>): Promise<Server> => {
    const server = await starting
    running.push(server)
    return server
  }
  const end = (): void => {
    for (const server of running) server.stop()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  const interrupted = (): void => {
    end()
    process.exit(1)
  }
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted)
  try {
    const nginx = await startNginx(join(folder, 'upstream'), BODIES)
    const { url: upstream } = await keep(nginx ? Promise.resolve(nginx) : startScript('upstream.ts'))
    const bench: Bench = { upstream, relay: await keep(startScript('relay.ts')), rounds, folder, keep }
    const calls = CASES.filter(({ name }) => wanted.includes(name))
    if (calls.length > 0) {
      const contestants = await startContestants(bench, { rivals: !options.short })
      for (const one of calls) yield await measureCase(one, bench, contestants)
      contestants.stop()
    }
    for (const [name, measure] of Object.entries(OTHERS)) {
      const row = wanted.includes(name) ? await measure(bench) : null
      if (row !== null) yield row
    }
  } finally {
    end()
  }
}

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

if (options.case?.includes('audit-search'))
  await benchAuditSearch(Number(options.records), Number(options.rounds ?? 10), options.trail ?? null)
else process.exitCode = await main()
