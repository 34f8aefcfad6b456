// The benchmark's checks as a plot: a bar each, measured in its aim. Plain SVG, legible on light and on dark ground.
import type { Row } from './compare.ts'

const BAR = 22
const LEFT = 330
const WIDTH = 860
/** Bars end here: so many times the aim. */
const MOST = 2.5

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

export function plotOf(rows: readonly Row[], caption: string): string {
  const checks = rows.flatMap((row) => row.checks.map((check) => ({ ...check, what: `${row.case}: ${check.what}` })))
  const scale = (WIDTH - LEFT - 150) / MOST
  const height = checks.length * BAR + 60
  const lineX = LEFT + scale
  const bars = checks.map(({ what, value, aim }, index) => {
    const y = 34 + index * BAR
    const width = Math.max(2, Math.min(MOST, value / aim) * scale)
    return `<text x="${LEFT - 10}" y="${y + 12}" text-anchor="end">${escaped(what)}</text>
<rect x="${LEFT}" y="${y}" width="${width.toFixed(1)}" height="15" class="${value <= aim ? 'met' : 'missed'}"/>
<text x="${(LEFT + width + 8).toFixed(1)}" y="${y + 12}">${value} (aim ${aim})</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12" role="img">
<title>What was measured, of what is aimed at</title>
<style>text{fill:#24292f}.met{fill:#2f8132}.missed{fill:#b35900}line{stroke:#24292f;stroke-dasharray:3 3}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.met{fill:#56b45a}.missed{fill:#e8943a}line{stroke:#e6edf3}}</style>
<text x="${lineX}" y="16" text-anchor="middle">the aim</text>
<line x1="${lineX}" y1="22" x2="${lineX}" y2="${height - 28}"/>
${bars.join('\n')}
<text x="10" y="${height - 8}" font-size="11">${escaped(caption)}</text>
</svg>
`
}
