// An explained call, as a person reads it and as a script does. Header values and parameters that an adapter adds are named
// and not shown: they may have come from the environment.
import { planView } from '../envelope/plan-view.ts'
import { CATALOGUE } from '../errors/catalogue.ts'
import type { AdapterPolicy, BreakerPolicy } from '../model/adapter-policy.ts'
import type { HopPlan } from '../model/hop.ts'
import type { Explanation } from './explain-call.ts'
import { writeDuration, writeRate, writeRows, writeSize } from './write-units.ts'

/** `plan` is that of POST /v1/prepare. */
export function explanationJson({ method, url, plan, totalMs, addresses, callers, warnings, refusal }: Explanation): unknown {
  const error = refusal === null ? null : { type: refusal.type, message: refusal.message, detail: refusal.detail }
  return { method, url, plan: planView({ plan, totalMs, error: refusal }), addresses, callers, warnings, error }
}

export function explanationText(explanation: Explanation): string[] {
  const { method, url, plan, refusal } = explanation
  const rows = plan === null ? [] : planRows(plan, explanation)
  const callers = explanation.callers.map(({ name, allowed, because }): [string, string] => [
    name,
    allowed ? 'may' : `may not: ${because}`,
  ])
  return [
    `${method}${url === null ? '' : ` ${url}`}: ${refusal === null ? 'would be sent' : 'would be refused'}`,
    ...(refusal === null ? [] : [`  ${refusal.type}: ${refusal.message}`, `  what to do: ${CATALOGUE[refusal.type].remedy}`]),
    ...writeRows(rows),
    ...(callers.length === 0 ? [] : ['  callers', ...writeRows(callers, '    ')]),
    ...explanation.warnings.map((warning) => `warning: ${warning}`),
  ]
}

function planRows(plan: HopPlan, { totalMs, addresses }: Explanation): [label: string, text: string][] {
  const { adapter, connectMs, readMs, tls } = plan
  const { concurrency, queue, rate, rateBy } = adapter.limits
  const clocks = `connect ${writeDuration(connectMs)}, read ${writeDuration(readMs)}, total ${writeDuration(totalMs ?? 0)}`
  const whose = rateBy === 'origin' ? '' : ` for each ${rateBy}`
  const slots = `${concurrency} at once, ${queue} more may wait, ${rate === null ? 'any rate' : writeRate(rate) + whose}`
  const rows: [string, string | null][] = [
    ['adapter', `${adapter.name}, mounted on ${adapter.mount}`],
    ['because', plan.because],
    ['credential', credentialText(plan)],
    ['timeout', clocks],
    ['retry', retryText(plan)],
    ['breaker', adapter.breaker === null ? 'off' : breakerText(adapter.breaker)],
    ['limits', `${slots}, answers up to ${writeSize(plan.maxResponseBytes)}`],
    ['addresses', addresses],
    ['proxy', adapter.proxy === null ? null : adapter.proxy.url],
    ['certificate', tls.cert],
    ['redirects', adapter.redirects.follow === 'follow' ? null : adapter.redirects.follow],
    ['adds', addedText(adapter)],
  ]
  return rows.flatMap(([label, text]): [string, string][] => (text === null || text === '' ? [] : [[label, text]]))
}

function credentialText({ credential }: HopPlan): string {
  switch (credential.kind) {
    case 'none':
      return 'none'
    case 'given':
      return `${credential.auth.type}, from the URL`
    case 'stored':
      return `${credential.name}, a stored secret; the origins and callers it is bound to are judged when it is attached`
    default:
      return credential satisfies never
  }
}

function retryText({ retry, repeatable }: HopPlan): string {
  if (retry.total === 0) return 'none'
  const wait = `waits up to ${writeDuration(retry.backoffFactorMs)}, doubling to ${writeDuration(retry.backoffMaxMs)}`
  const tries = `${retry.total} more ${retry.total === 1 ? 'try' : 'tries'}`
  if (!repeatable)
    return `${tries}, only where nothing was sent yet: this method is not repeated without an idempotencyKey; ${wait}`
  return `${tries} after a failure or ${retry.statusForcelist.join(', ')}; ${wait}`
}

function breakerText({ errorRate, volume, windowMs, openForMs }: BreakerPolicy): string {
  const percent = `${Math.round(errorRate * 1000) / 10}%`
  return `opens for ${writeDuration(openForMs)} when ${percent} of at least ${volume} calls in ${writeDuration(windowMs)} fail`
}

function addedText({ headers, params, cookies }: AdapterPolicy): string {
  const named = (kind: string, pairs: readonly (readonly [string, string])[]): string[] =>
    pairs.length === 0 ? [] : [`${kind} ${pairs.map(([name]) => name).join(', ')}`]
  return [...named('headers', headers), ...named('params', params), ...named('cookies', cookies)].join('; ')
}
