// Follows redirects: every hop is planned, composed and sent as a fresh request. Which answers are followed and what is
// carried along is decided in policy/next-hop.ts; whether a hop may go out is judged below, by `egress`.
import { GatewayError, type PartialResponse, withResponse } from '../errors/gateway-error.ts'
import type { AdapterPolicy } from '../model/adapter-policy.ts'
import type { CallContext } from '../model/call-context.ts'
import type { Descriptor } from '../model/descriptor.ts'
import type { Dispatch, Layer } from '../model/dispatch.ts'
import type { HistoryEntry } from '../model/envelope.ts'
import type { HopPlan, HopRequest, Outbound } from '../model/hop.ts'
import type { Routes } from '../model/ports.ts'
import type { PreparedUrl } from '../model/prepared-request.ts'
import { headerValue, headerValues, type UpstreamResponse } from '../model/upstream-response.ts'
import { decideNextHop, type FollowVerdict, nextOutbound } from '../policy/next-hop.ts'

interface Login {
  readonly username: string
  readonly password: string
}

export interface RedirectPorts {
  /** Throws GatewayError where the hop may not have what it needs. */
  planHop(input: {
    readonly adapter: AdapterPolicy
    readonly because: string
    readonly descriptor: Descriptor
    readonly routes: Routes
    readonly method: string
    readonly userinfo: Login | null
    /** Some redirect on the way changed scheme, host or port. */
    readonly originChanged: boolean
  }): { readonly plan: HopPlan; readonly warnings: readonly string[] }
  composeHop(
    outbound: Outbound,
    plan: HopPlan,
    call: {
      readonly cookie: string | null
      readonly requestId: string
      readonly traceparent: string | null
      readonly tracestate?: string | null
    },
  ): HopRequest
  /** Throws InvalidURL and its kin, as the upstream's doing, where the Location is no URL that can be called. */
  resolveLocation(from: PreparedUrl, location: string): PreparedUrl
}

/** One hop and what is behind it. */
interface Hop {
  readonly request: HopRequest
  readonly followed: number
  /** Some hop so far was https. */
  readonly secured: boolean
  /** Sticky: a chain that comes back to its first origin was led there by another one. */
  readonly originChanged: boolean
}

/** Refusals by policy (the contract's 403 row): the hop was not followed, so the redirect is the last answer there is. */
const REFUSALS: ReadonlySet<string> = new Set(['Forbidden', 'EgressDenied', 'UnknownCredential'])

export function redirect(ports: RedirectPorts): Layer {
  const followAll = async (next: Dispatch, following: Hop, answered: Answered): Promise<UpstreamResponse> => {
    const { first, context } = answered
    let { hop, response } = answered
    for (let to: Hop | null = following; to !== null; to = nextAfter(ports, { hop, first, response, context })) {
      context.cancellation.throwIfCancelled()
      response = await follow(next, to.request, { request: hop.request, response, context })
      hop = to
    }
    return response
  }

  return (next) => (first, context) => {
    context.trail.url = first.url.href
    return next(first, context).then((response) => {
      keepCookies(response, first, context)
      const hop: Hop = { request: first, followed: 0, secured: first.url.scheme === 'https', originChanged: false }
      const answered = { hop, first, response, context }
      const following = nextAfter(ports, answered)
      return following === null ? response : followAll(next, following, answered)
    })
  }
}

/** Gives the answer back. */
function keepCookies(response: UpstreamResponse, request: HopRequest, { trail, jar }: CallContext): UpstreamResponse {
  const setCookies = headerValues(response.rawHeaders, 'set-cookie')
  if (setCookies.length === 0) return response
  for (const [name, value] of jar.store(request.url, setCookies)) trail.setCookie(name, value)
  return response
}

interface Answered {
  readonly hop: Hop
  readonly first: HopRequest
  readonly response: UpstreamResponse
  readonly context: CallContext
}

/** null: the response is the call's answer. Whatever is refused here is told with the redirect that led to it. */
function nextAfter(ports: RedirectPorts, answered: Answered): Hop | null {
  const { hop, response, context } = answered
  const { request, followed } = hop
  try {
    const verdict = decideNextHop(
      {
        method: request.method,
        url: request.url,
        status: response.status,
        location: headerValue(response.rawHeaders, 'location'),
        followed,
        adapter: request.plan.adapter,
        descriptor: context.descriptor,
      },
      ports.resolveLocation,
    )
    if (verdict.kind === 'follow') return compose(ports, answered, verdict)
    if (verdict.kind === 'fail') throw new GatewayError(verdict.type, verdict.because, { sent: 'yes' })
    if (verdict.warning !== null) context.trail.warn(verdict.warning)
    return null
  } catch (error) {
    throw error instanceof GatewayError ? withResponse(error, headOf(response)) : error
  }
}

function compose(ports: RedirectPorts, { hop, first, context }: Answered, verdict: FollowVerdict): Hop {
  const { request, secured } = hop
  const { url, method } = verdict
  const outbound = nextOutbound(request.outbound, {
    verdict,
    drop: request.plan.adapter.redirects.drop,
    first: first.outbound,
    secured,
  })
  const route = context.routes.find(url)
  if (route === null)
    throw new GatewayError('EgressDenied', `the redirect leads to ${url.origin}, and no adapter is mounted there`)
  const originChanged = hop.originChanged || verdict.originChanged
  const { descriptor, routes, requestId, traceparent, tracestate = null, jar, trail } = context
  const userinfo = loginOf(first.plan, descriptor)
  const { plan, warnings } = ports.planHop({ ...route, descriptor, routes, method, userinfo, originChanged })
  for (const warning of warnings) trail.warn(warning)
  const next = ports.composeHop(outbound, plan, { cookie: jar.header(url), requestId, traceparent, tracestate })
  return { request: next, followed: hop.followed + 1, secured: secured || url.scheme === 'https', originChanged }
}

/** The first URL's own login, which only the first plan still knows: it was given, and not by `auth`. */
function loginOf({ credential }: HopPlan, { auth }: Descriptor): Login | null {
  return auth === undefined && credential.kind === 'given' && credential.auth.type === 'basic' ? credential.auth : null
}

interface Followed {
  readonly request: HopRequest
  readonly response: UpstreamResponse
  readonly context: CallContext
}

async function follow(next: Dispatch, request: HopRequest, from: Followed): Promise<UpstreamResponse> {
  const { trail } = from.context
  const url = trail.url ?? from.request.url.href
  const at = trail.history.push(historyEntry(from, url)) - 1
  try {
    trail.url = request.url.href
    return keepCookies(await next(request, from.context), request, from.context)
  } catch (error) {
    if (!(error instanceof GatewayError) || !REFUSALS.has(error.type)) throw error
    trail.history.splice(at, 1)
    trail.url = url
    throw withResponse(error, headOf(from.response))
  }
}

/** `url`: as it may be shown. */
function historyEntry({ request, response }: Followed, url: string): HistoryEntry {
  const { status, reason, rawHeaders, elapsed } = response
  return { method: request.method, status, reason, url, rawHeaders, elapsed }
}

function headOf({ status, reason, rawHeaders }: UpstreamResponse): PartialResponse {
  return { status, reason, rawHeaders }
}
