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

/**
 * `gates(a, b, c)`: a try enters a first and leaves it last. One layer for all of them: layers that each wait for the answer cost
 * a promise and several turns of the microtask queue each, for every call.
 */
export function gates(...all: readonly Gate[]): Layer {
  return (next) => async (request, context) => {
    anew: for (;;) {
      const inside: Leave[] = []
      let ended = TURNED_BACK
      try {
        for (const gate of all) {
          const entry = gate(request, context)
          if (entry === 'again') continue anew
          const leave = entry instanceof Promise ? await entry : entry
          if (leave !== null) inside.push(leave)
        }
        const response = await next(request, context)
        ended = { kind: 'answer', response }
        return response
      } catch (error) {
        ended = { kind: 'failure', error }
        throw error
      } finally {
        leaveAll(inside, ended, request, context)
      }
    }
  }
}

/** The last first, and every one of them even where one throws. */
function leaveAll(inside: Leave[], ended: Ended, request: HopRequest, context: CallContext): void {
  const leave = inside.pop()
  if (leave === undefined) return
  try {
    leave(ended, request, context)
  } finally {
    leaveAll(inside, ended, request, context)
  }
}
