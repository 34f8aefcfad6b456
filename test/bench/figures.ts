// docs/benchmark.json as the tables of docs/performance.md and of the README.
import { withSection } from '../../docs/section.ts'
import type { Row } from './compare.ts'

/** A row as it is kept: with the Node that it was measured on, how busy the machine was, and how many rounds there were. */
export interface Kept extends Row {
  readonly node: string
  readonly at: string
  readonly rounds: number
  readonly load: readonly [before: number, after: number]
}

export interface Benchmark {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly kernel: string }
  readonly rows: readonly Kept[]
}

const TITLES: Readonly<Record<string, string>> = {
  'get-1k': '1 KB JSON GET, 64 connections',
  'get-1k-1-connection': '1 KB JSON GET, one connection',
  'post-10k': '10 KB JSON POST',
  'get-64k': '64 KB JSON answer',
  'get-64k-base64': '64 KB answer, `decode: "base64"`',
  'get-10m': '10 MB JSON answer, four at once',
  'get-10m-base64': '10 MB answer, `decode: "base64"`, four at once',
  'get-10m-text': '10 MB answer, `decode: "text"`, four at once',
  'large-answers': 'four answers of 10 MB at once',
  refusal: 'a refusal: no adapter on the URL',
  start: 'from the start of the process to ready',
  credential: 'a credential stored in Redis',
  '1000-connections': '1000 connections to an upstream that takes 200 ms',
  'half-load': 'half of the most that the gateway takes',
  '2000-adapters': '2,000 adapters',
  '10000-callers': '10,000 callers',
  '5000-origins': '5,000 origins',
  '2-workers': 'two workers',
  soak: 'many calls in a row',
}

const NAMES = Object.keys(TITLES)
/** Those whose servers are compared with rivals. */
const BESIDE = ['get-1k', 'post-10k', 'get-64k']

export const majorOf = (node: string): string => node.replace(/^v/, '').split('.')[0] ?? node

export function withFigures(page: string, benchmark: Benchmark): string {
  const tables = withSection(page, 'figures', figures(benchmark))
  const compared = withSection(tables, 'rivals', rivals(benchmark))
  return withSection(compared, 'layers', layers(benchmark))
}

/** The README with the figures that stand there. */
export function withCosts(page: string, benchmark: Benchmark): string {
  const [newest] = nodesOf(benchmark)
  const row = (name: string) => rowOf(benchmark, name, newest)
  const ratio = (name: string, server = 'gateway') => row(name)?.servers[server]?.ratio.toFixed(2) ?? '–'
  const value = (name: string, what: string) => row(name)?.checks.find((check) => check.what === what)?.value ?? '–'
  const relay = Math.round(row('get-1k')?.servers.relay?.cpuMicros ?? 0)
  const bodies = `1 KB JSON ${ratio('get-1k')}; 10 KB POST ${ratio('post-10k')}; 64 KB JSON ${ratio('get-64k')}; 10 MB JSON ${ratio('get-10m')}`
  const others = Object.keys(row('get-1k')?.servers ?? {}).filter((name) => name !== 'relay' && name !== 'gateway')
  const beside = others.map((name) => `${name} ${ratio('get-1k', name)}`).join('; ')
  const many = ['10000-callers', '5000-origins', '2000-adapters'].map(
    (name) => `${TITLES[name]} ${value(name, 'CPU, many of one')}`,
  )
  const first = value('start', 'from the sources, first, s')
  return withSection(page, 'costs', [
    ...['', '| | |', '|---|---|'],
    `| CPU of a call, of that of a bare node:http + undici relay (${relay} µs for 1 KB) | ${bodies} |`,
    `| others, 1 KB JSON | ${beside} |`,
    `| many at once, of the cost of one | ${many.join('; ')} |`,
    `| from start to ready | ${value('start', 'from the sources, later, s')} s; the first start ${first} s |`,
    '',
  ])
}

/** The newest Node first. */
function nodesOf({ rows }: Benchmark): string[] {
  return [...new Set(rows.map(({ node }) => majorOf(node)))].sort((a, b) => Number(b) - Number(a))
}

const rowOf = ({ rows }: Benchmark, name: string, major: string | undefined): Kept | undefined =>
  rows.find((row) => row.case === name && majorOf(row.node) === major)

function figures(benchmark: Benchmark): string[] {
  const nodes = nodesOf(benchmark)
  const lines: string[] = []
  const notes: string[] = []
  for (const name of NAMES) {
    const rows = nodes.map((node) => rowOf(benchmark, name, node))
    const [first] = rows.filter((row) => row !== undefined)
    for (const { what, aim } of first?.checks ?? []) {
      const values = rows.map((row) => row?.checks.find((check) => check.what === what)?.value)
      lines.push(`| ${TITLES[name]} | ${what} | ${values.map((value) => shown(value, aim)).join(' | ')} | ${aim} |`)
    }
    for (const note of rows[0]?.notes ?? []) notes.push(`- ${TITLES[name]}: ${note}`)
  }
  return [
    ...['', factsOf(benchmark), ''],
    `| case | figure | ${nodes.map((node) => `Node ${node}`).join(' | ')} | aim |`,
    `|---|---|${nodes.map(() => '---|').join('')}---|`,
    ...lines,
    '',
    ...notes,
    '',
  ]
}

/** What meets its aim stands out. */
function shown(value: number | undefined, aim: number): string {
  if (value === undefined) return ''
  return value <= aim ? `**${value}**` : `${value}`
}

export function factsOf({ machine, rows }: Benchmark): string {
  const loads = rows.flatMap(({ load }) => load)
  const versions = [...new Set(rows.map(({ node }) => node))].sort().toReversed()
  const days = [...new Set(rows.map(({ at }) => at))].sort()
  const rounds = [...new Set(rows.map((row) => row.rounds))].sort((a, b) => a - b)
  return `${machine.cores} cores ${machine.cpu}, kernel ${machine.kernel}, Node ${versions.join(' and ')}, ${rounds.join(' or ')} rounds, load of the machine ${Math.min(...loads)} to ${Math.max(...loads)}, ${days.join(', ')}`
}

function rivals(benchmark: Benchmark): string[] {
  const [newest] = nodesOf(benchmark)
  const rows = BESIDE.map((name) => rowOf(benchmark, name, newest))
  const [plain] = rows
  const lines = byCost(plain?.servers ?? {}).map(([name, { cpuMicros, p50Micros, perSecond, residentMiB }]) => {
    const ratios = rows.map((row) => row?.servers[name]?.ratio.toFixed(2) ?? '')
    return `| ${name} | ${ratios.join(' | ')} | ${cpuMicros} | ${(p50Micros / 1000).toFixed(1)} | ${perSecond} | ${residentMiB} |`
  })
  return [
    '',
    '| CPU a call, of the relay | 1 KB GET | 10 KB POST | 64 KB GET | 1 KB: µs | p50 ms | calls/s | MiB |',
    '|---|---|---|---|---|---|---|---|',
    ...lines,
    '',
  ]
}

export function byCost(servers: Row['servers']): [string, Row['servers'][string]][] {
  return Object.entries(servers).sort(([, a], [, b]) => a.cpuMicros - b.cpuMicros)
}

/** The second of the ladder's servers, after the relay, is the gateway with everything on. */
function layers(benchmark: Benchmark): string[] {
  const [newest] = nodesOf(benchmark)
  const [, whole, ...rungs] = Object.entries(rowOf(benchmark, 'ladder', newest)?.servers ?? {})
  if (whole === undefined) return ['', 'Not measured yet.', '']
  const lines = [whole, ...rungs].map(([name, { cpuMicros, ratio }], index) => {
    const difference = cpuMicros - whole[1].cpuMicros
    const sign = difference > 0 ? '+' : ''
    return `| ${name} | ${cpuMicros} | ${ratio.toFixed(2)} | ${index === 0 ? '' : `${sign}${difference.toFixed(1)}`} |`
  })
  return ['', '| a 1 KB GET with | CPU µs | of the relay | difference, µs |', '|---|---|---|---|', ...lines, '']
}
