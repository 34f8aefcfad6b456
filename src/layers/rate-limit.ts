// Keeps tries within the supplier's quota. Whoever finds the bucket empty waits in order of arrival, unless the turn would
// come after the call's deadline: then it is refused at once.
import { GatewayError } from '../errors/gateway-error.ts'
import type { CallContext } from '../model/call-context.ts'
import type { Layer } from '../model/dispatch.ts'
import type { HopRequest } from '../model/hop.ts'
import type { Clock } from '../model/ports.ts'
import type { TokenBucket } from '../policy/token-bucket.ts'

/** `bucket` null: no limit, and no cost. */
export function rateLimit(bucket: TokenBucket | null, ports: { readonly clock: Clock }): Layer {
  if (bucket === null) return (next) => next
  const line = createLine(bucket, ports.clock)
  return (next) => async (request, context) => {
    if (!line.tryEnter() && !(await line.askToEnter())) {
      const turnMs = line.msUntilTurn()
      if (request.plan.adapter.limits.mode === 'observe') {
        context.trail.observe('rate', spent(turnMs, request), 'wait or be refused')
      } else {
        refuseLateTurn(turnMs, request, context, ports.clock)
        await standInLine(line, request, context, ports.clock)
      }
    }
    return next(request, context)
  }
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

function refuseLateTurn(turnMs: number, request: HopRequest, context: CallContext, clock: Clock): void {
  const { whenSpent } = request.plan.adapter.limits
  if (whenSpent === 'queue' && clock.now() + turnMs <= context.deadline) return
  const why = whenSpent === 'queue' ? 'after timeout.total' : 'and limits.whenSpent is reject'
  throw new GatewayError('RateLimited', `${spent(turnMs, request)}, ${why}`, { retryAfter: turnMs })
}

function spent(turnMs: number, { plan, url }: HopRequest): string {
  return `limits.rate of adapter "${plan.adapter.name}" is spent for ${url.origin}: the next turn comes in ${turnMs} ms`
}

function standInLine(line: Line, request: HopRequest, context: CallContext, clock: Clock): Promise<void> {
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
      reject(reason.type === 'Timeout' ? outOfTime(waited, request) : reason)
    })
  })
}

function outOfTime(waitedMs: number, request: HopRequest): GatewayError {
  return new GatewayError(
    'Timeout',
    `timeout.total ran out after ${Math.round(waitedMs)} ms in the queue of limits.rate of adapter "${request.plan.adapter.name}" ` +
      `for ${request.url.origin}; raise timeout.total, or limits.rate`,
  )
}
