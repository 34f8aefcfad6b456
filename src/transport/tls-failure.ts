// What a TLS handshake failed for, in a word: the metrics' label. What the caller is told is map-error.ts' affair.
import { GatewayError } from '../errors/gateway-error.ts'
import type { TlsFailure } from '../model/ports.ts'

/** The first that matches, most specific first. */
const REASONS: readonly (readonly [code: RegExp, reason: TlsFailure])[] = [
  [/^CERT_(HAS_EXPIRED|NOT_YET_VALID)$/, 'expired'],
  [/ALTNAME|^HOSTNAME_MISMATCH$/, 'hostname'],
  [/SELF_SIGNED|UNABLE_TO_|^CERT_UNTRUSTED$/, 'untrusted'],
  [/^CERT_|^CRL_|^INVALID_|^PATH_LENGTH/, 'certificate'],
  [/ALERT_(CERTIFICATE|BAD_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/, 'client-certificate'],
  [/^(ECONNRESET|EPIPE)$/, 'closed'],
]

/** null: it was given up because the call ended. */
export function tlsFailureOf(error: unknown): TlsFailure | null {
  if (error instanceof GatewayError) return error.isA('Timeout') ? 'timeout' : null
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return REASONS.find(([pattern]) => pattern.test(code))?.[1] ?? 'protocol'
}
