// What a stored credential in Redis costs a call: the commands that reach Redis and the decryptions, under load and idle alike.
import { setTimeout as pause } from 'node:timers/promises'
import type { TestRedis } from '../support/redis.ts'
import { drive, type Load } from './load.ts'
import type { Server } from './servers.ts'

interface Count {
  readonly calls: number
  readonly seconds: number
  readonly commands: number
  readonly decryptions: number
}

const IDLE_MS = 3000

/** A line each for a time without calls and one with many. */
export async function countCosts(server: Server, redis: Pick<TestRedis, 'command'>, load: Load): Promise<readonly string[]> {
  await drive(load)
  const idle = await counted(server, redis, async () => {
    await pause(IDLE_MS)
    return 0
  })
  const busy = await counted(server, redis, async () => {
    const { requests } = await drive({ ...load, seconds: IDLE_MS / 1000 })
    return requests
  })
  return [lineOf('idle', idle), lineOf('under load', busy)]
}

async function counted(server: Server, redis: Pick<TestRedis, 'command'>, work: () => Promise<number>): Promise<Count> {
  const decryptions = (await server.probe?.())?.decryptions ?? 0
  const commands = await commandsOf(redis)
  const from = performance.now()
  const calls = await work()
  const seconds = (performance.now() - from) / 1000
  return {
    calls,
    seconds,
    commands: (await commandsOf(redis)) - commands,
    decryptions: ((await server.probe?.())?.decryptions ?? 0) - decryptions,
  }
}

/** All commands so far, those within scripts included, but those of counting them and of connecting to do so. */
export async function commandsOf(redis: Pick<TestRedis, 'command'>): Promise<number> {
  const stats = String(await redis.command('INFO', 'commandstats'))
  let sum = 0
  for (const [, command = '', calls] of stats.matchAll(/cmdstat_([^:]+):calls=(\d+)/g))
    if (!/^(?:info|hello|auth|select|quit|client)\b/.test(command)) sum += Number(calls)
  return sum
}

function lineOf(name: string, { calls, seconds, commands, decryptions }: Count): string {
  return `${name}: ${calls} calls in ${seconds.toFixed(1)} s, ${commands} Redis commands (${(commands / seconds).toFixed(1)}/s), ${decryptions} decryptions`
}
