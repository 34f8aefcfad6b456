// Every way a call can fail, one row a name. The type, the gateway's HTTP status, the metrics label, docs/errors.md and the
// OpenAPI enum all come from this table; nothing else lists error names.

/** Whose doing the outcome is; on-call engineers read this first. */
export type Blame = 'caller' | 'upstream' | 'gateway'

interface Row {
  /** The gateway's own HTTP status for this outcome. */
  readonly status: number
  /** Broader names that this failure also is, as in Requests' exception tree. */
  readonly parents: readonly string[]
  readonly blame: Blame
  /** May the very same call succeed later? Whether repeating is *safe* is judged elsewhere. */
  readonly transient: boolean
  readonly meaning: string
  /** What the person who reads it should do. */
  readonly remedy: string
}

const row = (
  status: number,
  blame: Blame,
  transient: boolean,
  parents: readonly string[],
  meaning: string,
  remedy: string,
): Row => ({ status, blame, transient, parents, meaning, remedy })

const RE = 'RequestException'
const GR = 'GatewayRefusal'

export const CATALOGUE = {
  InvalidDescriptor: row(
    400,
    'caller',
    false,
    [RE],
    'The descriptor cannot be read or contradicts itself.',
    'Correct the keys that `detail` names; each entry has a JSON pointer.',
  ),
  MissingSchema: row(
    400,
    'caller',
    false,
    ['InvalidURL', RE],
    'The URL has no scheme.',
    'Write the URL in full, such as https://api.example.com/path.',
  ),
  InvalidSchema: row(
    400,
    'caller',
    false,
    ['InvalidURL', RE],
    'The URL scheme is neither http nor https.',
    'Use an http or https URL.',
  ),
  InvalidURL: row(
    400,
    'caller',
    false,
    [RE],
    'The URL cannot be parsed.',
    'Check host, port and brackets. With status 502 it was the upstream that sent an unusable Location.',
  ),
  InvalidHeader: row(
    400,
    'caller',
    false,
    [RE],
    'A header name or value may not be sent.',
    'Remove or correct the header that `detail` names. With status 502 the upstream sent contradictory headers.',
  ),
  InvalidJSONError: row(
    400,
    'caller',
    false,
    [RE],
    'JSON with NaN or Infinity, or an upstream body that is not JSON where `decode: "json"` asked for it (then 502).',
    'Send standard JSON; or use `decode: "auto"` to receive the body as text.',
  ),
  Unauthenticated: row(
    401,
    'caller',
    false,
    [GR],
    'The gateway does not know the caller.',
    'Send a valid key in X-Sallyport-Key.',
  ),
  Forbidden: row(
    403,
    'caller',
    false,
    [GR],
    'The caller may not do this.',
    'The message names the rule; ask the platform team to widen it.',
  ),
  EgressDenied: row(
    403,
    'caller',
    false,
    [GR],
    'No adapter, or no permitted address, leads to that URL.',
    'Mount an adapter on the prefix, or list the address under `egress.allow`.',
  ),
  UnknownCredential: row(
    403,
    'caller',
    false,
    [GR],
    'The named secret or certificate does not exist or is not for this caller or origin.',
    'Check the name, and the origins and callers it is bound to.',
  ),
  NotFound: row(404, 'caller', false, [GR], 'There is no such entrance.', 'See /docs for the entrances.'),
  MethodNotAllowed: row(
    405,
    'caller',
    false,
    [GR],
    'The entrance does not take this method.',
    'Use a method that the Allow header lists.',
  ),
  RequestTimeout: row(
    408,
    'caller',
    true,
    [GR],
    'The caller was too slow in sending its own request.',
    'Send the request without pauses.',
  ),
  IdempotencyConflict: row(
    409,
    'caller',
    false,
    [GR],
    'The idempotency key was used for another request.',
    'Use a new key for a new request.',
  ),
  OutcomeUnknown: row(
    409,
    'gateway',
    false,
    [GR],
    'The first call with this key was lost in flight; it may have been carried out.',
    'Find out at the upstream before trying with a new key.',
  ),
  RequestTooLarge: row(
    413,
    'caller',
    false,
    [GR],
    'The descriptor is larger than the ingress limit.',
    'Send less, or have listen.descriptorSize raised.',
  ),
  UnsupportedMediaType: row(
    415,
    'caller',
    false,
    [GR],
    'The entrance takes application/json.',
    'Set Content-Type: application/json.',
  ),
  RateLimited: row(429, 'caller', true, [GR], 'A quota is spent.', 'Wait for `retryAfter` milliseconds.'),
  Cancelled: row(
    499,
    'caller',
    false,
    [GR],
    'The caller hung up before the answer.',
    'Nothing; it is seen in audit and metrics only.',
  ),
  ConnectionError: row(
    502,
    'upstream',
    true,
    [RE],
    'The connection could not be made or broke.',
    'See `attempts`; check that the upstream is up.',
  ),
  SSLError: row(
    502,
    'upstream',
    false,
    ['ConnectionError', RE],
    'TLS failed: certificate, name or protocol.',
    'Name the CA bundle with `verify`, or have the certificate renewed.',
  ),
  ProxyError: row(
    502,
    'upstream',
    true,
    ['ConnectionError', RE],
    'The upstream proxy refused or broke.',
    "Check the adapter's proxy and its credentials.",
  ),
  TooManyRedirects: row(
    502,
    'upstream',
    false,
    [RE],
    'More redirects than `maxRedirects`.',
    'Look at `history`; call the final URL directly.',
  ),
  ChunkedEncodingError: row(
    502,
    'upstream',
    true,
    ['ConnectionError', RE],
    'The body ended early or its chunks are malformed.',
    'The upstream or a hop before it broke the answer off.',
  ),
  ContentDecodingError: row(
    502,
    'upstream',
    false,
    [RE],
    'The content-encoding could not be undone.',
    'The upstream sends a broken gzip, deflate, br or zstd body.',
  ),
  ResponseTooLarge: row(
    502,
    'upstream',
    false,
    [RE],
    'The answer is over the size limit.',
    'Ask for less, or raise `maxResponseSize` up to the ceiling.',
  ),
  RetryError: row(
    502,
    'upstream',
    true,
    [RE],
    'Retries on a status are used up and `raiseOnStatus` was asked for.',
    'See `attempts` for what each try met.',
  ),
  BreakerOpen: row(
    503,
    'upstream',
    true,
    [GR],
    'The circuit breaker of this adapter and origin is open.',
    'Wait for `retryAfter`; the upstream has been failing.',
  ),
  BulkheadFull: row(
    503,
    'gateway',
    true,
    [GR],
    'All slots and the queue of this adapter and origin are taken.',
    'Try again later, or raise limits.concurrency or limits.queue.',
  ),
  Overloaded: row(503, 'gateway', true, [GR], 'The gateway cannot take this call now.', 'Try again after `retryAfter`.'),
  Draining: row(503, 'gateway', true, [GR], 'The gateway is shutting down.', 'Try again; another replica will answer.'),
  CredentialUnavailable: row(
    503,
    'gateway',
    true,
    [GR],
    'The credential cannot be obtained at the moment.',
    'Check the store; the call was not made without its credential.',
  ),
  ConnectTimeout: row(
    504,
    'upstream',
    true,
    ['ConnectionError', 'Timeout', RE],
    'The connection was not made within timeout.connect.',
    'Check the upstream; or raise timeout.connect.',
  ),
  ReadTimeout: row(
    504,
    'upstream',
    true,
    ['Timeout', RE],
    'The upstream was silent for longer than timeout.read.',
    'Check the upstream; or raise timeout.read.',
  ),
  Timeout: row(504, 'upstream', true, [RE], 'timeout.total ran out.', 'The message says where the time went.'),
  InternalError: row(500, 'gateway', false, [], 'A fault of the gateway itself.', 'Report it with the requestId.'),
} as const satisfies Record<string, Row>

export type ErrorType = keyof typeof CATALOGUE
export type CatalogueRow = Row

/** True where `type` is `name` or one of its descendants: `isA('ConnectTimeout', 'Timeout')`. */
export function isA(type: ErrorType, name: string): boolean {
  return type === name || (CATALOGUE[type].parents as readonly string[]).includes(name)
}
