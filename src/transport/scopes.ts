// Which scope a request's connection must have: how it was secured, and whose credentials go over it, so that nothing that an
// upstream or a middle box does to one connection can reach the calls of another credential. The secrets behind it are asked for at every try, since that is where
// it is checked that this caller may use them; the scope itself is the same object as long as nothing in it changed.
import { GatewayError } from '../errors/gateway-error.ts'
import type { AdapterPolicy } from '../model/adapter-policy.ts'
import type { HopPlan } from '../model/hop.ts'
import type { Secret, SecretScheme, Secrets } from '../model/ports.ts'
import type { ConnectionScope, Origin } from './ports.ts'

type Wanted = Pick<HopPlan, 'tls' | 'credential'>
type ScopeSecrets = Pick<ConnectionScope, 'cert' | 'proxyLogin'>

const NO_SECRETS: ScopeSecrets = { cert: null, proxyLogin: null }

/** `caller`: by name. */
export type ScopeFor = (wanted: Wanted, caller: string) => ConnectionScope | Promise<ConnectionScope>

export function createScopes(adapter: AdapterPolicy, origin: Origin, secrets: Secrets): ScopeFor {
  const login = adapter.proxy?.credentials ?? null
  const proxyOrigin = adapter.proxy === null ? '' : new URL(adapter.proxy.url).origin
  const known: ConnectionScope[] = []

  const remember = (
    { tls: { verify, ca }, credential: choice }: Wanted,
    caller: string,
    secrets: ScopeSecrets,
  ): ConnectionScope => {
    const credential = choice.kind === 'stored' ? choice.name : null
    const givenBy = choice.kind === 'given' ? caller : null
    const isKind = (other: ConnectionScope): boolean =>
      other.verify === verify && other.ca === ca && other.credential === credential && other.givenBy === givenBy
    const { cert, proxyLogin } = secrets
    for (const scope of known) if (isKind(scope) && isSame(scope.cert, cert) && isSame(scope.proxyLogin, proxyLogin)) return scope
    const scope = { verify, ca, cert, proxyLogin, credential, givenBy }
    const outdated = known.findIndex(
      (other) => isKind(other) && isOlder(other.cert, cert) && isOlder(other.proxyLogin, proxyLogin),
    )
    if (outdated >= 0) known.splice(outdated, 1)
    known.push(scope)
    return scope
  }

  const withSecrets = async (wanted: Wanted, caller: string): Promise<ConnectionScope> => {
    const find = async (scheme: SecretScheme, name: string | null, at: string): Promise<Secret | null> =>
      name === null ? null : ofScheme(scheme, await secrets.find(name, { origin: at, caller }))
    const cert = await find('mtls', origin.scheme === 'http' ? null : wanted.tls.cert, origin.origin)
    const proxyLogin = await find('proxy-basic', login, proxyOrigin)
    return remember(wanted, caller, { cert, proxyLogin })
  }

  return (wanted, caller) => {
    const wantsCert = wanted.tls.cert !== null && origin.scheme === 'https'
    return wantsCert || login !== null ? withSecrets(wanted, caller) : remember(wanted, caller, NO_SECRETS)
  }
}

/** Of another scheme it has nothing that would serve here, and to go on without it would be silent. */
function ofScheme(scheme: SecretScheme, secret: Secret): Secret {
  if (secret.scheme === scheme) return secret
  const use = scheme === 'mtls' ? 'a client certificate' : "a proxy's login"
  throw new GatewayError(
    'UnknownCredential',
    `secret "${secret.name}" is of scheme ${secret.scheme} and cannot be used as ${use}; name one of scheme ${scheme}`,
  )
}

function isSame(a: Secret | null, b: Secret | null): boolean {
  return a?.name === b?.name && a?.version === b?.version
}

function isOlder(a: Secret | null, b: Secret | null): boolean {
  return a?.name === b?.name && (a?.version ?? 0) <= (b?.version ?? 0)
}
