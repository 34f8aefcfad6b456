// How long from the start of the process to the first good /readyz: the first start and later ones; from the sources, and from dist/,
// which is built first, each compiled ahead as setting up and the container image do.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Bench, type Check, hundredths, type Row } from './compare.ts'
import { cpuMicros } from './measure.ts'
import { freePort } from './nginx.ts'
import { nodePath, ROOT } from './servers.ts'

const LATER = 5
const AIM_S = 1

export async function startToReady({ folder, upstream }: Bench): Promise<Row> {
  execFileSync(process.execPath, [join(ROOT, 'deploy', 'build.mjs')], { cwd: ROOT, stdio: 'inherit' })
  const checks: Check[] = []
  const notes = [`later: the median of ${LATER}`]
  for (const [name, tree, main] of [
    ['from the sources', ROOT, 'src/main.ts'],
    ['built', join(ROOT, 'dist'), 'src/main.js'],
  ] as const) {
    const at = join(folder, `start-${name.replaceAll(' ', '-')}`)
    compile(tree, at)
    const first = await startOnce(join(tree, main), at, upstream)
    const later: Started[] = []
    for (let index = 0; index < LATER; index++) later.push(await startOnce(join(tree, main), at, upstream))
    const median = later.sort((a, b) => a.seconds - b.seconds)[Math.floor(LATER / 2)] ?? first
    checks.push({ what: `${name}, first, s`, value: hundredths(first.seconds), aim: AIM_S })
    checks.push({ what: `${name}, later, s`, value: hundredths(median.seconds), aim: AIM_S })
    notes.push(`${name}: ${first.cpuSeconds.toFixed(2)} s of CPU first, ${median.cpuSeconds.toFixed(2)} s later`)
  }
  return { case: 'start', servers: {}, checks, notes }
}

function compile(tree: string, folder: string): void {
  execFileSync(nodePath(), [join(tree, 'deploy', 'compile.mjs')], { env: environment(folder), stdio: 'inherit' })
}

function environment(folder: string): NodeJS.ProcessEnv {
  return { ...process.env, NODE_COMPILE_CACHE: join(folder, 'compiled') }
}

interface Started {
  readonly seconds: number
  /** Of the processor, all threads together: what a busy machine changes less. */
  readonly cpuSeconds: number
}

/** The folder keeps the compiled code for the next one. */
async function startOnce(main: string, folder: string, upstream: string): Promise<Started> {
  mkdirSync(folder, { recursive: true })
  const port = await freePort()
  const config = join(folder, 'sallyport.json')
  const adapters = [{ name: 'bench', mount: `${upstream}/`, egress: { allow: ['127.0.0.0/8'] } }]
  writeFileSync(config, JSON.stringify({ listen: { port }, dataDir: join(folder, 'data'), adapters }))
  const begun = performance.now()
  const child = spawn(nodePath(), [main, '--config', config], { stdio: 'ignore', env: environment(folder) })
  const exited = once(child, 'exit')
  while (!(await isReady(port))) {
    if (child.exitCode !== null) throw new Error(`${main} ended with ${child.exitCode}`)
    await pause(5)
  }
  const started = { seconds: (performance.now() - begun) / 1000, cpuSeconds: cpuMicros(child.pid ?? 0) / 1e6 }
  child.kill()
  await exited
  return started
}

function isReady(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path: '/readyz', agent: false }, (answer) => {
      answer.resume()
      resolve(answer.statusCode === 200)
    })
    request.on('error', () => resolve(false))
  })
}
