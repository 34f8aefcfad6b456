// The benchmark as a plot: what a small call costs beside rivals, and each figure measured in its aim. Plain SVG, legible on light and
// on dark ground.
import { type Benchmark, byCost, factsOf, majorOf } from './figures.ts'

const BAR = 22
const LEFT = 390
const WIDTH = 900
const ROOM = WIDTH - LEFT - 150
const HEAD = 34
/** Bars end here: so many times the aim. */
const MOST = 2.5

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

interface Bar {
  readonly label: string
  readonly length: number
  readonly tells: string
  readonly kind: 'met' | 'missed' | 'ours' | 'theirs'
}

function drawn({ label, length, tells, kind }: Bar, y: number): string {
  return `<text x="${LEFT - 10}" y="${y + 12}" text-anchor="end">${escaped(label)}</text>
<rect x="${LEFT}" y="${y}" width="${Math.max(2, length).toFixed(1)}" height="15" class="${kind}"/>
<text x="${(LEFT + length + 8).toFixed(1)}" y="${y + 12}">${escaped(tells)}</text>`
}

/** Of the newest Node alone. */
export function plotOf(benchmark: Benchmark): string {
  const newest = Math.max(...benchmark.rows.map(({ node }) => Number(majorOf(node))))
  const rows = benchmark.rows.filter(({ node }) => Number(majorOf(node)) === newest)
  const plain = byCost(rows.find((row) => row.case === 'get-1k')?.servers ?? {})
  const dearest = plain.at(-1)?.[1].ratio ?? 1
  const costs = plain.map(([name, { ratio, cpuMicros }]): Bar => {
    const kind = name === 'gateway' ? 'ours' : 'theirs'
    return { label: name, length: (ratio / dearest) * ROOM, tells: `${ratio} (${cpuMicros} µs)`, kind }
  })
  const checks = rows.flatMap((row) =>
    row.checks.map(({ what, value, aim }): Bar => {
      const length = (Math.min(MOST, value / aim) * ROOM) / MOST
      return { label: `${row.case}: ${what}`, length, tells: `${value} (aim ${aim})`, kind: value <= aim ? 'met' : 'missed' }
    }),
  )
  const below = HEAD + costs.length * BAR + 20
  const height = below + HEAD + checks.length * BAR + 30
  const lineX = LEFT + ROOM / MOST
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12" role="img">
<title>What was measured: a small call beside rivals, and each figure of what is aimed at</title>
<style>text{fill:#24292f}.met,.ours{fill:#2f8132}.missed{fill:#b35900}.theirs{fill:#8c959f}line{stroke:#24292f;stroke-dasharray:3 3}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.met,.ours{fill:#56b45a}.missed{fill:#e8943a}line{stroke:#e6edf3}}</style>
<text x="${LEFT}" y="16">CPU of a 1 KB GET, of the relay's</text>
${costs.map((bar, index) => drawn(bar, HEAD + index * BAR)).join('\n')}
<text x="${lineX}" y="${below + 16}" text-anchor="middle">the aim</text>
<line x1="${lineX}" y1="${below + 22}" x2="${lineX}" y2="${height - 28}"/>
${checks.map((bar, index) => drawn(bar, below + HEAD + index * BAR)).join('\n')}
<text x="10" y="${height - 8}" font-size="11">${escaped(factsOf(benchmark))}</text>
</svg>
`
}
