// Makes the try's own span the parent of whatever the upstream traces, where calls are traced and the adapter passes trace
// context on. Of each try anew, above the credentials, which may sign it.
import type { Layer } from '../model/dispatch.ts'
import { setHeader } from '../model/header-list.ts'

const NAME = 'traceparent'

export const traceContext: Layer = (next) => (request, context) => {
  const { trace, trail } = context
  const { plan, outbound } = request
  if (!trace || !plan.adapter.propagate.some(isName) || outbound.headers.some(([name]) => isName(name))) {
    return next(request, context) // whoever gives the header, or null for it, has the last word
  }
  trail.span = trace.newSpanId()
  return next({ ...request, headers: setHeader(request.headers, NAME, trace.traceparent(trail.span)) }, context)
}

function isName(name: string): boolean {
  return name.toLowerCase() === NAME
}
