// What tells one credential from another before any value is fetched: for 429s (layers/cooldown.ts) and for rates.
import { createHash } from 'node:crypto'
import type { HopRequest } from '../model/hop.ts'

/** Values are hashed: they are not to lie about in memory. */
export function credentialKey({ plan: { credential, tls }, headers, url }: HopRequest): string {
  const cert = tls.cert ?? ''
  if (credential.kind === 'stored') return `stored ${credential.name} ${cert}`
  const own = credential.kind === 'given' ? credential.auth : [headers.filter(([name]) => isKey(name)), keysIn(url.target)]
  return `${credential.kind} ${cert} ${createHash('sha256').update(JSON.stringify(own)).digest('base64')}`
}

/** For messages: never a value. */
export function credentialName({ plan: { credential } }: HopRequest): string {
  if (credential.kind === 'stored') return `credential "${credential.name}"`
  return credential.kind === 'given' ? "the descriptor's own credential" : 'calls without a credential of the gateway'
}

/**
 * Whether other replicas may be told the key. A digest of what a caller brought could be tried against guesses by whoever reads the
 * store: of that each replica knows by itself.
 */
export function mayBeTold({ plan }: HopRequest): boolean {
  return plan.credential.kind === 'stored'
}

/** A caller may bring a credential that the gateway knows nothing of. */
const isKey = (name: string): boolean =>
  /auth|key|token|secret|cookie|session|signature/i.test(name) && !/idempotency/i.test(name)

function keysIn(target: string): readonly string[] {
  const query = target.indexOf('?')
  if (query < 0) return []
  return target
    .slice(query + 1)
    .split('&')
    .filter((pair) => isKey(pair.split('=', 1)[0] ?? ''))
}
