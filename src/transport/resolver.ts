// Names to addresses: a small cache over c-ares (which waits in the event loop, where getaddrinfo would take a thread a
// name). Says what a name leads to; whether one may go there is policy/address-rules.ts.
import { Resolver as NameServers } from 'node:dns/promises'
import { GatewayError } from '../errors/gateway-error.ts'
import type { Clock, Meter } from '../model/ports.ts'
import { candidates, createSystemNames, type SystemNames } from './system-names.ts'

export interface Resolver {
  /**
   * Addresses of both families, IPv6 first, as many as the answers hold. Empty: there is no such name. Rejects with
   * ConnectionError where no name server would say. Literals never come here.
   */
  resolve(hostname: string): Promise<readonly string[]>
  /** Questions under way are given up. */
  close(): void
}

/** One question: the addresses with their TTLs in seconds. Rejects with c-ares' codes. */
export type Ask = (name: string, family: 4 | 6) => Promise<readonly { readonly address: string; readonly ttl: number }[]>

export interface ResolverOptions {
  /** host:port, asked directly, without search domains; empty: the system's own servers and rules. */
  readonly servers: readonly string[]
  readonly clock: Clock
  readonly meter: Meter
  /** Default: what /etc says. */
  readonly system?: SystemNames
  /** Default: c-ares. */
  readonly ask?: Ask
}

const MAX_NAMES = 4096
const MAX_TTL_MS = 3_600_000
const NO_SUCH_NAME_MS = 2000
/** How long the second family may lag behind the first (RFC 8305 §3). */
const SECOND_FAMILY_MS = 50
const LOOPBACK = ['127.0.0.1', '::1'] as const
/** A name server's way of saying that there is nothing, as against not answering. */
const NOTHING = new Set(['ENOTFOUND', 'ENODATA'])

interface Answer {
  readonly addresses: readonly string[]
  readonly ttlMs: number
}

export function createResolver(options: ResolverOptions): Resolver {
  const { clock, meter } = options
  const system = options.system ?? createSystemNames(clock)
  const network = options.ask
    ? { ask: options.ask, cancel: () => {} }
    : createNameServers(() => (options.servers.length > 0 ? options.servers : system.servers()))
  const cache = new Map<string, { readonly addresses: readonly string[]; readonly until: number }>()
  const underWay = new Map<string, Promise<readonly string[]>>()

  const remember = (hostname: string, { addresses, ttlMs }: Answer): void => {
    if (ttlMs <= 0) return
    if (cache.size >= MAX_NAMES) for (const oldest of cache.keys()) if (cache.delete(oldest)) break
    cache.set(hostname, { addresses, until: clock.now() + ttlMs })
  }

  const lookUp = async (hostname: string): Promise<readonly string[]> => {
    const begun = clock.now()
    const names = candidates(hostname, options.servers.length === 0 ? system.searchRules() : { search: [], ndots: 0 })
    try {
      const answer = await firstAnswer(names, (name) => bothFamilies(name, network.ask, clock))
      remember(hostname, answer)
      meter.resolved((clock.now() - begun) / 1000, answer.addresses.length > 0 ? 'answered' : 'failed')
      return answer.addresses
    } catch (cause) {
      meter.resolved((clock.now() - begun) / 1000, 'failed')
      throw new GatewayError('ConnectionError', `${hostname} could not be resolved: ${reasonOf(cause)}`, { cause })
    } finally {
      underWay.delete(hostname)
    }
  }

  return {
    async resolve(hostname) {
      const name = hostname.toLowerCase()
      const local = isLocalhost(name) ? LOOPBACK : system.hosts(name)
      if (local.length > 0) return local
      const cached = cache.get(name)
      if (cached !== undefined && cached.until > clock.now()) {
        meter.resolved(0, 'hit')
        return cached.addresses
      }
      cache.delete(name)
      const running = underWay.get(name) ?? lookUp(name)
      underWay.set(name, running)
      return running
    },
    close() {
      network.cancel()
      cache.clear()
    },
  }
}

/** RFC 6761 §6.3: never asked of anybody. */
function isLocalhost(name: string): boolean {
  const bare = name.endsWith('.') ? name.slice(0, -1) : name
  return bare === 'localhost' || bare.endsWith('.localhost')
}

/** `servers`: the same list until they change, and only then are others asked. Empty: c-ares' own default. */
function createNameServers(servers: () => readonly string[]): { readonly ask: Ask; cancel(): void } {
  const open = (list: readonly string[]) => {
    const asked = new NameServers({ timeout: 2000, tries: 3 })
    if (list.length > 0) asked.setServers(list)
    return { list, asked }
  }
  let current = open(servers())
  return {
    ask: (name, family) => {
      // A resolver with questions under way cannot be given other servers; those are answered by the old ones.
      if (servers() !== current.list) current = open(servers())
      const { asked } = current
      return family === 4 ? asked.resolve4(name, { ttl: true }) : asked.resolve6(name, { ttl: true })
    },
    cancel: () => current.asked.cancel(),
  }
}

/** The first name that leads anywhere; an empty answer where none does; the last failure where not all would say. */
async function firstAnswer(names: readonly string[], answerFor: (name: string) => Promise<Answer>): Promise<Answer> {
  let failure: unknown
  for (const name of names) {
    try {
      const answer = await answerFor(name)
      if (answer.addresses.length > 0) return answer
    } catch (error) {
      failure = error
    }
  }
  if (failure !== undefined) throw failure
  return { addresses: [], ttlMs: NO_SUCH_NAME_MS }
}

/** Asks for both; where one family has addresses, the other's silence or failure does not hold the name up. */
async function bothFamilies(name: string, ask: Ask, clock: Clock): Promise<Answer> {
  const six = answerOf(ask(name, 6))
  const four = answerOf(ask(name, 4))
  const first = await Promise.race([six, four])
  const both = Promise.all([six, four])
  const settled = 'addresses' in first && first.addresses.length > 0 ? await within(clock, SECOND_FAMILY_MS, both) : await both
  const answers = (settled ?? [first]).filter((outcome): outcome is Answer => 'addresses' in outcome)
  const addresses = answers.flatMap((answer) => answer.addresses)
  if (addresses.length > 0) return { addresses, ttlMs: Math.min(...answers.map((answer) => answer.ttlMs)) }
  for (const outcome of settled ?? []) if ('failed' in outcome) throw outcome.failed
  return { addresses, ttlMs: NO_SUCH_NAME_MS }
}

async function answerOf(asked: ReturnType<Ask>): Promise<Answer | { readonly failed: unknown }> {
  try {
    const records = await asked
    if (records.length === 0) return { addresses: [], ttlMs: MAX_TTL_MS }
    const ttlMs = Math.min(MAX_TTL_MS, ...records.map((record) => record.ttl * 1000))
    return { addresses: records.map((record) => record.address), ttlMs }
  } catch (error) {
    return NOTHING.has(codeOf(error)) ? { addresses: [], ttlMs: MAX_TTL_MS } : { failed: error }
  }
}

function within<T>(clock: Clock, ms: number, promise: Promise<T>): Promise<T | null> {
  return new Promise((resolve) => {
    const stop = clock.after(ms, () => resolve(null))
    void promise.then((value) => {
      stop()
      resolve(value)
    })
  })
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

function reasonOf(error: unknown): string {
  const code = codeOf(error)
  if (code === 'ETIMEOUT') return 'the name servers did not answer'
  if (code === 'ESERVFAIL') return 'the name servers failed'
  if (code === 'EREFUSED' || code === 'ECONNREFUSED') return 'the name servers refused the question'
  return `the look-up failed (${code || 'unknown reason'})`
}
