// One round of load on one server: what it cost that process, and how long the answers took. And how rounds become a
// figure. The kernel's accounting is read, not the clock on the wall, so that others on the machine count as little as can be.
import { readdirSync, readFileSync } from 'node:fs'
import { type Driven, drive, type Load } from './load.ts'
import type { Server } from './servers.ts'

/** Of a warm-up. A gateway is a process that runs for weeks, and V8 compiles its functions anew for its first 100,000 calls. */
const WINDOW_SECONDS = 2
/** As many in a row without a better one, and it is warm. */
const SETTLED_WINDOWS = 3
/** However lucky one of the first was on a machine whose speed changes. */
const LEAST_WINDOWS = 8
const MOST_WINDOWS = 15
/** What counts as better: less than this share of the best so far. */
const BETTER = 0.95

export interface Round extends Driven {
  /** User and system time of the process for one request. */
  readonly cpuMicros: number
  /** At its end. */
  readonly residentBytes: number
}

export async function round(server: Server, load: Load): Promise<Round> {
  const before = cpuMicros(server.pid)
  const driven = await drive(load)
  return { ...driven, cpuMicros: (cpuMicros(server.pid) - before) / driven.requests, residentBytes: residentBytes(server.pid) }
}

/** Until a call costs no less than before: its code is compiled, and its heap has found its size. Half a minute at most. */
export async function warmUp(server: Server, load: Load): Promise<void> {
  const window = { ...load, connections: load.connections === 1 ? 64 : load.connections, seconds: WINDOW_SECONDS }
  let best = Number.POSITIVE_INFINITY
  for (let index = 0, since = 0; index < MOST_WINDOWS && (index < LEAST_WINDOWS || since < SETTLED_WINDOWS); index++) {
    const { cpuMicros: cost } = await round(server, window)
    since = cost < best * BETTER ? 0 : since + 1
    best = Math.min(best, cost)
  }
}

/** A process and those that it started: a gateway of several workers is several. */
function family(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
    return [pid, ...children.flatMap((child) => family(Number(child)))]
  } catch {
    return [pid]
  }
}

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0)

/** User and system time so far, of its children too. Per thread and in nanoseconds where the kernel tells, else in ticks of 10 ms. */
export function cpuMicros(pid: number): number {
  return sum(family(pid).map(ownCpuMicros))
}

function ownCpuMicros(pid: number): number {
  try {
    let nanos = 0
    for (const task of readdirSync(`/proc/${pid}/task`))
      nanos += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0])
    if (nanos > 0) return nanos / 1000
  } catch {
    // No such accounting in this kernel.
  }
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

/** Memory that a process and its children hold, bytes. */
export function residentBytes(pid: number): number {
  const own = (one: number): number => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${one}/status`, 'utf8'))?.[1] ?? 0)
  return sum(family(pid).map(own)) * 1024
}

/** Open files and sockets of a process. */
export function descriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** The mean of the lower third: what it costs when nobody else is in the way. */
export function lowerThird(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const third = sorted.slice(0, Math.max(1, Math.round(sorted.length / 3)))
  return third.reduce((sum, value) => sum + value, 0) / third.length
}

/** Of an even number the upper one. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}
