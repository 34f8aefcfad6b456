// Where the gateway's time goes under load: a CPU profile that any DevTools open, a flame graph, and a table of self time by file.
//   npm run profile [-- --seconds N] [--bytes N] [--connections N] [--wait MS] [--node PATH]   into profile/
//     --wait: what the upstream takes
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { documentOf } from './document.ts'
import { flameGraph, selfByFile, treeOf } from './flame.ts'
import { drive } from './load.ts'
import { warmUp } from './measure.ts'
import { startNginx } from './nginx.ts'
import { KEY, ROOT, runOn, type Server, startGateway, startScript } from './servers.ts'

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    bytes: { type: 'string', default: '1000' },
    connections: { type: 'string', default: '64' },
    wait: { type: 'string', default: '0' },
    node: { type: 'string', default: process.execPath },
  },
})
const FILES = 25
const PATIENCE_MS = 30_000

async function ended({ pid }: Server): Promise<void> {
  for (const until = performance.now() + PATIENCE_MS; performance.now() < until; await pause(50)) {
    try {
      process.kill(pid, 0)
    } catch {
      return
    }
  }
  throw new Error('the gateway did not end, and left no profile')
}

async function main(): Promise<void> {
  runOn(options.node)
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-profile-'))
  const profiles = join(folder, 'profiles')
  const running: Server[] = []
  try {
    const bytes = Number(options.bytes)
    const nginx =
      options.wait !== '0' ? null : await startNginx(join(folder, 'upstream'), new Map([[String(bytes), documentOf(bytes)]]))
    const upstream = nginx ?? (await startScript('upstream.ts', [options.wait]))
    running.push(upstream)
    const gateway = await startGateway(upstream.url, join(folder, 'gateway'), {
      ...{ adapter: { pool: { connections: 1000 }, limits: { concurrency: 1000 } }, profileTo: profiles },
      root: { overload: { eventLoopDelay: '60s' } },
    })
    running.push(gateway)
    const headers = { 'content-type': 'application/json', 'x-sallyport-key': KEY }
    const load = {
      ...{ url: `${gateway.url}/v1/requests`, headers, body: JSON.stringify({ url: `${upstream.url}/${bytes}` }) },
      ...{ connections: Number(options.connections), seconds: Number(options.seconds), refused: false },
    }
    await warmUp(gateway, load)
    const from = Number(process.hrtime.bigint() / 1000n)
    const { perSecond } = await drive(load)
    gateway.stop()
    await ended(gateway)
    tell(profiles, { from, perSecond })
  } finally {
    for (const server of running) server.stop()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

function tell(profiles: string, { from, perSecond }: { readonly from: number; readonly perSecond: number }): void {
  const [name] = readdirSync(profiles)
  if (name === undefined) throw new Error('the gateway left no profile')
  const target = join(ROOT, 'profile')
  mkdirSync(target, { recursive: true })
  const file = join(target, 'gateway.cpuprofile')
  const text = readFileSync(join(profiles, name), 'utf8')
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
  const tree = treeOf(JSON.parse(text), from)
  writeFileSync(join(target, 'flame.svg'), flameGraph(tree))
  const whole = tree.total / 1000
  console.log(
    `${Math.round(perSecond)} calls a second while profiled; self time of ${Math.round(whole)} ms, without the start and the warm-up:`,
  )
  console.table(
    selfByFile(tree)
      .slice(0, FILES)
      .map(([of, ms]) => ({ file: of, ms: Math.round(ms), '%': Math.round((ms / whole) * 1000) / 10 })),
  )
  console.log('profile/flame.svg: open it in a browser; profile/gateway.cpuprofile: load it into the DevTools')
}

await main()
