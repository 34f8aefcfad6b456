// Four answers of 10 MB at once: for how long they hold the event loop, and whether their memory is given back.
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { CASES, loadOf, PLAIN } from './cases.ts'
import { type Bench, type Check, hundredths, type Row } from './compare.ts'
import { drive, type Load } from './load.ts'
import { lowerThird, median, round, warmUp } from './measure.ts'
import { type Server, startGateway, startScript } from './servers.ts'

/** Of small calls. */
const SMALL_ROUNDS = 15
/** In which memory that nobody needs is given back. */
const IDLE_MS = 5000
const AIMS = { turnMs: 10, memory: 1.1 }

export async function largeAnswers({ upstream, rounds, folder, keep }: Bench): Promise<Row> {
  const relay = await keep(startScript('relay.ts', [], { probe: true }))
  const gateway = await keep(startGateway(upstream, join(folder, 'large'), { probe: true }))
  const checks: Check[] = []
  const notes: string[] = []
  for (const name of ['get-10m', 'get-10m-base64', 'get-10m-text']) {
    const one = CASES.find((each) => each.name === name) ?? PLAIN
    const theirs = await held(relay, loadOf(one, relay, upstream), rounds)
    const small = loadOf(PLAIN, gateway, upstream)
    await warmUp(gateway, small)
    const before = await usualMiB(gateway, small)
    const ours = await held(gateway, loadOf(one, gateway, upstream), rounds)
    const after = await usualMiB(gateway, small)
    checks.push({ what: `${name}, longest turn of the event loop, ms`, value: hundredths(ours), aim: AIMS.turnMs })
    checks.push({ what: `${name}, memory after, of before`, value: hundredths(after / before), aim: AIMS.memory })
    notes.push(
      `${name}: ${before.toFixed(0)} MiB before and ${after.toFixed(0)} after; the relay's longest turn ${theirs.toFixed(0)} ms`,
    )
  }
  for (const server of [relay, gateway]) server.stop()
  return { case: 'large-answers', servers: {}, checks, notes }
}

/** The longest turn of a round, the mean of the lower third of the rounds. */
async function held(server: Server, load: Load, rounds: number): Promise<number> {
  await warmUp(server, load)
  const longest: number[] = []
  for (let index = 0; index < rounds; index++) {
    await server.probe?.()
    await drive(load)
    longest.push((await server.probe?.())?.longestTurnMs ?? 0)
  }
  return lowerThird(longest)
}

/** Between small calls, the median, before and after alike: a heap grows until it is collected, and an idle one is not. */
async function usualMiB(server: Server, small: Load): Promise<number> {
  await pause(IDLE_MS)
  const held: number[] = []
  for (let index = 0; index < SMALL_ROUNDS; index++) held.push((await round(server, small)).residentBytes)
  return median(held) / 2 ** 20
}
