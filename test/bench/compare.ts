// Several servers under load in turns, and what comes of it: a row of the benchmark's table.
import type { Load } from './load.ts'
import { lowerThird, median, type Round, round, warmUp } from './measure.ts'
import type { Server } from './servers.ts'

export interface Subject {
  readonly server: Server
  readonly load: Load
}

export interface Figures {
  readonly cpuMicros: number
  /** CPU of that of the first in this case. */
  readonly ratio: number
  readonly p50Micros: number
  readonly p99Micros: number
  readonly perSecond: number
  /** The median of those at the ends of rounds: a heap grows until it is collected, over and over. */
  readonly residentMiB: number
}

/** One figure that is wanted: met where it is no more than the aim. */
export interface Check {
  readonly what: string
  readonly value: number
  readonly aim: number
}

export interface Row {
  readonly case: string
  readonly servers: Readonly<Record<string, Figures>>
  readonly checks: readonly Check[]
  readonly notes: readonly string[]
}

/** What a case has to work with. */
export interface Bench {
  readonly upstream: string
  readonly relay: Server
  readonly rounds: number
  /** For whatever is on disk; gone at the end. */
  readonly folder: string
  /** Stopped at the end where it was not before. */
  keep(starting: Promise<Server>): Promise<Server>
}

export const hundredths = (value: number): number => Math.round(value * 100) / 100

/** The first is the one that the others are compared with. */
export async function compare(subjects: Readonly<Record<string, Subject>>, rounds: number): Promise<Record<string, Figures>> {
  const all = Object.entries(subjects)
  const taken = new Map<string, Round[]>(all.map(([name]) => [name, []]))
  for (const [, { server, load }] of all) await warmUp(server, load)
  for (let index = 0; index < rounds; index++) {
    // Each goes first as often as last: who follows whom must not matter.
    for (const [name, { server, load }] of index % 2 === 0 ? all : all.toReversed())
      taken.get(name)?.push(await round(server, load))
  }
  return figuresOf(taken)
}

function figuresOf(taken: ReadonlyMap<string, readonly Round[]>): Record<string, Figures> {
  const figures: Record<string, Figures> = {}
  let base = 0
  for (const [name, all] of taken) {
    const cpu = Math.round(lowerThird(all.map((result) => result.cpuMicros)) * 10) / 10
    base ||= cpu
    figures[name] = {
      cpuMicros: cpu,
      ratio: hundredths(cpu / base),
      p50Micros: Math.round(lowerThird(all.map((result) => result.p50Micros))),
      p99Micros: Math.round(lowerThird(all.map((result) => result.p99Micros))),
      perSecond: Math.round(Math.max(...all.map((result) => result.perSecond))),
      residentMiB: Math.round(median(all.map((result) => result.residentBytes)) / 2 ** 20),
    }
  }
  return figures
}
