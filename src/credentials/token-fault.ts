// Why there is no token, told to callers and, with hosts and addresses, to operators.
import { GatewayError } from '../errors/gateway-error.ts'
import type { Errand } from '../model/credential-scheme.ts'

/** After a failure, and after a token was refused that is younger than this, the endpoint is left alone. */
export const PAUSE_MS = 1_000

export function unavailable({ credential }: Pick<Errand, 'credential'>, because: string, privateDetail = ''): GatewayError {
  return new GatewayError(
    'CredentialUnavailable',
    `secret "${credential}" is not available: ${because}; the call was not made without it`,
    { retryAfter: PAUSE_MS, ...(privateDetail === '' ? {} : { privateDetail }) },
  )
}

/** The store's own refusal is none of a token's; anything else is a fault of ours. */
export function isStoreAway(thrown: unknown): thrown is GatewayError {
  return thrown instanceof GatewayError && thrown.type === 'Overloaded'
}
