// So many tries at once per adapter and origin, so many more in the queue, and not one beyond: a slow host may fill its own
// compartment, not the ship.
import { GatewayError } from '../errors/gateway-error.ts'
import type { CallContext } from '../model/call-context.ts'
import type { Gate } from '../model/dispatch.ts'
import type { HopRequest } from '../model/hop.ts'
import type { Clock } from '../model/ports.ts'
import type { Slots } from '../policy/slots.ts'

/** How long a refused caller is told to stay away. Nobody knows when a slot will be free; a second is polite to both sides. */
const COME_BACK_MS = 1000

export function bulkhead(slots: Slots, { clock }: { readonly clock: Clock }): Gate {
  const release = (): void => slots.release()
  return (request, context) => {
    if (slots.tryTake()) return release
    if (request.plan.adapter.limits.mode === 'enforce') return queueUp(slots, request, context, clock).then(() => release)
    context.trail.observe('bulkhead', taken(request), 'wait or be refused')
    return null
  }
}

/** Resolves holding a slot; rejects holding none. */
function queueUp(slots: Slots, request: HopRequest, context: CallContext, clock: Clock): Promise<void> {
  const from = clock.now()
  return new Promise((resolve, reject) => {
    const end = (): void => {
      stopListening()
      context.trail.waited(clock.now() - from, 'queue')
    }
    const leave = slots.queue({
      caller: context.caller.name,
      priority: context.caller.priority ?? 'normal',
      onTurn() {
        end()
        resolve()
      },
      onPushedOut() {
        end()
        reject(pushedOut(request, context))
      },
    })
    if (leave === null) {
      reject(full(request))
      return
    }
    const stopListening = context.cancellation.onCancel((reason) => {
      leave()
      const waited = clock.now() - from
      context.trail.waited(waited, 'queue')
      reject(reason.type === 'Timeout' ? outOfTime(waited, request) : reason)
    })
  })
}

function full({ url, plan }: HopRequest): GatewayError {
  const { name, limits } = plan.adapter
  return new GatewayError(
    'BulkheadFull',
    `all ${limits.concurrency} slots (limits.concurrency) and ${limits.queue} places in the queue (limits.queue) ` +
      `of adapter "${name}" for ${url.origin} are taken`,
    { retryAfter: COME_BACK_MS },
  )
}

function taken({ url, plan: { adapter } }: HopRequest): string {
  return `all ${adapter.limits.concurrency} slots (limits.concurrency) of adapter "${adapter.name}" for ${url.origin} are taken`
}

function pushedOut({ url, plan }: HopRequest, { caller }: CallContext): GatewayError {
  const { name, limits } = plan.adapter
  return new GatewayError(
    'BulkheadFull',
    `all ${limits.queue} places in the queue (limits.queue) of adapter "${name}" for ${url.origin} are taken, ` +
      `the most by caller "${caller.name}": this one went to a caller that has fewer`,
    { retryAfter: COME_BACK_MS },
  )
}

function outOfTime(waitedMs: number, { url, plan }: HopRequest): GatewayError {
  return new GatewayError(
    'Timeout',
    `timeout.total ran out after ${Math.round(waitedMs)} ms in the queue of adapter "${plan.adapter.name}" for ${url.origin}; ` +
      `its ${plan.adapter.limits.concurrency} slots (limits.concurrency) were taken`,
  )
}
