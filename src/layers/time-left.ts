// Tells the upstream how long anybody still waits for its answer, so that it need not work for nobody. Of each try anew: what
// queues and waits took is gone by then.
import type { Layer } from '../model/dispatch.ts'
import { setHeader } from '../model/header-list.ts'
import type { Clock } from '../model/ports.ts'

/** `header`: gets whole milliseconds, at least 1, in place of whatever the caller sent under that name. null: nothing is told. */
export function timeLeft(header: string | null, { clock }: { readonly clock: Clock }): Layer {
  if (header === null) return (next) => next
  return (next) => (request, context) => {
    const value = String(Math.max(1, Math.floor(context.deadline - clock.now())))
    return next({ ...request, headers: setHeader(request.headers, header, value) }, context)
  }
}
