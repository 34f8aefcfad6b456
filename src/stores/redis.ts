// One connection to Redis with every wait bounded, and its health. What is kept there is the business of redis-*.ts.
// Single primary, or behind a proxy that looks like one; not a cluster: scripts touch several keys.
import { Redis } from 'ioredis'
import type { GatewayError } from '../errors/gateway-error.ts'
import type { Clock, Logger, Meter } from '../model/ports.ts'
import { faultReason, storeAway } from './store-fault.ts'

export interface RedisOptions {
  /** redis:// or rediss://; may hold user and password, and is never shown. */
  readonly url: string
  /** Before every key. Default "sallyport:". */
  readonly prefix: string
  /** The longest that one command waits, ms. Default 500. */
  readonly commandTimeoutMs?: number
  /** Default 2000. */
  readonly connectTimeoutMs?: number
}

export interface RedisPorts {
  readonly clock: Clock
  readonly meter: Pick<Meter, 'storeHealthy'>
  readonly log: Logger
}

export interface RedisScript {
  readonly lua: string
  readonly keys: number
}

export interface RedisConnection {
  /** `host:port`, for messages. */
  readonly label: string
  /** Runs a script in one round trip; a rejection is Overloaded. Keys get the prefix. */
  run(script: RedisScript, ...keysAndArguments: readonly (string | number)[]): Promise<unknown>
  /** False from the first command that fails until a heartbeat (each second, and on each new connection) is answered. */
  healthy(): boolean
  /** Runs `listener` each time that Redis is back. */
  onRecovery(listener: () => void): void
  close(): void
}

const HEARTBEAT_MS = 1000
const RECONNECT_FROM_MS = 50
const RECONNECT_MAX_MS = 2000

/** A write, so that a replica, a full or a forbidding server is seen as what it is: away. */
const PING: RedisScript = { lua: "return redis.call('SET', KEYS[1], '1', 'PX', '60000')", keys: 1 }

export function openRedis(options: RedisOptions, ports: RedisPorts): RedisConnection {
  const label = labelOf(options.url)
  const health = createHealth(label, ports)
  const client = createClient(options)
  client.on('error', (error) => health.failed(error))
  client.on('close', () => health.failed(new Error('Connection is closed')))
  const commands = new Map<RedisScript, string>()

  const run: RedisConnection['run'] = async (script, ...keysAndArguments) => {
    try {
      return await call(client, commands, script, keysAndArguments).catch((error: unknown) => {
        // Somebody emptied Redis' script cache: nothing ran, and the client now sends the text.
        if (error instanceof Error && error.message.startsWith('NOSCRIPT'))
          return call(client, commands, script, keysAndArguments)
        throw error
      })
    } catch (error) {
      throw health.failed(error)
    }
  }

  let closed = false
  let stopHeartbeat = (): void => {}
  const ping = (): Promise<void> => run(PING, 'heartbeat').then(health.answered, () => {})
  const beat = (): void => {
    if (!closed) stopHeartbeat = ports.clock.after(HEARTBEAT_MS, () => void ping().then(beat))
  }
  client.on('ready', () => void ping())
  beat()

  return {
    label,
    run,
    healthy: health.healthy,
    onRecovery: health.onRecovery,
    close() {
      if (closed) return
      closed = true
      health.end()
      stopHeartbeat()
      client.disconnect()
    },
  }
}

/** Each script is defined once as a command, so that Redis is sent its hash and not its text. */
async function call(
  client: Redis,
  commands: Map<RedisScript, string>,
  script: RedisScript,
  given: readonly (string | number)[],
): Promise<unknown> {
  let name = commands.get(script)
  if (name === undefined) {
    name = `sallyport${commands.size}`
    client.defineCommand(name, { lua: script.lua, numberOfKeys: script.keys })
    commands.set(script, name)
  }
  const command = (client as unknown as Record<string, (...given: (string | number)[]) => Promise<unknown>>)[name]
  if (!command) throw new Error(`command ${name} is not defined`)
  return command.call(client, ...given)
}

function createClient({ url, prefix, commandTimeoutMs = 500, connectTimeoutMs = 2000 }: RedisOptions): Redis {
  return new Redis(url, {
    keyPrefix: prefix,
    // Nothing is queued while Redis is away, and nothing is sent again when it is back: whoever asked has been told no.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: commandTimeoutMs,
    // A frozen server keeps its sockets open: without this, commands would pile up behind one that never answers.
    socketTimeout: commandTimeoutMs * 2,
    connectTimeout: connectTimeoutMs,
    retryStrategy: (times) => {
      const ceiling = Math.min(RECONNECT_MAX_MS, RECONNECT_FROM_MS * 2 ** Math.min(times, 10))
      return Math.round(ceiling * (0.5 + Math.random() / 2))
    },
    // A primary that became a replica: connect anew, by name, to whoever is primary now.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  })
}

/** Tells log and metrics of each change, and only then. */
function createHealth(label: string, { meter, log }: RedisPorts) {
  let state: 'unknown' | 'well' | 'away' = 'unknown'
  let ended = false
  const listeners: (() => void)[] = []
  return {
    healthy: () => state === 'well',
    onRecovery: (listener: () => void) => {
      listeners.push(listener)
    },
    answered() {
      if (state === 'well' || ended) return
      state = 'well'
      meter.storeHealthy('redis', true)
      log.log('info', 'store connected', { store: label })
      for (const listener of listeners) listener()
    },
    failed(error: unknown): GatewayError {
      if (state !== 'away' && !ended) {
        state = 'away'
        meter.storeHealthy('redis', false)
        log.log('warn', 'store away', { store: label, because: faultReason(error) })
      }
      return storeAway(label, error)
    },
    end() {
      ended = true
      state = 'away'
    },
  }
}

function labelOf(url: string): string {
  if (!/^rediss?:\/\//.test(url) || !URL.canParse(url)) throw new Error('store.redis must be a redis:// or rediss:// URL')
  const { hostname, port } = new URL(url)
  return `redis at ${hostname}:${port || 6379}`
}
