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
