// What wire tests share: adapters on loopback, the state of an adapter's pool and slots, and clocks that are held to their word.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { TestContext } from 'node:test'
import { startGateway, type TestGateway, type TestGatewayOptions } from './gateway.ts'
import { type Behaviour, createRudeUpstream, type RudeOptions, type RudeUpstream } from './rude-upstream.ts'

/** An adapter of tests: loopback is open, nothing is tried again, no breaker, unless `over` says so. */
export function loopbackAdapter(name: string, origin: string, over: object = {}): object {
  return { name, mount: `${origin}/`, egress: { allow: ['127.0.0.0/8'] }, retry: { total: 0 }, breaker: false, ...over }
}

export interface RudeSceneOptions extends Partial<Omit<TestGatewayOptions, 'adapters'>> {
  /** Further keys of the adapter `rude`, which is mounted on the upstream's origin. */
  readonly adapter?: object
  readonly upstream?: RudeOptions
}

/** A rude upstream and a gateway with an adapter for it, both ended with the test. */
export async function setRudeScene(
  t: TestContext,
  { adapter = {}, upstream: options = {}, ...rest }: RudeSceneOptions = {},
): Promise<{ readonly upstream: RudeUpstream; readonly gateway: TestGateway }> {
  const upstream = await createRudeUpstream(options)
  t.after(() => upstream.close())
  const gateway = await startGateway({ adapters: [loopbackAdapter('rude', upstream.origin, adapter)], ...rest })
  t.after(() => gateway.stop())
  return { upstream, gateway }
}

export interface AdapterState {
  readonly connections: number
  readonly idle: number
  readonly slots: number
  readonly queued: number
}

/** Sums of the adapter's origins, as the metrics tell them. */
export async function stateOf(gateway: TestGateway, adapter: string): Promise<AdapterState> {
  const text = await gateway.metrics()
  const read = (series: string): number => metric(text, series, { adapter })
  return {
    connections: read('sallyport_pool_connections'),
    idle: read('sallyport_pool_idle_connections'),
    slots: read('sallyport_slots_taken'),
    queued: read('sallyport_queued'),
  }
}

/** The sum of all samples of `series` that have these labels; 0 where there is none. */
export function metric(text: string, series: string, labels: Readonly<Record<string, string>> = {}): number {
  const wanted = Object.entries(labels).map(([name, value]) => `${name}="${value}"`)
  let sum = 0
  for (const line of text.split('\n')) {
    const end = line.indexOf(line.includes('{') ? '{' : ' ')
    if (line.slice(0, end) !== series || !wanted.every((label) => line.includes(label))) continue
    sum += Number(line.slice(line.lastIndexOf(' ') + 1))
  }
  return sum
}

/** Waits until `holds`; fails after `withinMs`. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const end = performance.now() + withinMs
  while (!(await holds())) {
    if (performance.now() > end) assert.fail(`not so after ${withinMs} ms: ${what}`)
    await pause(5)
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** No slot, no place in the queue and no busy connection is left. */
export async function assertFreed(gateway: TestGateway, adapter: string): Promise<void> {
  let state: AdapterState | undefined
  const isFree = async (): Promise<boolean> => {
    state = await stateOf(gateway, adapter)
    return state.slots === 0 && state.queued === 0 && state.connections === state.idle
  }
  await until(`all of ${adapter} is free`, isFree).catch(() => assert.deepEqual(state, { ...state, slots: 0, queued: 0 }))
}

/** A clock may be 50 ms late; a shared machine may hold anybody up, so ten times that is where a test calls it wrong. */
const TOLERANCE_MS = 500
const EARLY_MS = 2

export interface Stopwatch {
  /** The time since the start is `ms`, and no later than the tolerance and the event loop's own worst delay allow. */
  assertEndedAfter(ms: number): void
}

/** A machine that runs other things beside the tests is late; a clock that does not end a call at all is later. */
const TIMES = 10

/** Started just before the call. The gateway runs in this process, so its event loop's delays are seen here. */
export function startStopwatch(): Stopwatch {
  const delays = monitorEventLoopDelay({ resolution: 5 })
  delays.enable()
  const from = performance.now()
  return {
    assertEndedAfter(ms) {
      const took = performance.now() - from
      delays.disable()
      const late = delays.max / 1e6 + TOLERANCE_MS
      assert.ok(
        took >= ms - EARLY_MS && took <= Math.max(ms * TIMES, ms + late),
        `ended after ${took.toFixed(1)} ms instead of ${ms} (+${late.toFixed(1)})`,
      )
    },
  }
}

/** A behaviour that answers nobody until it is told to. */
export function createHold(answer = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'): {
  readonly behaviour: Behaviour
  release(): void
} {
  const held: Socket[] = []
  return {
    behaviour: (socket) => void held.push(socket),
    release() {
      for (const socket of held.splice(0)) socket.write(answer)
    },
  }
}

/** A folder with these files, gone when `remove` is called. */
export function makeFolder(files: Readonly<Record<string, string>>): { path(name: string): string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-wire-'))
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
  return {
    path: (name) => join(folder, name),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
