// One Redis, whatever stands behind the name, with every wait bounded. What is kept there is the business of redis-*.ts.
import type { Redis } from 'ioredis'
import type { Clock, Meter } from '../model/ports.ts'
import { nameRedis, type RedisTarget } from '../model/redis-target.ts'
import { createRedisClient, type RedisClient } from './redis-client.ts'
import { createRedisHealth, type RedisHealth, type RedisHealthPorts } from './redis-health.ts'

export interface RedisOptions {
  readonly target: RedisTarget
  /** Before every key. In a cluster it has a hash tag, so that all keys are in one slot: scripts touch several. */
  readonly prefix: string
  /** The longest that one command waits, ms. Default 500. */
  readonly commandTimeoutMs?: number
  /** Default 2000. */
  readonly connectTimeoutMs?: number
}

export interface RedisPorts extends RedisHealthPorts {
  readonly clock: Clock
  readonly meter: Pick<Meter, 'storeHealthy' | 'storeAnswered'>
}

export interface RedisScript {
  readonly lua: string
  readonly keys: number
}

export interface RedisConnection {
  /** What to call it in messages: its addresses, no user and no password. */
  readonly label: string
  /** Runs a script in one round trip; a rejection is Overloaded. Keys get the prefix. */
  run(script: RedisScript, ...keysAndArguments: readonly (string | number)[]): Promise<unknown>
  /** Whether the script that ended with this rejection may have run all the same, or may run yet. */
  mayHaveRun(error: unknown): boolean
  /** Whether it answered the last heartbeat, and is connected since. One is due each second, on each new connection and after a failure. */
  healthy(): boolean
  /** Runs `listener` each time that Redis answers again after a command failed. */
  onRecovery(listener: () => void): void
  close(): void
}

const HEARTBEAT_MS = 1000
const RECONNECT_FROM_MS = 50
const RECONNECT_MAX_MS = 2000

/** A write, so that a replica and a full server are seen as what they are: away. */
const PULSE: RedisScript = { keys: 1, lua: "return redis.call('SET', KEYS[1], '1', 'PX', '60000')" }

/**
 * For new connections, after a failure and while Redis is away: does once, on one key, what all other scripts do, so that one
 * that denies our user a single command is seen at once. Leaves nothing behind.
 */
const CHECKUP: RedisScript = {
  keys: 1,
  lua: `
    local key = KEYS[1]
    redis.call('SET', key, redis.call('TIME')[1])
    redis.call('GET', key)
    redis.call('DEL', key)
    redis.call('HSET', key, 'a', '1')
    redis.call('HGET', key, 'a')
    redis.call('HMGET', key, 'a')
    redis.call('HKEYS', key)
    redis.call('EXISTS', key)
    redis.call('PERSIST', key)
    redis.call('PEXPIRE', key, '60000')
    redis.call('DEL', key)
    redis.call('ZADD', key, '1', 'a')
    redis.call('ZSCORE', key, 'a')
    redis.call('ZCARD', key)
    redis.call('ZRANGE', key, 0, -1)
    redis.call('ZREMRANGEBYSCORE', key, '-inf', '0')
    return redis.call('ZREM', key, 'a')`,
}

export function openRedis(options: RedisOptions, ports: RedisPorts): RedisConnection {
  const { target, prefix, commandTimeoutMs = 500, connectTimeoutMs = 2000 } = options
  const label = nameRedis(target)
  const health = createRedisHealth(label, ports)
  const backoff = createBackoff()
  const client = createRedisClient(target, prefix, { commandTimeoutMs, connectTimeoutMs, delay: backoff.next })
  const send = metered(createSender(client), ports)
  const beats = createHeartbeat(ports.clock, async (asked) => {
    try {
      await send(asked || !health.healthy() ? CHECKUP : PULSE, ['heartbeat'])
      backoff.reset()
      health.answered()
    } catch (error) {
      health.failed(error)
      // The nodes that a cluster's map names may be the ones that are away.
      if (client.isCluster && 'refreshSlotsCache' in client) client.refreshSlotsCache()
    }
  })
  listen(client, health, beats.now)

  return {
    label,
    async run(script, ...given) {
      const silence = health.silence()
      if (silence !== null) throw silence
      try {
        return await send(script, given)
      } catch (error) {
        if (health.healthy()) beats.now()
        throw health.commandFailed(error)
      }
    },
    mayHaveRun: health.mayHaveRun,
    healthy: health.healthy,
    onRecovery: health.onRecovery,
    close() {
      health.end()
      beats.end()
      client.disconnect()
    },
  }
}

function listen(client: RedisClient, health: RedisHealth, ask: () => void): void {
  client.on('ready', ask)
  client.on('close', () => health.failed(new Error('Connection is closed')))
  client.on('error', (error: unknown) => {
    // A cluster of which no node answers: the last one's error says more.
    const told = error instanceof Error && 'lastNodeError' in error ? error.lastNodeError : error
    health.failed(told ?? error)
  })
  client.on('sentinelError', health.hint)
  client.on('node error', health.hint)
  client.on('-node', ask)
}

function metered(send: Send, { clock, meter }: RedisPorts): Send {
  return async (script, given) => {
    const begun = clock.now()
    let failed = true
    try {
      const answer = await send(script, given)
      failed = false
      return answer
    } finally {
      meter.storeAnswered('redis', (clock.now() - begun) / 1000, failed)
    }
  }
}

type Send = (script: RedisScript, given: readonly (string | number)[]) => Promise<unknown>

/** Each script is defined once as a command, so that Redis is sent its hash and not its text. */
function createSender(client: RedisClient): Send {
  const names = new Map<RedisScript, string>()
  const isRightDatabase = watchDatabase(client)
  const call: Send = async (script, given) => {
    let name = names.get(script)
    if (name === undefined) {
      name = `sallyport${names.size}`
      client.defineCommand(name, { lua: script.lua, numberOfKeys: script.keys })
      names.set(script, name)
    }
    const command = (client as unknown as Record<string, (...given: (string | number)[]) => Promise<unknown>>)[name]
    if (!command) throw new Error(`command ${name} is not defined`)
    return command.call(client, ...given)
  }
  return async (script, given) => {
    const fault = isRightDatabase()
    if (fault !== null) throw fault
    return call(script, given).catch((error: unknown) => {
      // Somebody emptied Redis' script cache: nothing ran, and the client now sends the text.
      if (error instanceof Error && error.message.startsWith('NOSCRIPT')) return call(script, given)
      throw error
    })
  }
}

/** ioredis goes on in database 0 where SELECT is refused. Answers the refusal until there is another connection. */
function watchDatabase(client: RedisClient): () => Error | null {
  let refusal: Error | null = null
  client.on('connect', () => {
    refusal = null
  })
  client.on('error', (error: Error & { readonly command?: { readonly name: string } }) => {
    if (error.command?.name !== 'select') return
    refusal = error
    ;(client as Redis).disconnect(true)
  })
  return () => refusal
}

/** Beats each second, and when asked to; never two at once. */
function createHeartbeat(clock: Clock, beat: (asked: boolean) => Promise<void>): { now(): void; end(): void } {
  let ended = false
  let underWay: Promise<void> | null = null
  let stop = (): void => {}
  const begin = (asked: boolean): Promise<void> => {
    underWay ??= (ended ? Promise.resolve() : beat(asked)).finally(() => {
      underWay = null
    })
    return underWay
  }
  const next = (): void => {
    if (!ended) stop = clock.after(HEARTBEAT_MS, () => void begin(false).then(next))
  }
  next()
  return {
    now: () => void begin(true),
    end() {
      ended = true
      stop()
    },
  }
}

/** Grows until a heartbeat is answered, and not only until a connection is made: one to a replica is of no use. */
function createBackoff(): { next(): number; reset(): void } {
  let tries = 0
  return {
    next() {
      tries = Math.min(tries + 1, 10)
      return Math.round(Math.min(RECONNECT_MAX_MS, RECONNECT_FROM_MS * 2 ** tries) * (0.5 + Math.random() / 2))
    },
    reset() {
      tries = 0
    },
  }
}
