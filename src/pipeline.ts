// THE order of the pipeline, and nothing else. docs/architecture.md gives each line its reason; a test holds the two together.
import { type Gate, gates, type Layer, stack } from './model/dispatch.ts'

/** Once a call. The end below it is the adapter pool, which finds the stack of the hop's adapter and origin. */
export function callStack(layers: { readonly idempotency: Layer; readonly redirect: Layer; readonly egress: Layer }): Layer {
  return stack(
    layers.idempotency, // a remembered outcome costs nothing below; two calls in flight share one
    layers.redirect, // a hop is a fresh request to its own host: below here it is judged, counted and credentialed anew
    layers.egress, // scheme, host, port, method, path and caller policy, every hop, no DNS
  )
}

/** One per adapter and origin; below `retry` once a try. The end below it is the transport. */
export function adapterStack(layers: {
  readonly retry: Layer
  readonly cooldown: Gate
  readonly rateLimit: Gate
  readonly breakerDoor: Gate
  readonly bulkhead: Gate
  readonly cooldownDoor: Gate
  readonly breaker: Gate
  readonly traceContext: Layer
  readonly timeLeft: Layer
  readonly credentials: Layer
}): Layer {
  return stack(
    layers.retry, // above all that must be repeated
    gates(
      layers.cooldown, // what a 429 asks of everybody; whoever waits for it spends no turn of the rate
      layers.rateLimit, // the supplier's quota: tries cost, calls do not
      layers.breakerDoor, // an open breaker refuses before anybody queues
      layers.bulkhead, // a waiting retry holds no slot; a full queue is not the host's fault
      layers.cooldownDoor, // a 429 came while the try stood in a queue: it goes back to wait, and holds no slot
      layers.breaker, // judged by policy/classify.ts
    ),
    layers.traceContext, // a try's own span is what the upstream continues
    layers.timeLeft, // every wait is over here, and credentials may sign what it says
    layers.credentials, // secrets exist only below this line
  )
}

/** What `POST /v1/prepare` goes down: the same judgement and the same credentials, and nothing is sent. */
export function rehearsalStack(layers: { readonly egress: Layer; readonly credentials: Layer }): Layer {
  return stack(layers.egress, layers.credentials)
}
