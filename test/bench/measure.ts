// One round of load on one server: what it cost that process, and how long the answers took. And how rounds become a
// figure. The kernel's accounting is read, not the clock on the wall, so that others on the machine count as little as can be.
import { readdirSync, readFileSync } from 'node:fs'
import { type Driven, drive, type Load } from './load.ts'
import type { Server } from './servers.ts'

/** A gateway's CPU per call falls for its first three seconds or so. */
const WARM_UP_SECONDS = 5

export interface Round extends Driven {
  /** User and system time of the process for one request. */
  readonly cpuMicros: number
}

export async function round(server: Server, load: Load): Promise<Round> {
  const before = cpuMicros(server.pid)
  const driven = await drive(load)
  return { ...driven, cpuMicros: (cpuMicros(server.pid) - before) / driven.requests }
}

/** Until its code is compiled and its heap has found its size, some 20,000 small calls. */
export async function warmUp(load: Load): Promise<void> {
  await drive({ ...load, connections: load.connections === 1 ? 64 : load.connections, seconds: WARM_UP_SECONDS })
}

/** User and system time of a process so far. Per thread and in nanoseconds where the kernel tells, else in ticks of 10 ms. */
export function cpuMicros(pid: number): number {
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

/** Memory that a process holds, bytes. */
export function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
}

/** The mean of the lower third: what it costs when nobody else is in the way. */
export function lowerThird(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const third = sorted.slice(0, Math.max(1, Math.round(sorted.length / 3)))
  return third.reduce((sum, value) => sum + value, 0) / third.length
}
