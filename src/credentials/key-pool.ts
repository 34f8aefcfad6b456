// Several keys behind one name, as one credential: which of them goes into a request, and which is set aside because the
// upstream refused it. For how long is decided by the port; each key's own scheme injects it and answers its challenges.
import { GatewayError } from '../errors/gateway-error.ts'
import type { Errand, KeyRefusal, KeyRest, OpenCredential, OpenPool, Sequel } from '../model/credential-scheme.ts'
import type { HopRequest, Outbound } from '../model/hop.ts'
import type { Clock, Logger, Secret } from '../model/ports.ts'
import type { UpstreamResponse } from '../model/upstream-response.ts'

export interface KeyPoolPorts {
  readonly clock: Clock
  readonly log: Logger
  readonly restAfter: (refusal: KeyRefusal) => KeyRest
}

interface Key {
  /** From 1. */
  readonly member: number
  readonly credential: OpenCredential
  inFlight: number
  used: number
  /** On the monotonic clock, ms. */
  readyAt: number
  /** In a row. */
  refusals: number
}

/** One request on its way through the keys. */
interface Turn {
  key: Key
  /** Chosen, and not injected yet. */
  chosen: boolean
  /** How often this key's own dialogue had it sent again. */
  answered: number
  readonly tried: Set<Key>
  /** Set aside for this request's 401s. */
  readonly refused: Set<Key>
  /** Every answer so far was a 401. */
  onlyRefused: boolean
}

/** Keys that are tried after the first one, for one request. */
const MOST_OTHERS = 3
/** After a token could not be obtained, where it is not said. */
const UNAVAILABLE_MS = 1000

/** `members`: two at least. */
export function createKeyPools(ports: KeyPoolPorts): OpenPool {
  return (secret, members) => openKeyPool(secret, members, ports)
}

function openKeyPool(secret: Secret, members: readonly OpenCredential[], ports: KeyPoolPorts): OpenCredential {
  const { clock } = ports
  const keys = members.map((credential, at): Key => {
    return { member: at + 1, credential, inFlight: 0, used: 0, readyAt: 0, refusals: 0 }
  })
  const pick = secret.pool?.pick === 'least-used' ? leastUsed(keys) : roundRobin(keys)
  // Keyed by what stays the same from try to try of one hop.
  const turns = new WeakMap<Outbound, Turn>()

  const isReady = (key: Key): boolean => key.readyAt <= clock.now()
  const next = (tried: ReadonlySet<Key>): Key | null => pick((key) => isReady(key) && !tried.has(key))
  const choose = ({ outbound }: HopRequest): Turn => {
    const known = turns.get(outbound)
    if (known?.chosen) return known
    const key = next(new Set())
    if (key === null) throw allSetAside(secret, keys, clock.now())
    const turn: Turn = { key, chosen: true, answered: 0, tried: new Set(), refused: new Set(), onlyRefused: true }
    turns.set(outbound, turn)
    return turn
  }
  /** False: there is none, or enough were tried. */
  const goOn = (turn: Turn): boolean => {
    turn.tried.add(turn.key)
    const key = turn.tried.size <= MOST_OTHERS ? next(turn.tried) : null
    if (key === null) return false
    Object.assign(turn, { key, chosen: true, answered: 0 })
    return true
  }
  const setAside = (turn: Turn, status: 401 | 429, { rawHeaders }: UpstreamResponse): void => {
    const { key } = turn
    // Calls that were under way together are refused together; a caller's own fault must not spend the last key.
    if (!isReady(key) || (status === 401 && keys.every((other) => other === key || !isReady(other)))) return
    key.refusals++
    const { ms, because } = ports.restAfter({ status, rawHeaders, refusals: key.refusals, date: clock.date() })
    key.readyAt = clock.now() + ms
    if (status === 401) turn.refused.add(key)
    const credential = `${secret.name}@${secret.version}#${key.member}`
    ports.log.log(status === 401 ? 'warn' : 'debug', 'key set aside', { credential, status, because, afterMs: ms })
  }
  const afterRefusal = (turn: Turn, status: 401 | 429, request: HopRequest, response: UpstreamResponse): Sequel => {
    // A token that was refused is renewed for the next request: its key is none the worse.
    const renewable = status === 401 && turn.key.credential.obtain !== undefined && !request.plan.repeatable
    if (!renewable) setAside(turn, status, response)
    if (status === 429) turn.onlyRefused = false
    if (request.plan.repeatable && goOn(turn)) return 'renewed'
    if (turn.onlyRefused && turn.tried.size > 1) forgive(turn)
    return null
  }
  const heard = (request: HopRequest, response: UpstreamResponse): Sequel => {
    const turn = turns.get(request.outbound)
    if (turn === undefined) return null
    turn.key.inFlight--
    const own = turn.key.credential.dialogue?.heard(request, response, turn.answered) ?? null
    if (own !== null) {
      Object.assign(turn, { chosen: true, answered: turn.answered + 1 })
      return own
    }
    const { status } = response
    if (status !== 401 && status !== 429 && status < 500) turn.key.refusals = 0
    const sequel = status === 401 || status === 429 ? afterRefusal(turn, status, request, response) : null
    if (sequel === null) turns.delete(request.outbound)
    return sequel
  }
  const obtain = (turn: Turn, errand: Errand, request: HopRequest): Promise<void> | null => {
    const { key } = turn
    const obtained = key.credential.obtain?.({ ...errand, member: key.member }, request)
    const other = (error: unknown): Promise<void> | undefined => {
      if (!(error instanceof GatewayError) || error.type !== 'CredentialUnavailable') throw error
      key.readyAt = clock.now() + (error.retryAfter ?? UNAVAILABLE_MS)
      turn.onlyRefused = false
      if (!goOn(turn)) throw error
      return obtain(turn, errand, request) ?? undefined
    }
    return obtained?.catch(other) ?? null
  }

  return {
    ...(members.some((member) => member.obtain) ? { obtain: (errand, request) => obtain(choose(request), errand, request) } : {}),
    inject(request) {
      const turn = choose(request)
      const { key } = turn
      const injection = key.credential.inject(request)
      turn.chosen = false
      key.inFlight++
      key.used++
      return { ...injection, member: key.member }
    },
    ...(members.some((member) => member.cleanHeaders)
      ? {
          cleanHeaders: (rawHeaders, request) =>
            turns.get(request.outbound)?.key.credential.cleanHeaders?.(rawHeaders, request) ?? rawHeaders,
        }
      : {}),
    dialogue: {
      heard,
      failed(request) {
        const turn = turns.get(request.outbound)
        if (turn === undefined) return
        turn.key.inFlight--
        turn.key.credential.dialogue?.failed?.(request)
        turns.delete(request.outbound)
      },
    },
  }
}

/** A request that no key is accepted for says nothing of the keys. */
function forgive({ refused }: Turn): void {
  for (const key of refused) Object.assign(key, { readyAt: 0, refusals: key.refusals - 1 })
}

type Pick = (eligible: (key: Key) => boolean) => Key | null

function roundRobin(keys: readonly Key[]): Pick {
  let from = 0
  return (eligible) => {
    for (let i = 0; i < keys.length; i++) {
      const key = keys[(from + i) % keys.length]
      if (key === undefined || !eligible(key)) continue
      from = key.member % keys.length
      return key
    }
    return null
  }
}

/** Fewest in flight; of those the one that was used least. */
function leastUsed(keys: readonly Key[]): Pick {
  return (eligible) => {
    let best: Key | null = null
    for (const key of keys) {
      const better = best === null || key.inFlight < best.inFlight || (key.inFlight === best.inFlight && key.used < best.used)
      if (better && eligible(key)) best = key
    }
    return best
  }
}

function allSetAside({ name }: Secret, keys: readonly Key[], now: number): GatewayError {
  const soonest = Math.ceil(Math.min(...keys.map(({ readyAt }) => readyAt)) - now)
  return new GatewayError(
    'CredentialUnavailable',
    `secret "${name}" is not available: all of its ${keys.length} keys were refused with 401 or 429 and are set aside, the next for another ${soonest} ms; the call was not made without it`,
    { retryAfter: soonest },
  )
}
