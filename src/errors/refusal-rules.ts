// What refused a call, one word a rule: the metrics label and the log field that tell a grant from a limit from an address.
// The error type says what the caller is told; the rule says which line of the configuration to look at.
import type { ErrorType } from './catalogue.ts'

export const REFUSAL_RULES = {
  'caller-key': 'no key, token or certificate of a configured caller',
  'caller-grant': '`callers[].may` does not cover adapter, method, path and secrets',
  issuer: 'the keys of the issuer of tokens cannot be fetched',
  'foreign-origin': 'a web page of another origin',
  'loopback-only': 'no caller is configured, and the request came from elsewhere or by another name',
  'egress-mount': 'no adapter is mounted on the URL',
  'egress-port': '`egress.ports` of the adapter',
  'egress-address': 'the name leads to no address that the adapter may dial',
  'adapter-method': '`methods` of the adapter',
  'adapter-path': '`paths` of the adapter',
  'path-disguise': 'an encoded separator or dot segment where a path rule stands',
  'gateway-key': "a caller's key to the gateway in what would be sent upstream",
  sessions: 'the adapter keeps no sessions',
  'credential-grant': 'the secret or certificate is unknown, or not for this caller, origin or use',
  'credential-exposure': 'a credential would be shown: TRACE, plain http, an unverified certificate, a redirect with a body',
  'credential-away': 'the credential cannot be obtained at the moment',
  'insecure-tls': '`verify: false` where the adapter does not allow it',
  entrance: 'no such entrance, or not with this method or content type',
  'request-size': 'the request is larger than the ingress limit',
  'request-time': 'the caller was too slow with its own request',
  idempotency: 'the key was used for another request, or its first call was lost in flight',
  quota: "the caller's quota",
  rate: '`limits.rate` of the adapter',
  cooldown: 'a 429 of the upstream, for which the credential is held back (`limits.cooldown`)',
  breaker: 'the circuit breaker is open',
  bulkhead: '`limits.concurrency` and `limits.queue` of the adapter',
  origins: 'too many origins at once',
  overload: 'the gateway protects itself',
  store: 'the store is away',
  audit: 'the call cannot be recorded',
  draining: 'the gateway is shutting down',
  other: 'any other',
} as const

export type RefusalRule = keyof typeof REFUSAL_RULES

/** Where whoever refuses says nothing more exact. */
const RULE_OF: Partial<Record<ErrorType, RefusalRule>> = {
  Unauthenticated: 'caller-key',
  EgressDenied: 'egress-mount',
  UnknownCredential: 'credential-grant',
  CredentialUnavailable: 'credential-away',
  NotFound: 'entrance',
  MethodNotAllowed: 'entrance',
  UnsupportedMediaType: 'entrance',
  RequestTooLarge: 'request-size',
  RequestTimeout: 'request-time',
  IdempotencyConflict: 'idempotency',
  OutcomeUnknown: 'idempotency',
  RateLimited: 'rate',
  BreakerOpen: 'breaker',
  BulkheadFull: 'bulkhead',
  Overloaded: 'overload',
  Draining: 'draining',
}

/** `type` must be a refusal; `given`: what the error itself says. */
export function refusalRule(type: ErrorType, given: RefusalRule | undefined): RefusalRule {
  return given ?? RULE_OF[type] ?? 'other'
}
