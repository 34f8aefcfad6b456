// A V8 CPU profile as a flame graph, and its self time by file. Width is time; what calls stands below what is called.

export interface CpuProfile {
  /** Microseconds of the machine's monotonic clock, which all processes share. */
  readonly startTime: number
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
    readonly children?: readonly number[]
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

interface Frame {
  readonly name: string
  readonly file: string
  self: number
  total: number
  /** By name and file: the tree has a node a call site. */
  readonly children: Map<string, Frame>
}

const ROW = 16
const WIDTH = 1400
/** Narrower frames are not drawn, px. */
const LEAST = 0.6

/** `src/…` as it stands, packages by their names, Node's own modules and the engine's own work as they are called. */
function fileOf(url: string, name: string): string {
  if (url === '') return name.startsWith('(') ? name : 'native'
  const inPackage = url.lastIndexOf('node_modules/')
  if (inPackage >= 0) return url.slice(inPackage + 'node_modules/'.length)
  const inSource = url.lastIndexOf('/src/')
  return inSource >= 0 ? url.slice(inSource + 1) : url
}

/** Without the time in which there was nothing to do, and without what came before `from`, microseconds as those of the profile. */
export function treeOf({ startTime, nodes, samples, timeDeltas }: CpuProfile, from: number): Frame {
  const self = new Map<number, number>()
  let at = startTime
  samples.forEach((id, index) => {
    const passed = timeDeltas[index] ?? 0
    at += passed
    if (at >= from) self.set(id, (self.get(id) ?? 0) + passed)
  })
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const top: Frame = { name: 'all', file: '', self: 0, total: 0, children: new Map() }
  const add = (id: number, parent: Frame): number => {
    const node = byId.get(id)
    if (node === undefined || ['(idle)', '(program)'].includes(node.callFrame.functionName)) return 0
    const name = node.callFrame.functionName || '(anonymous)'
    const file = fileOf(node.callFrame.url, name)
    const key = `${name} ${file}`
    const frame = parent.children.get(key) ?? { name, file, self: 0, total: 0, children: new Map<string, Frame>() }
    parent.children.set(key, frame)
    const own = self.get(id) ?? 0
    frame.self += own
    const whole = (node.children ?? []).reduce((sum, child) => sum + add(child, frame), own)
    frame.total += whole
    return whole
  }
  const root = nodes[0]
  for (const id of root?.children ?? []) top.total += add(id, top)
  return top
}

/** Milliseconds, the most first. */
export function selfByFile(tree: Frame): readonly (readonly [file: string, ms: number])[] {
  const sums = new Map<string, number>()
  const walk = (frame: Frame): void => {
    sums.set(frame.file, (sums.get(frame.file) ?? 0) + frame.self / 1000)
    for (const child of frame.children.values()) walk(child)
  }
  walk(tree)
  return [...sums].sort(([, a], [, b]) => b - a)
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

/** Own code, packages, and the rest in three colours. */
function colourOf(file: string): string {
  if (file.startsWith('src/')) return '#f28e2b'
  return file.startsWith('node:') || file.startsWith('(') || file === 'native' || file === '' ? '#bab0ac' : '#76b7b2'
}

function depthOf(frame: Frame): number {
  return 1 + Math.max(0, ...[...frame.children.values()].map(depthOf))
}

export function flameGraph(tree: Frame): string {
  const depth = Math.min(depthOf(tree), 120)
  const height = depth * ROW + 10
  const drawn: string[] = []
  const draw = (frame: Frame, x: number, level: number): void => {
    const width = (frame.total / tree.total) * WIDTH
    if (width < LEAST || level >= depth) return
    const y = height - (level + 1) * ROW
    const label = width > 40 ? escaped(frame.name.slice(0, Math.floor(width / 6.5))) : ''
    const told = `${frame.name} ${frame.file}: ${((frame.total / tree.total) * 100).toFixed(1)} %, ${(frame.total / 1000).toFixed(0)} ms`
    drawn.push(
      `<g><title>${escaped(told)}</title><rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${ROW - 1}" fill="${colourOf(frame.file)}"/><text x="${(x + 3).toFixed(1)}" y="${y + 12}">${label}</text></g>`,
    )
    let at = x
    for (const child of frame.children.values()) {
      draw(child, at, level + 1)
      at += (child.total / tree.total) * WIDTH
    }
  }
  draw(tree, 0, 0)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="monospace" font-size="11">
<rect width="100%" height="100%" fill="#fff"/>
${drawn.join('\n')}
</svg>
`
}
