// One round of load on one server: what it cost that process, and how long the answers took. And how rounds become a
// figure. The kernel's accounting is read, not the clock on the wall, so that others on the machine count as little as can be.
import { readdirSync, readFileSync } from 'node:fs'
import { type Driven, drive, type Load } from './load.ts'
import type { Server } from './servers.ts'

/** V8 still compiles a gateway's functions anew in its first 10,000 calls and more; on a busy machine those take long. */
const WARM_REQUESTS = 25_000
/** Answers that are large need not be as many. */
const WARM_UP_MS = 9000
const STEP_SECONDS = 3

export interface Round extends Driven {
  /** User and system time of the process for one request. */
  readonly cpuMicros: number
}

export async function round(server: Server, load: Load): Promise<Round> {
  const before = cpuMicros(server.pid)
  const driven = await drive(load)
  return { ...driven, cpuMicros: (cpuMicros(server.pid) - before) / driven.requests }
}

/** Until its code is compiled and its heap has found its size. */
export async function warmUp(load: Load): Promise<void> {
  const step = { ...load, connections: load.connections === 1 ? 64 : load.connections, seconds: STEP_SECONDS }
  const until = performance.now() + WARM_UP_MS
  for (let requests = 0; requests < WARM_REQUESTS && performance.now() < until; ) requests += (await drive(step)).requests
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
