// What a configuration makes of a call, and who would refuse it: the decisions of the gateway itself, without sending or
// resolving anything. What only a running gateway knows (secrets, breakers, quotas, DNS) is not judged here.
import { createRoutes } from '../adapters/routes.ts'
import type { Config } from '../config/config.ts'
import { parseDescriptor } from '../descriptor/parse-descriptor.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import type { AdapterPolicy } from '../model/adapter-policy.ts'
import type { Caller } from '../model/caller.ts'
import type { HopPlan } from '../model/hop.ts'
import type { PreparedUrl } from '../model/prepared-request.ts'
import { canonicalAddress, judgeAddress } from '../policy/address-rules.ts'
import { type EgressVerdict, judgeEgress } from '../policy/egress-rule.ts'
import { callTimeoutMs, planHop } from '../policy/plan-hop.ts'
import { prepareCall } from '../prepare/prepare-call.ts'

export interface CallerVerdict {
  readonly name: string
  readonly allowed: boolean
  readonly because: string
}

export interface Explanation {
  readonly method: string
  /** As it would be sent, without a login; null: it is no URL. */
  readonly url: string | null
  readonly plan: HopPlan | null
  /** The total clock, ms; null: no adapter. */
  readonly totalMs: number | null
  /** Which addresses may be dialled for this host, in words; null: no adapter. */
  readonly addresses: string | null
  /** Of every caller, or of the one that was asked about. */
  readonly callers: readonly CallerVerdict[]
  readonly warnings: readonly string[]
  /** null: nothing in the configuration refuses it. */
  readonly refusal: GatewayError | null
}

export interface ExplainAsk {
  readonly url: string
  readonly method: string
  /** null: the adapters' own rules decide alone. */
  readonly caller: Caller | null
}

/** Whoever is bound by nothing: what refuses it refuses everybody. */
const ANYBODY: Caller = { name: 'anybody', admin: false, may: null }

type Course = { -readonly [Key in keyof Explanation]: Explanation[Key] }

export function explainCall(config: Config, ask: ExplainAsk): Explanation {
  const course: Course = {
    method: ask.method,
    url: null,
    plan: null,
    totalMs: null,
    addresses: null,
    callers: [],
    warnings: [],
    refusal: null,
  }
  try {
    follow(course, config, ask)
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown
    course.refusal = thrown
  }
  return course
}

/** The steps of a call in their order, as far as it would come. */
function follow(course: Course, config: Config, ask: ExplainAsk): void {
  const descriptor = parseDescriptor(Buffer.from(JSON.stringify({ url: ask.url, method: ask.method })))
  const { outbound, userinfo, warnings } = prepareCall(descriptor, () => '')
  const { method, url } = outbound
  Object.assign(course, { method, url: url.href, warnings })
  const routes = createRoutes(config.adapters, config.ceilings, new Set(config.caBundles.keys()))
  const found = routes.find(url)
  if (!found)
    throw new GatewayError('EgressDenied', `no adapter is mounted on ${url.origin}; mount one on this prefix, or correct the URL`)
  const { adapter, because } = found
  course.totalMs = callTimeoutMs(descriptor, adapter, config.ceilings, null).totalMs
  const planned = planHop({ adapter, because, descriptor, routes, method, userinfo, originChanged: false })
  course.plan = planned.plan
  course.warnings = [...warnings, ...planned.warnings]
  const judge = (caller: Caller): EgressVerdict => judgeEgress({ adapter, caller, method, url, secrets: [] })
  const callers = ask.caller ? [ask.caller] : config.callers.map(({ caller }) => caller)
  course.callers = callers.map((caller) => ({
    name: caller.name,
    allowed: judge(caller).allowed,
    because: judge(caller).because,
  }))
  const { fault, text } = addressRule(url, adapter)
  course.addresses = text
  const verdict = judge(ask.caller ?? ANYBODY)
  if (!verdict.allowed) throw new GatewayError(verdict.type, `${url.origin}: ${verdict.because}`)
  if (fault !== null) throw new GatewayError('EgressDenied', `adapter "${adapter.name}" does not dial it: ${fault}`)
}

/** An address in the URL is judged; of a name it is said what will be. */
function addressRule({ hostname }: PreparedUrl, { egress, proxy }: AdapterPolicy): { fault: string | null; text: string } {
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
  if (proxy?.resolve === 'remote')
    return { fault: null, text: `the proxy ${proxy.url} resolves ${bare}, and its own rules decide` }
  const address = canonicalAddress(bare)
  if (address !== null) {
    const { allowed, because } = judgeAddress(address, egress)
    return { fault: allowed ? null : because, text: because }
  }
  const listed = [...egress.allow, ...egress.allowMetadata]
  const text = listed.length === 0 ? 'global ones alone' : `global ones and ${listed.join(', ')}`
  return { fault: null, text: `${text}; judged when ${bare} is resolved, at each connection` }
}
