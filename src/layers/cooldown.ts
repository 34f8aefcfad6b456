// A 429 that says for how long holds back everybody who calls that origin with the same credential. Whoever comes meanwhile waits
// above the rate limit, or is refused at once where the end is after its deadline. One key of a pool is the pool's own affair.
import { GatewayError } from '../errors/gateway-error.ts'
import type { AdapterPolicy } from '../model/adapter-policy.ts'
import type { CallContext } from '../model/call-context.ts'
import type { CooldownFleet } from '../model/cooldown-fleet.ts'
import { type Gate, type Leave, openGate } from '../model/dispatch.ts'
import type { HopRequest } from '../model/hop.ts'
import type { Clock, Logger, Meter, Random } from '../model/ports.ts'
import { wait } from '../model/wait.ts'
import type { AskedInstants } from '../policy/asked-instants.ts'
import { createCooldowns } from '../policy/cooldowns.ts'
import { credentialKey, credentialName, mayBeTold } from '../policy/credential-identity.ts'

export interface Cooldown {
  /** Waits. */
  readonly gate: Gate
  /** Below the queues: sends back to wait, and learns from answers. */
  readonly door: Gate
  /** As AdapterSample.cooldownMs. */
  longestMs(): number
  /** Nothing of other replicas is heard any more. */
  close(): void
}

export interface CooldownPorts {
  readonly clock: Clock
  readonly random: Random
  /** The same that a retry waits for: both end at one instant. */
  readonly asked: AskedInstants
  readonly meter: Pick<Meter, 'cooledDown'>
  readonly log: Logger
  /** The same of other replicas. */
  readonly fleet: CooldownFleet
}

/** Those who waited leave within a tenth of what they waited, a second at most, and not all at once. */
const SPREAD = 0.1
const SPREAD_MAX_MS = 1000

/** In place of a header's name. */
const TOLD_ANOTHER = 'a wait to another replica'

/** One of an adapter and origin. */
export function createCooldown(adapter: AdapterPolicy, origin: string, ports: CooldownPorts): Cooldown {
  const { limits, retry } = adapter
  if (!limits.cooldown || !retry.respectRetryAfterHeader || retry.retryAfterMaxMs === 0)
    return { gate: openGate, door: openGate, longestMs: () => 0, close() {} }
  const { clock, random, meter, log } = ports
  const cooldowns = createCooldowns(clock)
  const seat = ports.fleet.join(adapter.name, origin, (key, until) => {
    // Whoever can write to the store holds nobody back for longer than an upstream could.
    cooldowns.begin(key, Math.min(until, clock.now() + retry.retryAfterMaxMs), TOLD_ANOTHER)
  })
  const learn = (request: HopRequest, { rawHeaders, keyOfPool }: { rawHeaders: readonly string[]; keyOfPool?: true }): void => {
    const asked = keyOfPool ? null : ports.asked.of(rawHeaders)
    if (asked === null || asked.ms === 0) return
    const ms = Math.min(asked.ms, retry.retryAfterMaxMs)
    const key = credentialKey(request)
    const until = asked.until - asked.ms + ms
    const begun = cooldowns.begin(key, until, asked.because)
    if (begun !== 'known' && mayBeTold(request)) seat.tell(key, { until, hurry: begun === 'begun' })
    if (begun !== 'begun') return
    meter.cooledDown(adapter.name)
    const fields = { adapter: adapter.name, origin: request.url.origin, credential: credentialName(request) }
    log.log('warn', 'held back by a 429', { ...fields, because: asked.because, afterMs: ms })
  }

  const standBy = async (request: HopRequest, context: CallContext): Promise<null> => {
    for (;;) {
      const held = cooldowns.none ? null : cooldowns.of(credentialKey(request))
      if (held === null) return null
      if (limits.mode === 'observe') {
        context.trail.observe('cooldown', heldBecause(held, request), 'wait or be refused')
        return null
      }
      const roomMs = context.deadline - clock.now() - held.leftMs
      if (limits.whenSpent === 'reject' || roomMs < 0) throw heldBack(held, request)
      const spreadMs = Math.min(held.leftMs * SPREAD, SPREAD_MAX_MS, roomMs)
      await waitOut(held.leftMs + random() * spreadMs, request, context, clock)
    }
  }

  const learnFrom: Leave = (ended, request) => {
    if (ended.kind === 'answer' && ended.response.status === 429) learn(request, ended.response)
    if (ended.kind !== 'failure' || !(ended.error instanceof GatewayError)) return
    const { response } = ended.error
    if (response?.status === 429) learn(request, response)
  }

  return {
    longestMs: cooldowns.longestMs,
    close: seat.leave,
    gate: (request, context) => (cooldowns.none ? null : standBy(request, context)),
    door: (request) =>
      limits.mode === 'enforce' && !cooldowns.none && cooldowns.of(credentialKey(request)) !== null ? 'again' : learnFrom,
  }
}

async function waitOut(ms: number, request: HopRequest, context: CallContext, clock: Clock): Promise<void> {
  const from = clock.now()
  try {
    await wait(clock, ms, context.cancellation)
  } catch (reason) {
    if (!(reason instanceof GatewayError) || reason.type !== 'Timeout') throw reason
    throw new GatewayError(
      'Timeout',
      `timeout.total ran out while ${credentialName(request)} was held back by a 429 of ${request.url.origin}; raise timeout.total, or call it less often`,
    )
  } finally {
    context.trail.waited(clock.now() - from, 'rate limit')
  }
}

function heldBack(held: { leftMs: number; because: string }, request: HopRequest): GatewayError {
  const { whenSpent } = request.plan.adapter.limits
  const why = whenSpent === 'reject' ? 'limits.whenSpent is reject' : 'that is after timeout.total'
  return new GatewayError('RateLimited', `${heldBecause(held, request)}; ${why}`, {
    retryAfter: Math.ceil(held.leftMs),
    rule: 'cooldown',
  })
}

function heldBecause({ leftMs, because }: { leftMs: number; because: string }, request: HopRequest): string {
  return (
    `${request.url.origin} answered 429 with ${because}, and limits.cooldown of adapter "${request.plan.adapter.name}" holds ` +
    `${credentialName(request)} back for another ${Math.ceil(leftMs)} ms`
  )
}
