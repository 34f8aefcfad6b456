// Whether Redis is there, as its commands and connections tell: one metric and one log line a change, with the best reason
// that is known. When to ask it is redis.ts' affair.
import { GatewayError } from '../errors/gateway-error.ts'
import type { Clock, Logger, Meter } from '../model/ports.ts'
import { type StoreFault, storeAway, storeFault } from './store-fault.ts'

export interface RedisHealthPorts {
  readonly clock: Pick<Clock, 'after'>
  readonly meter: Pick<Meter, 'storeHealthy'>
  readonly log: Logger
}

export interface RedisHealth {
  healthy(): boolean
  /** Why a command is refused without being sent: Redis did not answer the last heartbeat. null: it may be sent. */
  silence(): GatewayError | null
  /** The heartbeat was answered. */
  answered(): void
  /** A command failed. What that says of Redis as a whole, the next heartbeat tells. */
  commandFailed(error: unknown): GatewayError
  /** Whether the command that ended with this refusal may have been carried out, or may be yet. */
  mayHaveRun(error: unknown): boolean
  /** The heartbeat or the connection failed. */
  failed(error: unknown): void
  /** Something that may be the reason of a failure, should there be one. */
  hint(error: unknown): void
  /** Runs `listener` each time that Redis answers again after a command failed. */
  onRecovery(listener: () => void): void
  /** Nothing is told any more. */
  end(): void
}

/** A connection that ends says nothing of why; the next attempt mostly does, and the log line waits for it this long. */
const REASON_WITHIN_MS = 1000

export function createRedisHealth(label: string, { clock, meter, log }: RedisHealthPorts): RedisHealth {
  let state: 'unknown' | 'well' | 'away' | 'ended' = 'unknown'
  let known: StoreFault | null = null
  /** Writes the log line that is still owed. */
  let owed: (() => void) | null = null
  let doubt = false
  const listeners: (() => void)[] = []
  const perhapsRun = new WeakSet<GatewayError>()

  const learn = (fault: StoreFault): void => {
    const tells = fault.kind !== 'cut' && fault.kind !== 'unsent'
    if (known === null || tells) known = fault
    if (tells) owed?.()
  }
  const owe = (): void => {
    const stop = clock.after(REASON_WITHIN_MS, () => owed?.())
    owed = () => {
      stop()
      owed = null
      if (state !== 'ended') log.log('warn', 'store away', { store: label, because: known?.reason })
    }
  }
  const away = (fault: StoreFault): void => {
    if (state === 'ended') return
    if (state !== 'away') {
      state = 'away'
      meter.storeHealthy('redis', false)
      owe()
    }
    learn(fault)
  }

  return {
    healthy: () => state === 'well',
    silence: () => (state === 'away' && known?.kind === 'silent' ? storeAway(label, known) : null),
    answered() {
      if (state === 'ended') return
      const recovered = doubt || state !== 'well'
      owed?.()
      if (state !== 'well') {
        state = 'well'
        meter.storeHealthy('redis', true)
        log.log('info', 'store connected', { store: label })
      }
      doubt = false
      known = null
      if (recovered) for (const listener of listeners) listener()
    },
    commandFailed(error) {
      const fault = storeFault(error)
      doubt = true
      const refusal = storeAway(label, (fault.kind === 'cut' || fault.kind === 'unsent') && known ? known : fault)
      if (fault.kind === 'cut' || fault.kind === 'silent') perhapsRun.add(refusal)
      return refusal
    },
    mayHaveRun: (error) => error instanceof GatewayError && perhapsRun.has(error),
    failed: (error) => away(storeFault(error)),
    hint(error) {
      if (state !== 'ended' && state !== 'well') learn(storeFault(error))
    },
    onRecovery: (listener) => void listeners.push(listener),
    end() {
      state = 'ended'
      owed?.()
    },
  }
}
