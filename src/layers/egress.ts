// No hop leaves that its adapter or its caller's policy does not allow, and none carries a key to this gateway. Once a hop,
// before any name is resolved; judged by policy/egress-rule.ts.
import { GatewayError } from '../errors/gateway-error.ts'
import type { Descriptor } from '../model/descriptor.ts'
import type { Layer } from '../model/dispatch.ts'
import type { CredentialChoice, HopPlan, HopRequest } from '../model/hop.ts'
import type { CallerKeys } from '../model/ports.ts'
import { judgeEgress } from '../policy/egress-rule.ts'

export function egress(ports: { readonly keys: CallerKeys }): Layer {
  return (next) => (request, context) => {
    const { method, url, plan } = request
    const secrets = namedSecrets(plan, context.descriptor)
    const verdict = judgeEgress({ adapter: plan.adapter, caller: context.caller, method, url, secrets })
    if (!verdict.allowed) {
      const { type, because, rule } = verdict
      return Promise.reject(new GatewayError(type, `${url.origin}: ${because}`, { rule }))
    }
    if (verdict.observed !== null) context.trail.observe(verdict.observed, `${url.origin}: ${verdict.because}`)
    const where = findGatewayKey(request, ports.keys)
    if (where !== null) return Promise.reject(keyForwarded(where))
    return next(request, context)
  }
}

const NONE: readonly string[] = []

/** What the descriptor itself names of stored secrets; an adapter's own are not the caller's wish. */
function namedSecrets({ credential, tls }: HopPlan, { cert }: Descriptor): readonly string[] {
  const auth = credential.kind === 'stored' && credential.from === 'descriptor' ? [credential.name] : NONE
  return cert === undefined || tls.cert !== cert ? auth : [...auth, cert]
}

/** Where a caller's key to this gateway stands in what would go out; null: nowhere. */
function findGatewayKey({ headers, plan }: HopRequest, keys: CallerKeys): string | null {
  for (const [name, value] of headers) if (keys.isKey(value)) return `the header ${name}`
  return plan.credential.kind === 'given' && partsOf(plan.credential.auth).some((part) => keys.isKey(part)) ? '`auth`' : null
}

/** All that goes out of it: many APIs take a key in place of the user, without a password. */
function partsOf(auth: Extract<CredentialChoice, { kind: 'given' }>['auth']): readonly string[] {
  switch (auth.type) {
    case 'basic':
    case 'digest':
      return [auth.username, auth.password]
    case 'bearer':
      return [auth.token]
    case 'header':
    case 'query':
      return [auth.name, auth.value]
    default:
      return auth satisfies never
  }
}

function keyForwarded(where: string): GatewayError {
  return new GatewayError(
    'Forbidden',
    `${where} holds a key to this gateway, which is never sent upstream; identify yourself with X-Sallyport-Key alone`,
    { rule: 'gateway-key' },
  )
}
