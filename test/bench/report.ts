// What was measured, for people and for machines: one table, one JSON file, one plot, with the facts of the machine.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release } from 'node:os'
import { join } from 'node:path'
import type { Row } from './compare.ts'
import { plotOf } from './plot.ts'
import { ROOT } from './servers.ts'

/** Over the last minute; what is above 1 or 2 came from others. */
export const loadNow = (): number => Math.round((loadavg()[0] ?? 0) * 10) / 10

export function printRow({ case: name, servers, checks, notes }: Row): void {
  console.log(`\n${name}`)
  if (Object.keys(servers).length > 0) console.table(figuresOf(servers))
  for (const { what, value, aim } of checks) console.log(`${what}: ${value}, aim ${aim}${value <= aim ? '' : ', missed'}`)
  for (const note of notes) console.log(note)
}

function figuresOf(servers: Row['servers'], prefix = ''): Record<string, Record<string, number>> {
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
  console.table(Object.assign({}, ...rows.map((row) => figuresOf(row.servers, `${row.case}: `))))
  console.table(
    rows.flatMap((row) =>
      row.checks.map(({ what, value, aim }) => ({ case: row.case, what, value, aim, met: value <= aim ? 'yes' : 'no' })),
    ),
  )
}

/** A row as it is kept: with how busy the machine was and how many rounds there were. */
type Kept = Row & { readonly rounds: number; readonly load: readonly [before: number, after: number] }

const JSON_FILE = join(ROOT, 'docs', 'benchmark.json')

/** The rows of other cases stay as they were: a benchmark can be run in pieces. */
export function writeReport(
  rows: readonly Row[],
  run: { readonly rounds: number; readonly node: string; readonly loadBefore: number },
): void {
  const machine = {
    node: run.node,
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    kernel: release(),
    at: new Date().toISOString().slice(0, 10),
  }
  const fresh = rows.map((row): Kept => ({ ...row, rounds: run.rounds, load: [run.loadBefore, loadNow()] }))
  const others = readKept().filter((old) => rows.every((row) => row.case !== old.case))
  const kept = [...others, ...fresh]
  writeFileSync(JSON_FILE, `${JSON.stringify({ machine, rows: kept }, null, 2)}\n`)
  const loads = kept.flatMap(({ load }) => load)
  const caption = `${machine.cores} cores ${machine.cpu}, Node ${run.node}, kernel ${machine.kernel}, load ${Math.min(...loads)} to ${Math.max(...loads)}, ${machine.at}`
  writeFileSync(join(ROOT, 'docs', 'benchmark.svg'), plotOf(kept, caption))
}

function readKept(): readonly Kept[] {
  return existsSync(JSON_FILE) ? JSON.parse(readFileSync(JSON_FILE, 'utf8')).rows : []
}
