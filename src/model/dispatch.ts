// The grammar of the pipeline: a request goes down once, the answer comes up once.
import type { CallContext } from './call-context.ts'
import type { HopRequest } from './hop.ts'
import type { UpstreamResponse } from './upstream-response.ts'

/** Throws GatewayError, nothing else. */
export type Dispatch = (request: HopRequest, context: CallContext) => Promise<UpstreamResponse>
export type Layer = (next: Dispatch) => Dispatch

/** `stack(a, b, c)(end)`: a sees the request first, `end` last. */
export function stack(...layers: readonly Layer[]): Layer {
  return (end) => layers.reduceRight<Dispatch>((next, layer) => layer(next), end)
}

/**
 * A layer that only lets a try in and hears how it ended. It throws, or rejects, to refuse; a promise where the try must wait.
 * 'again': the try leaves whatever it is in, and begins anew with the first gate.
 */
export type Gate = (request: HopRequest, context: CallContext) => Entry | 'again' | Promise<Entry>
/** What is to be done when the try leaves; null: nothing. */
export type Entry = Leave | null
/** Called once for each entry, however the try ended. */
export type Leave = (ended: Ended, request: HopRequest, context: CallContext) => void

export type Ended =
  | { readonly kind: 'answer'; readonly response: UpstreamResponse }
  | { readonly kind: 'failure'; readonly error: unknown }
  | { readonly kind: 'turned back' }

const TURNED_BACK: Ended = { kind: 'turned back' }

/** For what is configured off. */
export const openGate: Gate = () => null

/** What a try is in, the innermost first; null: nothing. */
type Inside = { readonly leave: Leave; readonly outer: Inside } | null

/**
 * `gates(a, b, c)`: a try enters a first and leaves it last. One layer for all of them, and no async function: layers that each
 * wait for the answer cost a promise and several turns of the microtask queue each, for every call.
 */
export function gates(...all: readonly Gate[]): Layer {
  return (next) => {
    /** `from`: the gate to go on with. */
    const enter = (request: HopRequest, context: CallContext, from: number, entered: Inside): Promise<UpstreamResponse> => {
      let inside = entered
      const succeed = (response: UpstreamResponse): UpstreamResponse => {
        leaveAll(inside, { kind: 'answer', response }, request, context)
        return response
      }
      const fail = (error: unknown): never => {
        leaveAll(inside, { kind: 'failure', error }, request, context)
        throw error
      }
      try {
        for (let at = from; at < all.length; at++) {
          const entry = (all[at] as Gate)(request, context)
          if (entry === 'again') {
            const left = inside
            inside = null
            leaveAll(left, TURNED_BACK, request, context)
            at = -1
          } else if (entry instanceof Promise) {
            const after = at + 1
            return entry.then((waited) => enter(request, context, after, within(waited, inside)), fail)
          } else inside = within(entry, inside)
        }
        return next(request, context).then(succeed, fail)
      } catch (error) {
        return Promise.reject(error).catch(fail)
      }
    }
    return (request, context) => enter(request, context, 0, null)
  }
}

function within(leave: Entry, outer: Inside): Inside {
  return leave === null ? outer : { leave, outer }
}

/** The last first, and every one of them even where one throws. */
function leaveAll(inside: Inside, ended: Ended, request: HopRequest, context: CallContext): void {
  if (inside === null) return
  try {
    inside.leave(ended, request, context)
  } finally {
    leaveAll(inside.outer, ended, request, context)
  }
}
