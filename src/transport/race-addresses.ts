// Connects to the first of several judged addresses that takes the connection (RFC 8305), and drops the others.
import { connect, isIPv6, type Socket } from 'node:net'
import type { Cancellation } from '../model/cancellation.ts'
import type { Clock } from '../model/ports.ts'
import type { ConnectTcp } from './ports.ts'

/** RFC 8305 §5: how long one address is waited for before the next is tried beside it. */
const ATTEMPT_DELAY_MS = 250
const KEEP_ALIVE_PROBE_MS = 60_000

export const connectTcp: ConnectTcp = (address, port) =>
  connect({ host: address, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS })

interface Race {
  /** In order of preference; not empty. */
  readonly addresses: readonly string[]
  readonly port: number
  readonly connectTcp: ConnectTcp
  readonly clock: Clock
  readonly cancellation: Cancellation
}

/** Rejects with the last address' error where none takes it, with the cancellation's reason where that comes first. */
export function raceAddresses(race: Race): Promise<{ readonly socket: Socket; readonly address: string }> {
  const waiting = interleaved(race.addresses)
  const running = new Set<Socket>()
  if (race.cancellation.reason !== null) return Promise.reject(race.cancellation.reason)
  return new Promise((resolve, reject) => {
    let stopDelay = (): void => {}
    const end = (winner: Socket | null): void => {
      stopDelay()
      stopListening()
      waiting.length = 0
      for (const socket of running) if (socket !== winner) socket.destroy()
      running.clear()
    }
    const tryNext = (): void => {
      stopDelay()
      const address = waiting.shift()
      if (address === undefined) return
      const socket = race.connectTcp(address, race.port)
      running.add(socket)
      socket.once('connect', () => {
        if (!running.has(socket)) return
        end(socket)
        resolve({ socket, address })
      })
      socket.on('error', (error) => {
        if (!running.delete(socket)) return
        if (waiting.length > 0) return tryNext()
        if (running.size > 0) return
        end(null)
        reject(error)
      })
      if (waiting.length > 0) stopDelay = race.clock.after(ATTEMPT_DELAY_MS, tryNext)
    }
    const stopListening = race.cancellation.onCancel((reason) => {
      end(null)
      reject(reason)
    })
    tryNext()
  })
}

/** RFC 8305 §4: the families take turns, the first address' family first. */
export function interleaved(addresses: readonly string[]): string[] {
  const firstIsSix = isIPv6(addresses[0] ?? '')
  const first = addresses.filter((address) => isIPv6(address) === firstIsSix)
  const second = addresses.filter((address) => isIPv6(address) !== firstIsSix)
  const turns = Array.from({ length: Math.max(first.length, second.length) }, (_, i) => [first[i], second[i]])
  return turns.flat().filter((address) => address !== undefined)
}
