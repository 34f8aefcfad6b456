// What was measured, for people and for machines: one table, one JSON file, one plot and the tables of docs/performance.md and the README,
// with the facts of the machine. Written row by row, so that a benchmark that is interrupted has not been in vain.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release } from 'node:os'
import { join } from 'node:path'
import type { Row } from './compare.ts'
import { type Benchmark, majorOf, withCosts, withFigures } from './figures.ts'
import { plotOf } from './plot.ts'
import { ROOT } from './servers.ts'

/** Over the last minute; what is above 1 or 2 came from others. */
export const loadNow = (): number => Math.round((loadavg()[0] ?? 0) * 10) / 10

export function printRow({ case: name, servers, checks, notes }: Row): void {
  console.log(`\n${name}`)
  if (Object.keys(servers).length > 0) console.table(tableOf(servers))
  for (const { what, value, aim } of checks) console.log(`${what}: ${value}, aim ${aim}${value <= aim ? '' : ', missed'}`)
  for (const note of notes) console.log(note)
}

function tableOf(servers: Row['servers'], prefix = ''): Record<string, Record<string, number>> {
  return Object.fromEntries(
    Object.entries(servers).map(([name, { cpuMicros, ratio, p50Micros, p99Micros, perSecond, residentMiB }]) => [
      `${prefix}${name}`,
      {
        'CPU µs/request': cpuMicros,
        'of the first': ratio,
        'p50 ms': p50Micros / 1000,
        'p99 ms': p99Micros / 1000,
        'requests/s': perSecond,
        MiB: residentMiB,
      },
    ]),
  )
}

/** Everything, once more, in one piece. */
export function printAll(rows: readonly Row[]): void {
  console.table(Object.assign({}, ...rows.map((row) => tableOf(row.servers, `${row.case}: `))))
  console.table(
    rows.flatMap((row) =>
      row.checks.map(({ what, value, aim }) => ({ case: row.case, what, value, aim, met: value <= aim ? 'yes' : 'no' })),
    ),
  )
}

const DOCS = join(ROOT, 'docs')
const JSON_FILE = join(DOCS, 'benchmark.json')
const PAGE = join(DOCS, 'performance.md')
const README = join(ROOT, 'README.md')

/** Takes the place of the same case's row on the same Node; other rows stay: a benchmark can be run in pieces. */
export function writeRow(row: Row, run: { readonly rounds: number; readonly node: string; readonly loadBefore: number }): void {
  const machine = { cpu: cpus()[0]?.model ?? '', cores: cpus().length, kernel: release() }
  const fresh = { ...row, node: run.node, at: new Date().toISOString().slice(0, 10), rounds: run.rounds }
  const old: Benchmark = existsSync(JSON_FILE) ? JSON.parse(readFileSync(JSON_FILE, 'utf8')) : { machine, rows: [] }
  const others = old.rows.filter((kept) => kept.case !== row.case || majorOf(kept.node) !== majorOf(run.node))
  const benchmark: Benchmark = { machine, rows: [...others, { ...fresh, load: [run.loadBefore, loadNow()] }] }
  writeFileSync(JSON_FILE, `${JSON.stringify(benchmark, null, 2)}\n`)
  writeFileSync(join(DOCS, 'benchmark.svg'), plotOf(benchmark))
  writeFileSync(PAGE, withFigures(readFileSync(PAGE, 'utf8'), benchmark))
  writeFileSync(README, withCosts(readFileSync(README, 'utf8'), benchmark))
}
