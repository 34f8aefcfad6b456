// Calls at a steady rate, whatever becomes of the earlier ones, each timed from when it was due: a server that stalls cannot hide
// the calls that it kept from being made (coordinated omission).
import { setTimeout as pause } from 'node:timers/promises'
import { Agent } from 'undici'
import type { Load } from './load.ts'

export interface Tail {
  readonly p50Micros: number
  readonly p99Micros: number
}

const SECONDS = 3

/** `rate`: calls a second. Throws where one is not answered with 200. */
export async function driveOpenly({ url, headers, body }: Load, rate: number): Promise<Tail> {
  const { origin, pathname } = new URL(url)
  const agent = new Agent({ connections: 256, pipelining: 1 })
  const times: number[] = []
  const call = async (due: number): Promise<void> => {
    const answer = await agent.request({ origin, path: pathname, method: 'POST', headers: { ...headers }, body })
    await answer.body.dump()
    if (answer.statusCode !== 200) throw new Error(`${url} answered ${answer.statusCode}`)
    times.push(performance.now() - due)
  }
  const begun = performance.now()
  const under: Promise<void>[] = []
  for (let sent = 0; sent < rate * SECONDS; ) {
    const due = Math.min(rate * SECONDS, Math.floor(((performance.now() - begun) / 1000) * rate))
    for (; sent < due; sent++) under.push(call(begun + (sent / rate) * 1000))
    await pause(1)
  }
  await Promise.all(under)
  await agent.close()
  // The first second warms connections up.
  const sorted = times.slice(rate).sort((a, b) => a - b)
  const at = (share: number): number => (sorted[Math.floor(sorted.length * share)] ?? 0) * 1000
  return { p50Micros: at(0.5), p99Micros: at(0.99) }
}
