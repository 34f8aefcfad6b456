// One short round of load on one server: what it cost that process, and how long the answers took. And how rounds become a
// figure. The kernel's accounting is read, not the clock on the wall, so that others on the machine count as little as can be.
import { readdirSync, readFileSync } from 'node:fs'
import autocannon from 'autocannon'
import type { Server } from './servers.ts'

export interface Load {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly connections: number
  readonly requests: number
  /** The answer is a refusal: not 2xx. */
  readonly refused: boolean
}

export interface Round {
  /** User and system time of the process for one request. */
  readonly cpuMicros: number
  readonly p50Micros: number
  readonly p99Micros: number
  readonly perSecond: number
}

export async function round(server: Server, load: Load): Promise<Round> {
  const { connections, requests, body, headers } = load
  const before = cpuMicros(server.pid)
  const begun = performance.now()
  const times: number[] = []
  let ended = begun
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const instance = autocannon(
      { url: load.url, method: 'POST', headers: { ...headers }, body, connections, amount: requests, sampleInt: 20 },
      (error, value) => (error ? reject(error) : resolve(value)),
    )
    instance.on('response', (_client, _status, _bytes, milliseconds) => {
      times.push(milliseconds * 1000)
      ended = performance.now()
    })
  })
  const done = load.refused ? result.non2xx : result['2xx']
  if (done !== requests || result.errors > 0)
    throw new Error(`of ${requests} only ${done} answered as expected, ${result.errors} errors, at ${load.url}`)
  times.sort((a, b) => a - b)
  return {
    cpuMicros: (cpuMicros(server.pid) - before) / done,
    p50Micros: times[Math.floor(times.length * 0.5)] ?? 0,
    p99Micros: times[Math.floor(times.length * 0.99)] ?? 0,
    perSecond: (done / (ended - begun)) * 1000,
  }
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
