// Keeps tries within the supplier's quota. Whoever finds the bucket empty waits in order of arrival, unless the turn would
// come after the call's deadline: then it is refused at once.
import { GatewayError } from '../errors/gateway-error.ts'
import type { AdapterPolicy, Rate } from '../model/adapter-policy.ts'
import type { CallContext } from '../model/call-context.ts'
import { type Gate, openGate } from '../model/dispatch.ts'
import type { HopRequest } from '../model/hop.ts'
import type { Clock } from '../model/ports.ts'
import { credentialKey, credentialName, mayBeTold } from '../policy/credential-identity.ts'
import { createHolders, type Holders, type Place } from '../policy/holders.ts'
import { createTokenBucket, type OpenBucket, type TokenBucket } from '../policy/token-bucket.ts'

export interface RateLimit {
  readonly gate: Gate
  /** As AdapterSample.rateLeft. */
  left(): number | null
  close(): void
}

export interface RateLimitPorts {
  readonly clock: Clock
  readonly openBucket: OpenBucket
}

/** One of an adapter and origin: one bucket, or one for each caller or credential. */
export function createRateLimit(adapter: AdapterPolicy, origin: string, ports: RateLimitPorts): RateLimit {
  const { rate, rateBy } = adapter.limits
  const name = `adapter ${adapter.name} ${origin}`
  if (rate === null) return { gate: rateLimit(null, ports), left: () => null, close() {} }
  if (rateBy !== 'origin') return limitEach({ name, rate, holderOf: HOLDERS[rateBy] }, ports)
  const bucket = ports.openBucket(name, rate)
  return { gate: rateLimit(bucket, ports), left: bucket.left, close: bucket.close }
}

/** `bucket` null: no limit, and no cost. */
export function rateLimit(bucket: TokenBucket | null, { clock }: Pick<RateLimitPorts, 'clock'>): Gate {
  if (bucket === null) return openGate
  const line = createLine(bucket, clock)
  const queue: Queue = { line, whose: ofOrigin }
  return (request, context) => (line.tryEnter() ? null : takeTurn(queue, request, context, clock))
}

/** With buckets of their own at once, of those told and of those not; beyond them all others share one. */
const MOST_HOLDERS = 1000

/** Who has a bucket. */
interface Holder {
  readonly key: string
  /** The name of its bucket may stand in the store; else each replica counts for itself. */
  readonly told: boolean
}

interface Held {
  readonly bucket: TokenBucket
  readonly line: Line
}

interface HolderOf {
  readonly holder: (request: HopRequest, context: CallContext) => Holder
  /** For messages. */
  readonly name: (request: HopRequest, context: CallContext) => string
  readonly plural: string
}

const HOLDERS: Readonly<Record<'caller' | 'credential', HolderOf>> = {
  caller: {
    holder: (_request, { caller }) => ({ key: `caller ${caller.name}`, told: true }),
    name: (_request, { caller }) => `caller "${caller.name}"`,
    plural: 'callers',
  },
  credential: {
    holder: (request) => ({ key: credentialKey(request), told: mayBeTold(request) }),
    name: credentialName,
    plural: 'credentials',
  },
}

function limitEach(
  { name, rate, holderOf }: { readonly name: string; readonly rate: Rate; readonly holderOf: HolderOf },
  { clock, openBucket }: RateLimitPorts,
): RateLimit {
  const holders = (open: OpenBucket): Holders<Held> =>
    createHolders<Held>({
      open(key) {
        const bucket = open(`${name} ${key ?? `all other ${holderOf.plural}`}`, rate)
        return { bucket, line: createLine(bucket, clock) }
      },
      isIdle: ({ bucket }) => bucket.msUntil(rate.burst) === 0, // of a shared one `left` does not tell of the part while the store is away
      close: ({ bucket }) => bucket.close(),
      most: MOST_HOLDERS,
      clock,
    })
  // Apart, so that made-up credentials take no room from stored ones.
  const told = holders(openBucket)
  const untold = holders((_name, rate) => createTokenBucket(rate, clock))

  return {
    gate: async (request, context) => {
      const { key, told: mayTell } = holderOf.holder(request, context)
      const room = mayTell ? told : untold
      const place = room.enter(key)
      try {
        const { line } = place.kept
        const whose = (): string => wordsFor(holderOf, place, request, context)
        return line.tryEnter() ? null : await takeTurn({ line, whose }, request, context, clock)
      } finally {
        room.leave(place)
      }
    },
    left: () => [...told.kept(), ...untold.kept()].reduce((least, { bucket }) => Math.min(least, bucket.left()), 1),
    close() {
      told.close()
      untold.close()
    },
  }
}

function wordsFor({ name, plural }: HolderOf, { own }: Place<Held>, request: HopRequest, context: CallContext): string {
  const shared = own ? '' : ` and all others that came while ${MOST_HOLDERS} ${plural} had spent of theirs`
  return `${name(request, context)}${shared} at ${request.url.origin}`
}

/** Whose bucket it is, for messages, and who stands in line for it. */
interface Queue {
  readonly line: Line
  readonly whose: (request: HopRequest) => string
}

const ofOrigin = ({ url }: HopRequest): string => url.origin

/** After its `tryEnter` found none. */
async function takeTurn(queue: Queue, request: HopRequest, context: CallContext, clock: Clock): Promise<null> {
  const { line } = queue
  if (await line.askToEnter()) return null
  const turnMs = line.msUntilTurn()
  if (request.plan.adapter.limits.mode === 'observe') {
    context.trail.observe('rate', spent(turnMs, queue, request), 'wait or be refused')
    return null
  }
  refuseLateTurn(turnMs, queue, request, context, clock)
  await standInLine(queue, request, context, clock)
  return null
}

interface Line {
  /** True: a token was free and nobody waits for it. */
  tryEnter(): boolean
  /** After that: whether those who share the bucket had one left. */
  askToEnter(): Promise<boolean> | false
  msUntilTurn(): number
  /** Returns how to leave before the turn. */
  join(onTurn: () => void): () => void
}

/** Where others share the bucket the first turn may come sooner than was told, ms. */
const LOOK_MS = 500

/** One timer for the whole line, set for its first. */
function createLine(bucket: TokenBucket, clock: Clock): Line {
  const waiters = new Set<() => void>() // in order of arrival
  let stopTimer: (() => void) | null = null
  let asking = false

  const serve = (): void => {
    stopTimer = null
    asking = false
    for (const waiter of waiters) {
      if (!bucket.tryTake()) break
      waiters.delete(waiter)
      waiter()
    }
    if (waiters.size > 0) serveLater()
  }
  const serveLater = (): void => {
    if (stopTimer !== null || asking) return
    const asked = bucket.ask(waiters.size, true)
    asking = asked !== null
    if (asked !== null) void asked.then(serve)
    else stopTimer = clock.after(Math.min(LOOK_MS, bucket.msUntil(1)), serve)
  }
  const tryEnter = (): boolean => waiters.size === 0 && bucket.tryTake()
  const askToEnter = (): Promise<boolean> | false => {
    const asked = waiters.size === 0 && bucket.ask(1, false)
    return asked ? asked.then(() => tryEnter() || askToEnter()) : false
  }

  return {
    tryEnter,
    askToEnter,
    msUntilTurn: () => bucket.msUntil(waiters.size + 1),
    join(onTurn) {
      const waiter = (): void => onTurn()
      waiters.add(waiter)
      serveLater()
      return () => {
        waiters.delete(waiter)
        if (waiters.size > 0) return
        stopTimer?.()
        stopTimer = null
      }
    },
  }
}

function refuseLateTurn(turnMs: number, queue: Queue, request: HopRequest, context: CallContext, clock: Clock): void {
  const { whenSpent } = request.plan.adapter.limits
  if (whenSpent === 'queue' && clock.now() + turnMs <= context.deadline) return
  const why = whenSpent === 'queue' ? 'after timeout.total' : 'and limits.whenSpent is reject'
  throw new GatewayError('RateLimited', `${spent(turnMs, queue, request)}, ${why}`, { retryAfter: turnMs })
}

function spent(turnMs: number, { whose }: Queue, request: HopRequest): string {
  return `limits.rate of adapter "${request.plan.adapter.name}" is spent for ${whose(request)}: the next turn comes in ${turnMs} ms`
}

function standInLine({ line, whose }: Queue, request: HopRequest, context: CallContext, clock: Clock): Promise<void> {
  const from = clock.now()
  return new Promise((resolve, reject) => {
    const leave = line.join(() => {
      stopListening()
      context.trail.waited(clock.now() - from, 'rate limit')
      resolve()
    })
    const stopListening = context.cancellation.onCancel((reason) => {
      leave()
      const waited = clock.now() - from
      context.trail.waited(waited, 'rate limit')
      reject(reason.type === 'Timeout' ? outOfTime(waited, whose(request), request) : reason)
    })
  })
}

function outOfTime(waitedMs: number, whose: string, request: HopRequest): GatewayError {
  return new GatewayError(
    'Timeout',
    `timeout.total ran out after ${Math.round(waitedMs)} ms in the queue of limits.rate of adapter "${request.plan.adapter.name}" ` +
      `for ${whose}; raise timeout.total, or limits.rate`,
  )
}
