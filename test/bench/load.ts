// Drives load at a server for some seconds: wrk where it is installed, which leaves the machine to those that are measured, else
// autocannon. Throws where anything but what was expected is answered.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import autocannon from 'autocannon'

interface Asked {
  readonly headers: Readonly<Record<string, string>>
  /** Of a POST. null: a GET. */
  readonly body: string | null
}

export interface Load extends Asked {
  readonly url: string
  /** What takes turns, request by request, in place of `headers` and `body`: many callers, or many origins. */
  readonly turns?: readonly Asked[]
  readonly connections: number
  /** Whole ones. What is under way at their end is not counted. */
  readonly seconds: number
  /** Calls a second of all connections together; as many come as answers allow where it is absent. A stall keeps few from being made, since each connection pauses for many times as long as a call lasts. */
  readonly rate?: number
  /** Exactly so many instead, where few would fit into some seconds. */
  readonly requests?: number
  /** The answer is a refusal: not 2xx. */
  readonly refused: boolean
}

export interface Driven {
  readonly requests: number
  readonly p50Micros: number
  readonly p99Micros: number
  readonly perSecond: number
}

interface Told extends Driven {
  readonly not2xx: number
  readonly errors: number
}

const run = promisify(execFile)

export async function drive(load: Load): Promise<Driven> {
  const told = load.requests === undefined && (await hasWrk()) ? await byWrk(load) : await byAutocannon(load)
  const unexpected = load.refused ? told.requests - told.not2xx : told.not2xx
  if (told.requests === 0 || unexpected > 0 || told.errors > 0)
    throw new Error(`of ${told.requests} ${unexpected} were not answered as expected, ${told.errors} errors, at ${load.url}`)
  return told
}

let found: Promise<boolean> | null = null

function hasWrk(): Promise<boolean> {
  // Without a URL it tells how it is used and exits with 1.
  found ??= run('wrk', ['-v']).then(
    () => true,
    (error: { code?: unknown }) => error.code !== 'ENOENT',
  )
  return found
}

async function byWrk({ url, connections, seconds, rate, ...what }: Load): Promise<Told> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-wrk-'))
  try {
    const script = join(folder, 'load.lua')
    const pauseMs = rate === undefined ? 0 : (connections / rate) * 1000
    writeFileSync(script, luaOf(what.turns ?? [what], pauseMs))
    const shape = ['--threads', '1', '--connections', `${connections}`, '--duration', `${seconds}s`, '--timeout', '30s']
    const { stdout } = await run('wrk', [...shape, '--script', script, url])
    return JSON.parse(stdout.slice(stdout.lastIndexOf('\n{')))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** `pauseMs`: what a connection waits before a call, on average, now more and now less. 0: it does not. */
function luaOf(turns: readonly Asked[], pauseMs: number): string {
  const fields = (headers: Readonly<Record<string, string>>): string =>
    Object.entries(headers)
      .map(([name, value]) => `["${name}"]="${value}"`)
      .join(',')
  const formatted = ({ headers, body }: Asked): string => {
    const what = body === null ? ['"GET"', 'nil'] : ['"POST"', `[==[${body}]==]`]
    return `  turns[#turns + 1] = wrk.format(${what[0]}, nil, {["Host"]=wrk.headers["Host"],${fields(headers)}}, ${what[1]})`
  }
  return `local turns, turn = {}, 0
init = function()
${turns.map(formatted).join('\n')}
end
request = function()
  turn = turn % #turns + 1
  return turns[turn]
end
${pauseMs > 0 ? `delay = function() return math.random(0, ${Math.round(2 * pauseMs)}) end` : ''}
done = function(summary, latency)
  local failed = summary.errors
  io.write(string.format('\\n{"requests":%d,"not2xx":%d,"errors":%d,"p50Micros":%d,"p99Micros":%d,"perSecond":%f}',
    summary.requests, failed.status, failed.connect + failed.read + failed.write + failed.timeout,
    latency:percentile(50), latency:percentile(99), summary.requests / summary.duration * 1e6))
end
`
}

async function byAutocannon({ url, headers, body, turns, connections, seconds, requests, rate }: Load): Promise<Told> {
  const times: number[] = []
  const length = requests === undefined ? { duration: seconds } : { amount: requests }
  const pace = rate === undefined ? {} : { overallRate: rate }
  const begun = performance.now()
  let ended = begun
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const asked = (one: Asked) =>
      one.body === null
        ? { method: 'GET' as const, headers: { ...one.headers } }
        : { method: 'POST' as const, headers: { ...one.headers }, body: one.body }
    const what = turns ? { requests: turns.map(asked) } : asked({ headers, body })
    const instance = autocannon({ url, connections, ...what, ...length, ...pace }, (error, value) =>
      error ? reject(error) : resolve(value),
    )
    instance.on('response', (_client, _status, _bytes, milliseconds) => {
      times.push(milliseconds * 1000)
      ended = performance.now()
    })
  })
  times.sort((a, b) => a - b)
  return {
    requests: times.length,
    not2xx: result.non2xx,
    errors: result.errors,
    p50Micros: times[Math.floor(times.length * 0.5)] ?? 0,
    p99Micros: times[Math.floor(times.length * 0.99)] ?? 0,
    perSecond: (times.length / (ended - begun)) * 1000,
  }
}
