// What a call costs as the work grows: many waiting connections, half of the most, many adapters, callers and origins, several
// workers, and a long time.
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Bench, type Check, compare, hundredths, type Row } from './compare.ts'
import { documentOf } from './document.ts'
import { drive, type Load } from './load.ts'
import { descriptors, median, residentBytes, round, warmUp } from './measure.ts'
import { startNginx } from './nginx.ts'
import { KEY, type Rung, type Server, startGateway, startScript } from './servers.ts'

const HEADERS = { 'content-type': 'application/json', 'x-sallyport-key': KEY }
const PATH = '/1000'
const STEP_SECONDS = 5
const RESTING_MS = 4000
/** Some timers come and go. */
const LOOKS = 5

function loadOn(server: Server, upstream: string, more: Partial<Load> = {}): Load {
  const body = JSON.stringify({ url: `${upstream}${PATH}` })
  return { url: `${server.url}/v1/requests`, headers: HEADERS, body, connections: 64, seconds: 1, refused: false, ...more }
}

const gatewayOf = (bench: Bench, name: string, rung: Rung = {}, upstream = bench.upstream): Promise<Server> =>
  bench.keep(startGateway(upstream, join(bench.folder, name.replaceAll(' ', '-')), rung))

const check = (what: string, value: number, aim: number): Check => ({ what, value: hundredths(value), aim })

/** 1000 connections to an upstream that takes 200 ms. */
export async function manyConnections(bench: Bench): Promise<Row> {
  const upstream = await bench.keep(startScript('upstream.ts', ['200']))
  const relay = await bench.keep(startScript('relay.ts'))
  const room = { pool: { connections: 1000 }, limits: { concurrency: 1000 } }
  const gateway = await gatewayOf(bench, 'many', { adapter: room, root: { overload: { eventLoopDelay: '60s' } } }, upstream.url)
  // Long rounds: each begins with 1000 connections and ends with 1000 calls that nobody waits for any more.
  const crowd = { connections: 1000, seconds: 10 }
  const subjects = {
    relay: { server: relay, load: loadOn(relay, upstream.url, crowd) },
    gateway: { server: gateway, load: loadOn(gateway, upstream.url, crowd) },
  }
  const servers = await compare(subjects, Math.min(bench.rounds, 5))
  for (const server of [upstream, relay, gateway]) server.stop()
  const memory = (servers.gateway?.residentMiB ?? 0) / (servers.relay?.residentMiB ?? 1)
  const checks = [check('CPU, of the relay', servers.gateway?.ratio ?? 0, 1.2), check('memory, of the relay', memory, 1.2)]
  return { case: '1000-connections', servers, checks, notes: ['no error: one would have ended the benchmark'] }
}

/** Both get half of the calls that the gateway can take at most. */
export async function halfLoad(bench: Bench): Promise<Row> {
  const { relay, upstream, rounds } = bench
  const gateway = await gatewayOf(bench, 'half')
  const full = loadOn(gateway, upstream)
  await warmUp(gateway, full)
  const most: number[] = []
  for (let index = 0; index < rounds; index++) most.push((await drive(full)).perSecond)
  const rate = Math.round(Math.max(...most) / 2)
  const paced = { rate, connections: 128, seconds: 2 }
  const servers = await compare(
    {
      relay: { server: relay, load: loadOn(relay, upstream, paced) },
      gateway: { server: gateway, load: loadOn(gateway, upstream, paced) },
    },
    rounds,
  )
  gateway.stop()
  const tails = (servers.gateway?.p99Micros ?? 0) / (servers.relay?.p99Micros ?? 1)
  const notes = [`${rate} calls a second, half of the most that the gateway took`]
  return { case: 'half-load', servers, checks: [check('p99, of the relay', tails, 2)], notes }
}

export async function manyAdapters(bench: Bench): Promise<Row> {
  const adapters = Array.from({ length: 1999 }, (_, id) => ({ name: `other-${id}`, mount: `https://api-${id}.example.com/` }))
  return flat(bench, '2000-adapters', { '1 adapter': {}, '2000 adapters': { adapters } })
}

export async function manyCallers(bench: Bench): Promise<Row> {
  const keys = Array.from({ length: 10_000 }, (_, id) => `${KEY}-${id}`)
  const callers = keys.map((key, id) => ({ name: `caller-${id}`, keys: [key], may: [{ adapter: 'bench' }] }))
  const body = JSON.stringify({ url: `${bench.upstream}${PATH}` })
  const turns = keys.map((key) => ({ headers: { ...HEADERS, 'x-sallyport-key': key }, body }))
  // All are configured for both: two processes differ by more than what is looked for.
  const server = await gatewayOf(bench, 'callers', { callers })
  const by = (some: typeof turns) => ({ server, load: loadOn(server, bench.upstream, { turns: some }) })
  const servers = await compare({ '1 caller': by(turns.slice(0, 1)), '10000 callers': by(turns) }, bench.rounds)
  server.stop()
  const notes = ['one gateway, asked by one caller and by all of them in turns']
  return { case: '10000-callers', servers, checks: [check('CPU, many of one', servers['10000 callers']?.ratio ?? 0, 1.1)], notes }
}

async function flat(bench: Bench, name: string, rungs: Readonly<Record<string, Rung>>): Promise<Row> {
  const subjects: Record<string, { server: Server; load: Load }> = {}
  for (const [rung, settings] of Object.entries(rungs)) {
    const server = await gatewayOf(bench, rung, settings)
    subjects[rung] = { server, load: loadOn(server, bench.upstream) }
  }
  const servers = await compare(subjects, bench.rounds)
  for (const { server } of Object.values(subjects)) server.stop()
  return { case: name, servers, checks: [check('CPU, many of one', Object.values(servers).at(-1)?.ratio ?? 0, 1.1)], notes: [] }
}

/** Every address of 127.0.0.0/8 is this machine. null: no nginx, which alone can answer at all of them. */
export async function manyOrigins(bench: Bench): Promise<Row | null> {
  const nginx = await startNginx(join(bench.folder, 'origins-upstream'), new Map([['1000', documentOf(1000)]]), '0.0.0.0')
  if (nginx === null) return null
  const upstream = await bench.keep(Promise.resolve(nginx))
  const { port } = new URL(upstream.url)
  const origins = Array.from({ length: 5000 }, (_, id) => `http://127.1.${Math.floor(id / 250)}.${(id % 250) + 1}:${port}`)
  const turns = origins.map((origin) => ({ headers: HEADERS, body: JSON.stringify({ url: `${origin}${PATH}` }) }))
  const rung: Rung = { adapter: { mount: 'http://', credentials: undefined, allowPlaintextSecrets: undefined } }
  const [one, many] = [await gatewayOf(bench, '1 origin', rung), await gatewayOf(bench, '5000 origins', rung)]
  const single = loadOn(one, upstream.url)
  // As warm as it gets with one origin, so that what is added is the origins'.
  await drive({ ...loadOn(many, upstream.url), seconds: STEP_SECONDS })
  const before = residentBytes(many.pid)
  // What sockets and undici cost is theirs too.
  const [oneRelay, manyRelay] = [await bench.keep(startScript('relay.ts')), await bench.keep(startScript('relay.ts'))]
  const subjects = {
    '1 origin': { server: one, load: single },
    '5000 origins': { server: many, load: loadOn(many, upstream.url, { turns }) },
    'relay, 1 origin': { server: oneRelay, load: loadOn(oneRelay, upstream.url) },
    'relay, 5000 origins': { server: manyRelay, load: loadOn(manyRelay, upstream.url, { turns }) },
  }
  // One connection: several would each begin with the first origin.
  await drive({ ...subjects['5000 origins'].load, connections: 1, requests: origins.length })
  const each = (residentBytes(many.pid) - before) / origins.length / 1024
  const servers = await compare(subjects, bench.rounds)
  for (const server of [one, many, oneRelay, manyRelay, upstream]) server.stop()
  const cost = (name: keyof typeof subjects): number => servers[name]?.cpuMicros ?? 0
  const notes = [
    `memory per origin, its connection included: ${each.toFixed(0)} KiB`,
    `the relay with 5000 origins costs ${hundredths(cost('relay, 5000 origins') / cost('relay, 1 origin'))} of itself with one`,
  ]
  return { case: '5000-origins', servers, checks: [check('CPU, many of one', servers['5000 origins']?.ratio ?? 0, 1.1)], notes }
}

export async function twoWorkers(bench: Bench): Promise<Row> {
  const [one, two] = [await gatewayOf(bench, '1 worker'), await gatewayOf(bench, '2 workers', { workers: 2 })]
  // What it costs to share the machine with one more is theirs too.
  const [relay, relays] = [await bench.keep(startScript('relay.ts')), await bench.keep(startScript('relays.ts'))]
  const servers = await compare(
    {
      '1 worker': { server: one, load: loadOn(one, bench.upstream) },
      '2 workers': { server: two, load: loadOn(two, bench.upstream) },
      relay: { server: relay, load: loadOn(relay, bench.upstream) },
      '2 relays': { server: relays, load: loadOn(relays, bench.upstream) },
    },
    bench.rounds,
  )
  for (const server of [one, two, relay, relays]) server.stop()
  const more = (servers['2 relays']?.cpuMicros ?? 0) / (servers.relay?.cpuMicros ?? 1)
  const notes = [
    'the primary, which writes the audit trail, is counted',
    `two relays on one port, which share nothing, cost ${hundredths(more)} of one`,
  ]
  return { case: '2-workers', servers, checks: [check('CPU, many of one', servers['2 workers']?.ratio ?? 0, 1.1)], notes }
}

interface State {
  /** The median of those at the ends of rounds. */
  readonly residentMiB: number
  readonly descriptors: number
  readonly timers: number
}

/** Many calls one after the other: what the process holds in the first half, in which its heap finds its size, and in the second. */
export async function soak(bench: Bench, calls: number): Promise<Row> {
  // So that those to the upstream are closed when descriptors are counted: how many there were is chance.
  const gateway = await gatewayOf(bench, 'soak', { open: true, adapter: { pool: { idle: '1s' } } })
  const load = loadOn(gateway, bench.upstream, { seconds: STEP_SECONDS })
  let done = 0
  const until = async (enough: number): Promise<State> => {
    const held: number[] = []
    while (done < enough) {
      const { requests, residentBytes: bytes } = await round(gateway, load)
      done += requests
      held.push(bytes)
    }
    return { residentMiB: Math.round(median(held) / 2 ** 20), ...(await stateOf(gateway)) }
  }
  const before = await until(calls / 2)
  const after = await until(calls)
  gateway.stop()
  const checks = (['residentMiB', 'descriptors', 'timers'] as const).map((what) =>
    check(`${what}, after of before`, after[what] / Math.max(1, before[what]), 1.1),
  )
  const line = ({ residentMiB, descriptors: files, timers }: State): string =>
    `${residentMiB} MiB, ${files} descriptors, ${timers} timers`
  return { case: 'soak', servers: {}, checks, notes: [`${done} calls: ${line(before)}, then ${line(after)}`] }
}

/** Once what was under way has ended, and idle connections are closed. */
async function stateOf(server: Server): Promise<Omit<State, 'residentMiB'>> {
  await pause(RESTING_MS)
  const timers: number[] = []
  for (let look = 0; look < LOOKS; look++) {
    await pause(RESTING_MS / LOOKS)
    const text = await (await fetch(`${server.url}/metrics`)).text()
    timers.push(Number(/^nodejs_active_resources\{type="Timeout"\} (\d+)/m.exec(text)?.[1] ?? 0))
  }
  return { descriptors: descriptors(server.pid), timers: Math.min(...timers) }
}
