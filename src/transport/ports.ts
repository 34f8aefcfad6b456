// What the transport is given, and the two small things all its files speak of: the origin and the scope of a connection.
import type { Socket } from 'node:net'
import type { Clock, Meter, OwnListeners, Secret, Secrets } from '../model/ports.ts'
import type { PreparedUrl } from '../model/prepared-request.ts'
import type { Resolver } from './resolver.ts'

export interface TransportPorts {
  readonly clock: Clock
  readonly meter: Meter
  readonly resolver: Resolver
  readonly ownListeners: OwnListeners
  readonly secrets: Secrets
  /** PEM of a configured CA bundle. */
  readonly caBundle: (name: string) => string
  /** Default: net.connect. For tests that must not send a packet. */
  readonly connectTcp?: ConnectTcp
}

/** Begins a connection to an address that was judged. */
export type ConnectTcp = (address: string, port: number) => Socket

export type Origin = Pick<PreparedUrl, 'scheme' | 'hostname' | 'port' | 'origin'>

/** What a connection was made with. A request goes out on a connection of its own scope only. */
export interface ConnectionScope {
  readonly verify: boolean
  /** Name of a CA bundle; null: the system's roots. */
  readonly ca: string | null
  /** Client certificate, scheme mtls. */
  readonly cert: Secret | null
  /** Scheme proxy-basic. */
  readonly proxyLogin: Secret | null
  /** Name of the stored secret that requests on it carry, of whatever version; null: none. */
  readonly credential: string | null
  /** The caller whose own credentials requests on it carry, given with the call; null: nobody's. */
  readonly givenBy: string | null
}

/** A host as sockets want it: no brackets, no trailing dot. */
export function bareHostname(hostname: string): string {
  if (hostname.startsWith('[')) return hostname.slice(1, -1)
  return hostname.endsWith('.') ? hostname.slice(0, -1) : hostname
}
