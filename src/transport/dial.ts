// Makes one connection: resolves, judges every address, connects to a judged one, through the proxy if there is one, and
// speaks TLS. Nothing reaches a socket but by this file. Clocks and reuse are the pool's and origin-transport.ts' affair.
import { isIPv6, type Socket } from 'node:net'
import { GatewayError } from '../errors/gateway-error.ts'
import type { AdapterPolicy } from '../model/adapter-policy.ts'
import type { Cancellation } from '../model/cancellation.ts'
import { unlessCancelled } from '../model/wait.ts'
import { canonicalAddress, createAddressJudge } from '../policy/address-rules.ts'
import { mapError } from './map-error.ts'
import { bareHostname, type ConnectionScope, type Origin, type TransportPorts } from './ports.ts'
import { openTunnel } from './proxy-tunnel.ts'
import { connectTcp, raceAddresses } from './race-addresses.ts'
import { createSecureConnect, type SecureConnect } from './secure-connect.ts'

export interface Dialled {
  readonly socket: Socket
  /** The judged address that was dialled: the proxy's, where there is one. */
  readonly address: string
  readonly http2: boolean
}

export interface DialRequest {
  /** May be told about internal names and addresses. */
  readonly privileged: boolean
  /** Ends the dial: the connect clock or the call. */
  readonly cancellation: Cancellation
  /** Is told what is being waited for, for the message of a connect clock that runs out. */
  readonly phase: (said: string) => void
}

/** Rejects with GatewayError alone: EgressDenied, ConnectionError, SSLError, ProxyError, or the cancellation's reason. */
export type Dial = (request: DialRequest) => Promise<Dialled>

interface Host {
  readonly hostname: string
  readonly port: number
}

/** One for each adapter, origin and scope: it keeps the secure context and the TLS session of its connections. */
export function createDial(adapter: AdapterPolicy, origin: Origin, scope: ConnectionScope, ports: TransportPorts): Dial {
  const target: Host = { hostname: bareHostname(origin.hostname), port: origin.port }
  const judge = createHostJudge(adapter, ports)
  const { clock } = ports
  const tcp = ports.connectTcp ?? connectTcp
  const http2 = adapter.pool.http2
  const secure =
    origin.scheme === 'https'
      ? createSecureConnect({ ...secureOptions(adapter, ports), scope, hostname: target.hostname, http2 })
      : null

  const direct = async (request: DialRequest): Promise<Dialled> => {
    request.phase('waiting for its name to resolve')
    const addresses = await judge(target, request)
    request.phase('waiting for TCP')
    const { cancellation } = request
    const connected = await at(
      'connect',
      target,
      raceAddresses({ addresses, port: target.port, connectTcp: tcp, clock, cancellation }),
    )
    return secured(connected, request)
  }

  const secured = async (plain: { socket: Socket; address: string }, request: DialRequest): Promise<Dialled> => {
    if (secure === null) return { ...plain, http2: false }
    request.phase('in the TLS handshake')
    const socket = await at('connect', target, secure(plain.socket, request.cancellation))
    return { socket, address: plain.address, http2: socket.alpnProtocol === 'h2' }
  }

  if (adapter.proxy === null) return direct
  const viaProxy = createProxyDial(adapter.proxy.url, { adapter, scope, ports, judge })
  const remote = adapter.proxy.resolve === 'remote' && canonicalAddress(target.hostname) === null
  return async (request) => {
    request.phase('waiting for its name to resolve')
    // Proxies without IPv6 are common, and through one only one address is tried at a time.
    const names = remote
      ? [target.hostname]
      : (await judge(target, request)).toSorted((a, b) => Number(isIPv6(a)) - Number(isIPv6(b)))
    return secured(await viaProxy(names, target.port, request), request)
  }
}

function secureOptions({ name }: AdapterPolicy, { caBundle, meter, clock }: TransportPorts) {
  return { adapter: name, caBundle, meter, clock }
}

export type HostJudge = (host: Host, request: Pick<DialRequest, 'privileged' | 'cancellation'>) => Promise<readonly string[]>

/** Addresses of a host that may be dialled, at least one; else EgressDenied, or ConnectionError where there is no such name. */
export function createHostJudge(
  adapter: AdapterPolicy,
  { resolver, ownListeners, meter }: Pick<TransportPorts, 'resolver' | 'ownListeners' | 'meter'>,
): HostJudge {
  const judgeAddress = createAddressJudge(adapter.egress)
  const catchAll = adapter.mount === 'https://' || adapter.mount === 'http://'

  const faultOf = (address: string, port: number): string | null => {
    if (ownListeners.has(address, port)) return `${address} port ${port} is the gateway's own listener`
    const verdict = judgeAddress(address)
    return verdict.allowed ? null : verdict.because
  }
  const denied = (hostname: string, privateDetail: string): GatewayError =>
    new GatewayError(
      'EgressDenied',
      `${hostname} leads to no address that adapter ${adapter.name} may dial; if it should, list the address under egress.allow`,
      { privateDetail, rule: 'egress-address' },
    )

  return async ({ hostname, port }, { privileged, cancellation }) => {
    const literal = canonicalAddress(hostname)
    const answers = literal === null ? await unlessCancelled(resolver.resolve(hostname), cancellation) : [literal]
    if (answers.length === 0) {
      if (catchAll && !privileged) throw denied(hostname, 'the name does not resolve')
      throw new GatewayError('ConnectionError', `${hostname} does not resolve; check the name`)
    }
    const judged = answers
      .map((answer) => canonicalAddress(answer) ?? answer)
      .map((address) => ({ address, fault: faultOf(address, port) }))
    const passed = judged.filter(({ fault }) => fault === null).map(({ address }) => address)
    const refused = judged.length - passed.length
    if (passed.length === 0 || (refused > 0 && adapter.egress.mixedAnswers === 'refuse')) {
      meter.resolved(0, 'refused')
      throw denied(hostname, judged.flatMap(({ fault }) => fault ?? []).join('; '))
    }
    return passed
  }
}

interface ProxyDialOptions {
  readonly adapter: AdapterPolicy
  readonly scope: ConnectionScope
  readonly ports: TransportPorts
  readonly judge: HostJudge
}

type ProxyDial = (names: readonly string[], port: number, request: DialRequest) => Promise<{ socket: Socket; address: string }>

/** A tunnel to the first of `names` to which the proxy connects. */
function createProxyDial(url: string, { adapter, scope, ports, judge }: ProxyDialOptions): ProxyDial {
  const proxy = new URL(url)
  const isTls = proxy.protocol === 'https:'
  const host: Host = { hostname: bareHostname(proxy.hostname), port: Number(proxy.port) || (isTls ? 443 : 80) }
  // As the adapter has it: what a caller says of the upstream's certificate says nothing of the proxy's, which gets a login.
  const mayBeUnverified = scope.proxyLogin === null || adapter.tls.allowInsecureSecrets
  const own = { verify: adapter.tls.verify || !mayBeUnverified, ca: adapter.tls.ca, cert: null }
  const secure: SecureConnect | null = isTls
    ? createSecureConnect({ ...secureOptions(adapter, ports), scope: own, hostname: host.hostname, http2: false })
    : null
  const tcp = ports.connectTcp ?? connectTcp
  const { clock } = ports

  const tunnel = async (name: string, port: number, request: DialRequest): Promise<{ socket: Socket; address: string }> => {
    const { cancellation } = request
    request.phase('waiting for the proxy')
    const addresses = await judge(host, request).catch(asProxyError)
    const plain = await at('proxy', host, raceAddresses({ addresses, port: host.port, connectTcp: tcp, clock, cancellation }))
    const socket = secure === null ? plain.socket : await at('proxy', host, secure(plain.socket, cancellation))
    request.phase('waiting for the proxy to connect')
    const authority = `${isIPv6(name) ? `[${name}]` : name}:${port}`
    const tunnelled = await at('proxy', host, openTunnel({ socket, proxy, authority, login: scope.proxyLogin, cancellation }))
    return { socket: tunnelled, address: plain.address }
  }

  return async (names, port, request) => {
    for (const [index, name] of names.entries()) {
      try {
        return await tunnel(name, port, request)
      } catch (error) {
        if (index === names.length - 1 || !mayTryAnother(error)) throw error
      }
    }
    throw new GatewayError('InternalError', 'no address to connect to through the proxy')
  }
}

/** A proxy whose name leads nowhere is the proxy's failure; a denial stays one. */
function asProxyError(error: unknown): never {
  if (error instanceof GatewayError && error.type === 'ConnectionError') {
    throw new GatewayError('ProxyError', `the proxy cannot be reached: ${error.message}`, { cause: error })
  }
  throw error
}

/** The proxy could not reach that address; another may do. A refusal (4xx) is meant for all of them. */
function mayTryAnother(error: unknown): boolean {
  if (!(error instanceof GatewayError) || error.type !== 'ProxyError') return false
  const { detail } = error
  return typeof detail === 'object' && detail !== null && 'status' in detail && Number(detail.status) >= 500
}

/** Whatever fails is one of ours, and says at which host. */
async function at<T>(stage: 'connect' | 'proxy', host: Host, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw mapError(error, { stage, ...host })
  }
}
