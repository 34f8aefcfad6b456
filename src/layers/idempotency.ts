// A call with an idempotency key is carried out once: a later one gets the remembered outcome, one beside it shares the call
// under way, and where the first was lost in flight nobody repeats it. Calls without a key pass straight through.
import { createHash } from 'node:crypto'
import { GatewayError } from '../errors/gateway-error.ts'
import type { CallContext } from '../model/call-context.ts'
import { type Cancellation, createCancellation } from '../model/cancellation.ts'
import type { Descriptor } from '../model/descriptor.ts'
import type { Dispatch, Layer } from '../model/dispatch.ts'
import type { HopRequest } from '../model/hop.ts'
import type { Clock, IdempotencyClaim, IdempotencyStore, Random } from '../model/ports.ts'
import type { UpstreamResponse } from '../model/upstream-response.ts'
import { wait } from '../model/wait.ts'
import {
  type CallOutcome,
  type RememberedOutcome,
  readOutcome,
  rememberOutcome,
  replayOutcome,
  writeOutcome,
} from '../policy/remembered-outcome.ts'

export interface IdempotencyPorts {
  /** Shared by all replicas, or the embedded one where there is one replica. */
  readonly store: IdempotencyStore
  /** This replica's own memory, for adapters with `idempotency: local`. */
  readonly local: IdempotencyStore
  readonly clock: Clock
  readonly random: Random
}

type Ended =
  /** By this replica just now. */
  | ({ readonly kind: 'carried out'; readonly remembered: RememberedOutcome } & Dispatched)
  | { readonly kind: 'remembered'; readonly remembered: RememberedOutcome }
  | { readonly kind: 'refused'; readonly error: unknown }

interface Dispatched {
  readonly outcome: CallOutcome
  /** What the layers below threw, as it was: the gateway tells a fault of our own by its not being a GatewayError. */
  readonly thrown: unknown
}

/** One call under way on this replica, and how many wait for it. */
interface SharedCall {
  readonly fingerprint: string
  /** Its own: it ends when all have hung up, or with the first caller's total clock. */
  readonly cancellation: Cancellation
  readonly deadline: number
  /** Never rejects. */
  readonly ended: Promise<Ended>
  present: number
}

/** How long an outcome may take to be stored after the call's deadline before the claim counts as lost. */
const STORING_MS = 5000
const FIRST_POLL_MS = 50
const LONGEST_POLL_MS = 1000

export function idempotency(ports: IdempotencyPorts): Layer {
  const calls = new Map<string, SharedCall>()

  const lead = (next: Dispatch, request: HopRequest, context: CallContext, key: string, print: string): SharedCall => {
    const cancellation = createCancellation()
    const { deadline } = context
    const ended = carryOut(next, request, { ...context, cancellation }, { key, print, ports })
      .catch((error: unknown): Ended => ({ kind: 'refused', error }))
      .finally(() => calls.delete(key))
    const call: SharedCall = { fingerprint: print, cancellation, deadline, ended, present: 0 }
    calls.set(key, call)
    return call
  }

  const once = async (next: Dispatch, request: HopRequest, context: CallContext, given: string): Promise<UpstreamResponse> => {
    const key = `${context.caller.name}:${given}`
    const print = fingerprint(request, context.descriptor)
    let known = calls.get(key)
    while (known?.cancellation.reason) {
      await known.ended // everybody hung up on it: there is nothing left to share
      known = calls.get(key)
    }
    if (known && known.fingerprint !== print) throw conflict()
    const ended = await attend(known ?? lead(next, request, context, key, print), context, !known, ports.clock)
    if (ended.kind === 'refused') throw ended.error
    if (known || ended.kind === 'remembered') return replayOutcome(ended.remembered, context.trail)
    if (ended.outcome.kind === 'error') throw ended.thrown
    return ended.outcome.response
  }

  return (next) => (request, context) => {
    const { idempotencyKey } = context.descriptor
    return idempotencyKey === undefined ? next(request, context) : once(next, request, context, idempotencyKey)
  }
}

/** Waits for the shared call as long as this caller's own call lasts. The last to leave ends it, and still hears how it ended. */
function attend(call: SharedCall, context: CallContext, first: boolean, clock: Clock): Promise<Ended> {
  call.present++
  return new Promise((resolve, reject) => {
    const stopListening = context.cancellation.onCancel((reason) => {
      call.present--
      if (call.present === 0) {
        call.cancellation.cancel(reason)
        return
      }
      if (first) keepTime(call, clock)
      // The call goes on without this caller, and what it sent or will send is no longer known to it.
      reject(new GatewayError(reason.type, reason.message, { sent: 'maybe', status: reason.status }))
    })
    call.ended.then((ended) => {
      stopListening()
      resolve(ended)
    })
  })
}

/** The total clock was the first caller's, and went with it. */
function keepTime(call: SharedCall, clock: Clock): void {
  const stop = clock.after(call.deadline - clock.now(), () => {
    call.cancellation.cancel(new GatewayError('Timeout', 'timeout.total of the call that is shared ran out'))
  })
  call.ended.then(stop)
}

interface Claiming {
  /** Scoped to the caller. */
  readonly key: string
  readonly print: string
  readonly ports: IdempotencyPorts
}

async function carryOut(next: Dispatch, request: HopRequest, context: CallContext, claiming: Claiming): Promise<Ended> {
  const { adapter } = request.plan
  const claim = await claimTurn(context, adapter.idempotency, claiming)
  switch (claim.state) {
    case 'conflict':
      throw conflict()
    case 'lost':
      throw unknownOutcome('the first call with this idempotencyKey was lost in flight')
    case 'done': {
      const remembered = readOutcome(claim.outcome)
      if (remembered === null) throw unknownOutcome('the remembered outcome of this idempotencyKey cannot be read')
      return { kind: 'remembered', remembered }
    }
    case 'mine': {
      const dispatched = await dispatch(next, request, context)
      const remembered = rememberOutcome(dispatched.outcome, context.trail)
      await store(remembered, claim, adapter.idempotencyTtlMs, context)
      return { kind: 'carried out', ...dispatched, remembered }
    }
    default:
      return claim satisfies never
  }
}

type Settled = Exclude<IdempotencyClaim, { state: 'running' }>

/** Asks until another replica, should it be at it, is done. */
async function claimTurn(context: CallContext, where: 'shared' | 'local', { key, print, ports }: Claiming): Promise<Settled> {
  const { clock, random } = ports
  const store = where === 'local' ? ports.local : ports.store
  for (let pollMs = FIRST_POLL_MS; ; pollMs = Math.min(LONGEST_POLL_MS, pollMs * 2)) {
    const claim = await store.claim(key, print, Math.max(0, context.deadline - clock.now()) + STORING_MS)
    if (claim.state !== 'running') return claim
    await wait(clock, pollMs * (0.5 + random() / 2), context.cancellation)
  }
}

async function dispatch(next: Dispatch, request: HopRequest, context: CallContext): Promise<Dispatched> {
  try {
    context.cancellation.throwIfCancelled()
    return { outcome: { kind: 'response', response: await next(request, context) }, thrown: null }
  } catch (thrown) {
    const error = thrown instanceof GatewayError ? thrown : new GatewayError('InternalError', 'the gateway failed')
    return { outcome: { kind: 'error', error }, thrown }
  }
}

/** The outcome stands whether or not it can be remembered; a claim that is neither completed nor released counts as lost. */
async function store(
  remembered: RememberedOutcome,
  claim: Extract<IdempotencyClaim, { state: 'mine' }>,
  ttlMs: number,
  context: CallContext,
): Promise<void> {
  try {
    if (remembered.outcome.kind === 'error' && remembered.outcome.error.sent === 'no') await claim.release()
    else await claim.complete(writeOutcome(forLater(remembered)), ttlMs)
  } catch {
    context.trail.warn('the outcome could not be remembered: a later call with this idempotencyKey will be OutcomeUnknown')
  }
}

/** That its callers hung up, or that this replica went down, is no outcome; that it may have been carried out is. */
function forLater(remembered: RememberedOutcome): RememberedOutcome {
  const { outcome } = remembered
  if (outcome.kind === 'response' || !(outcome.error.type === 'Cancelled' || outcome.error.type === 'Draining')) return remembered
  const error = unknownOutcome('the first call with this idempotencyKey was broken off after it may have been sent')
  return { ...remembered, outcome: { kind: 'error', error } }
}

function conflict(): GatewayError {
  const same = 'adapter, method, URL and body must be the same'
  return new GatewayError('IdempotencyConflict', `this idempotencyKey was used for another request: ${same}; use a new key`)
}

function unknownOutcome(why: string): GatewayError {
  return new GatewayError('OutcomeUnknown', `${why}; find out at the upstream before trying with a new key`)
}

/** Of what must be the same. A multipart body counts by its parts: the boundary between them is new each time. */
function fingerprint({ plan, method, url, body }: HopRequest, descriptor: Descriptor): string {
  const hash = createHash('sha256')
  const add = (part: string | Uint8Array | null): void => {
    const bytes = typeof part === 'string' ? Buffer.from(part) : part
    hash.update(bytes === null ? '-;' : `${bytes.length};`)
    if (bytes !== null) hash.update(bytes)
  }
  for (const part of [plan.adapter.name, method, url.origin, url.target]) add(part)
  if (descriptor.body?.kind !== 'multipart') {
    add(body)
    return hash.digest('base64url')
  }
  const { fields, files } = descriptor.body
  add(`${fields.length} ${files.length}`)
  for (const [name, value] of fields) [name, value].forEach(add)
  for (const file of files) {
    add(`${file.headers.length}`)
    for (const header of file.headers) header.forEach(add)
    for (const part of [file.name, file.filename, file.contentType ?? null, file.content]) add(part)
  }
  return hash.digest('base64url')
}
