// The keys of one adapter as a file writes them, and those that `defaults` gives to all. Units are resolved here; what an
// adapter leaves out is filled in by resolve.ts.
import { isIP } from 'node:net'
import { z } from 'zod'
import { isPointer, pathFault, textFault } from '../credentials/placement.ts'
import { type JsonPath, parseJsonPath } from '../model/json-path.ts'
import { parseMount } from '../model/mount.ts'
import { choice, duration, field, flag, integer, name, OFF, offOr, percent, rate, section, size, text } from './fields.ts'
import { isHeaderName, isHeaderValue, isMethod, isToken } from './http-syntax.ts'

const MANY = 1_000_000
const DURATION_MAX = Number.MAX_SAFE_INTEGER

const listOf = <T extends z.ZodType>(item: T, form: string) => z.array(item, { error: `must be a list, such as ${form}` })

const statuses = (least: number) => listOf(integer(least, 599), '[502, 503]')

const method = field<string>(
  (written) =>
    typeof written === 'string' && isMethod(written)
      ? { ok: true, value: written.toUpperCase() }
      : { ok: false, fault: 'must be the name of an HTTP method, and not CONNECT' },
  { type: 'string', title: 'method' },
)

/** An empty list would allow nothing, and is what a slip of the pen looks like. */
const nonEmpty = <T extends z.ZodType>(list: z.ZodArray<T>) =>
  list.min(1, { error: 'is empty, which would allow nothing; leave the key out to allow all' })

export const methods = () => nonEmpty(listOf(method, '[GET, POST]'))

export const paths = () =>
  nonEmpty(
    listOf(
      text('a path glob that begins with /, such as /repos/**', (glob) => glob.startsWith('/') && !/[\s?#]/.test(glob)),
      '["/repos/**"]',
    ),
  )

const headerName = () => text('the name of a header that may be set by hand', isHeaderName)

const cidrs = () => listOf(text('an address or a CIDR block, such as 10.1.2.0/24', isCidr), '[10.1.2.0/24]')

function isCidr(written: string): boolean {
  const [address = '', bits, more] = written.split('/')
  const version = isIP(address)
  if (version === 0 || more !== undefined || address.includes('%')) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
}

/** A mapping of names to what is sent for them; a list repeats the name. */
function pairs(form: string, acceptName: (name: string) => boolean, acceptValue: (value: string) => boolean) {
  const value = text(form, acceptValue)
  const values = z.union([value, listOf(value, '[a, b]')])
  const names = z.string().refine(acceptName, { error: 'is not a name that may be set here' })
  return z
    .record(names, values, { error: 'must be a mapping of names to text' })
    .transform((record) => Object.entries(record).flatMap(([key, given]) => [given].flat().map((one) => [key, one] as const)))
}

/** Each shape stands twice: with its built-in values under `defaults`, without any under an adapter. */
export const TIMEOUT = {
  connect: duration().describe('DNS, TCP, the CONNECT of a proxy and TLS of one try together.'),
  read: duration().describe('The longest silence of the upstream between two bytes.'),
  total: duration().describe('The whole call: queueing, tries, waits, redirects, body.'),
}

const retries = () => integer(0, 100)

const RETRY = {
  total: retries().describe(
    'Further tries after the first, all reasons together. 0: none, unless a descriptor asks for some, up to the ceiling.',
  ),
  connect: retries().describe('Of these, at most so many after failures to connect. Absent: bounded by total alone.'),
  read: retries().describe('Of these, at most so many after the request was sent. Absent: bounded by total alone.'),
  status: retries().describe('Of these, at most so many because of a listed status. Absent: bounded by total alone.'),
  statusForcelist: statuses(100).describe('Answers with these statuses are tried again.'),
  allowedMethods: z
    .union([z.null(), methods()])
    .describe('Methods that may be repeated though the request may have arrived. null: every method, at the risk of doubles.'),
  backoffFactor: duration(0).describe('Wait k is random between 0 and backoffFactor · 2^(k-1).'),
  backoffMax: duration(0).describe('No backoff is longer.'),
  respectRetryAfterHeader: flag().describe('Wait as long as Retry-After says.'),
  retryAfterMax: duration(0).describe('A longer Retry-After is not waited for: it ends the retrying.'),
  raiseOnStatus: flag().describe('When retries on a status are used up, answer RetryError rather than the last response.'),
  budget: offOr(percent()).describe(
    'At most this share of recent requests may be retries; 10 in 10 s always may. off: no budget.',
  ),
}

const BREAKER = {
  errorRate: percent().describe('It opens when failures / completed calls in the window reach this share.'),
  volume: integer(1, MANY).describe('It never opens on fewer completed calls in the window.'),
  window: duration().describe('How far back it looks.'),
  openFor: duration().describe('How long it refuses before it probes.'),
  probes: integer(1, 1000).describe('Calls let through at once while half-open; all must succeed to close it.'),
  statuses: statuses(500).describe('Answers with these statuses are failures. Absent: every 5xx but 501.'),
  slow: offOr(duration()).describe('A good answer that takes this long or longer is a failure too. Absent or off: none is.'),
  ramp: duration(0).describe('After it closed, a growing share of calls is let through for so long. 0: all at once.'),
}

const LIMITS = {
  concurrency: integer(1, MANY).describe('Calls at once per adapter and origin. Absent: as many as pool.connections.'),
  queue: integer(0, MANY).describe(
    'Calls that may wait for a place; one more is BulkheadFull. 0: none waits. Absent: twice the concurrency.',
  ),
  rate: offOr(rate()).describe(
    'Tries in a stretch of time, per adapter and origin (or as rateBy says), refilled evenly. Absent or off: no limit.',
  ),
  burst: integer(1, MANY).describe('How many of the rate may go out at once. Absent: all of them.'),
  rateBy: choice('origin', 'caller', 'credential').describe(
    'Whose the rate is, under this adapter: origin: all tries to an origin together. caller, credential: each caller, or each credential, has the whole rate at each origin.',
  ),
  whenSpent: choice('queue', 'reject').describe(
    'Tries for which the rate is spent, or the credential cooled down: queue: they wait where their turn comes before the deadline. reject: they are RateLimited at once.',
  ),
  mode: choice('enforce', 'observe').describe(
    'observe: tries that rate, concurrency or a 429 would make wait or refuse are let through, with a warning, and counted, logged and recorded.',
  ),
  cooldown: flag().describe(
    'After a 429 that says for how long, all tries with the same credential wait so long, up to retry.retryAfterMax.',
  ),
}

const POOL = {
  connections: integer(1, 65_535).describe('Connections per origin.'),
  idle: duration().describe('An unused connection is closed after this long.'),
  http2: flag().describe('Offer HTTP/2 to the upstream.'),
}

const contentType = () =>
  text('a content type such as application/json or text/*', (written) => /^[\w!#$&^.+*-]+\/[\w!#$&^.+*-]+$/.test(written))

const JSON_PATH = field<JsonPath>((written) => parseJsonPath(typeof written === 'string' ? written : ''), {
  type: 'string',
  title: 'JSON path',
  examples: ['$.card.number', '$..password'],
})

const AUDIT = {
  bodies: z
    .union([
      flag().transform((both) => ({ request: both, response: both })),
      section({
        request: flag().prefault(false).describe('Of the last hop as it was sent, with every credential masked.'),
        response: flag().prefault(false).describe('Of the last answer, decoded.'),
      }),
    ])
    .describe(
      'Record bodies in the audit trail: true for both, or a mapping. One that holds the credential of its call is left out.',
    ),
  bodySize: size().describe('So much of a body is recorded.'),
  contentTypes: listOf(contentType(), '[application/json, text/*]').describe('Bodies of other content types are left out.'),
  redact: listOf(JSON_PATH, '["$.card.number"]').describe(
    'Fields of recorded JSON whose values are masked: names, indexes, [*] and .. of RFC 9535. JSON that cannot be read, or of more than 1 MiB, is then left out.',
  ),
}

const FOLLOW = choice('follow', 'same-origin', 'none').describe(
  'follow; same-origin: only on the same scheme, host and port; none: redirects are answered as they are.',
)

const REDIRECTS = {
  follow: FOLLOW,
  drop: listOf(headerName(), '[x-team]').describe(
    "Further headers of the caller's that are dropped when a redirect leaves the origin.",
  ),
}

const PROXY_URL = field<string>(
  (written) =>
    typeof written === 'string' && /^https?:\/\/[^/?#@\\]+\/?$/i.test(written) && URL.canParse(written)
      ? { ok: true, value: new URL(written).origin }
      : {
          ok: false,
          fault:
            'must be the origin of a proxy and nothing more, such as http://proxy.internal:3128; a login is a secret named in credentials',
        },
  { type: 'string', title: 'URL' },
)

const MOUNT = field<string>(
  (written) => {
    const parsed = parseMount(typeof written === 'string' ? written : '')
    return parsed.ok ? { ok: true, value: parsed.mount.text } : parsed
  },
  { type: 'string', title: 'URL', examples: ['https://api.example.com/'] },
)

/** The keys that mean the same under `defaults` and under an adapter. */
const SHARED = {
  proxy: offOr(
    section({
      url: PROXY_URL.describe('http:// or https:// origin of the proxy.'),
      credentials: name().optional().describe('Name of a stored secret of the scheme proxy-basic.'),
      resolve: choice('local', 'remote')
        .prefault('local')
        .describe('local: names are resolved and judged here. remote: the proxy gets the name, and its own rules decide.'),
    }),
  ).describe('An HTTP proxy that calls go through. off: none.'),
  responseSize: size().describe('Largest response body, decoded.'),
  propagate: z
    .union([
      OFF.transform((): ('traceparent' | 'x-request-id')[] => []),
      listOf(choice('traceparent', 'x-request-id'), '[traceparent]'),
    ])
    .describe('Tracing headers passed on to the upstream.'),
  idempotencyHeader: headerName().describe('Header in which an idempotency key is forwarded.'),
  idempotency: choice('shared', 'local').describe(
    "shared: calls with a key are refused while the shared store is away. local: then this replica's own memory will do.",
  ),
  sessions: flag().describe('Callers may name a session, a cookie jar kept between calls.'),
}

type Filled<S, D> = {
  [K in keyof S]: S[K] extends z.ZodType ? (K extends keyof D ? z.ZodPrefault<S[K]> : z.ZodExactOptional<S[K]>) : never
}

/** Keys get the built-in value that `values` writes; those that it does not name may be absent. */
function filled<S extends Record<string, z.ZodType>, D extends { readonly [K in keyof S]?: unknown }>(
  shape: S,
  values: D,
): Filled<S, D> {
  const entries = Object.entries(shape).map(([key, schema]) => {
    const value = values[key as keyof S]
    return [key, value === undefined ? z.exactOptional(schema) : schema.prefault(value as never)]
  })
  return Object.fromEntries(entries) as Filled<S, D>
}

/** Also what an adapter starts from that asks for a breaker, or for retries, where `defaults` has them off. */
export const BUILT_IN_BREAKER = section(
  filled(BREAKER, { errorRate: '50%', volume: 20, window: '10s', openFor: '30s', probes: 1, ramp: 0 }),
)

export const BUILT_IN_RETRY = section(
  filled(RETRY, {
    total: 2,
    statusForcelist: [429, 502, 503, 504],
    allowedMethods: ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'],
    backoffFactor: '200ms',
    backoffMax: '10s',
    respectRetryAfterHeader: true,
    retryAfterMax: '30s',
    raiseOnStatus: false,
    budget: '20%',
  }),
)

const NO_REDIRECTS = OFF.transform(() => ({ follow: 'none' as const }))
const REDIRECTS_WORD = FOLLOW.transform((follow) => ({ follow }))

/** What every adapter starts from. Nothing that loosens a safety rule is here: that is said per adapter. */
export const DEFAULTS = section({
  timeout: section(filled(TIMEOUT, { connect: '2s', read: '10s', total: '30s' }))
    .prefault({})
    .describe('The three clocks of a call.'),
  retry: offOr(BUILT_IN_RETRY).prefault({}).describe('When a try is repeated. off: as total 0.'),
  breaker: offOr(BUILT_IN_BREAKER).prefault({}).describe('The circuit breaker of each origin. off: none.'),
  limits: section(filled(LIMITS, { rateBy: 'origin', whenSpent: 'queue', mode: 'enforce', cooldown: true }))
    .prefault({})
    .describe('Limits towards one origin.'),
  pool: section(filled(POOL, { connections: 100, idle: '60s', http2: false }))
    .prefault({})
    .describe('The connections to one origin.'),
  tls: section({ ca: name().optional().describe('Name of a bundle in caBundles. Absent: the built-in roots.') })
    .prefault({})
    .describe('How upstreams are verified.'),
  redirects: z
    .union([NO_REDIRECTS, REDIRECTS_WORD, section(filled(REDIRECTS, { follow: 'follow', drop: [] }))])
    .prefault('follow')
    .describe('What happens to redirects: follow, same-origin or none, or a mapping.'),
  audit: section(
    filled(AUDIT, { bodies: false, bodySize: '16KiB', contentTypes: ['application/json', 'application/*+json'], redact: [] }),
  )
    .prefault({})
    .describe('What of a call is recorded beside the two audit records.'),
  ...filled(SHARED, {
    responseSize: '10MiB',
    propagate: [],
    idempotencyHeader: 'Idempotency-Key',
    idempotency: 'shared',
    sessions: true,
  }),
})

const sectionOf = <S extends Record<string, z.ZodType>>(shape: S) => section(filled(shape, {}))

/** `faultOf`: null where the text will do. */
const judgedText = (faultOf: (written: string) => string | null) =>
  field<string>(
    (written) => {
      const fault = typeof written === 'string' ? faultOf(written) : 'must be text; put it in quotes'
      return fault === null ? { ok: true, value: String(written) } : { ok: false, fault }
    },
    { type: 'string', title: 'text' },
  )

const placedUnder = (acceptName: (name: string) => boolean, error = 'is not a name that may be set here') =>
  z
    .record(z.string().refine(acceptName, { error }), judgedText(textFault), {
      error: 'must be a mapping of names to text',
    })
    .prefault({})
    .transform((record) => Object.entries(record))

/** What a secret of the scheme placeholder leaves to the adapter. */
const PLACED = section({
  secret: name().describe('Name of a stored secret of the scheme placeholder; its values stand in braces below.'),
  path: judgedText(pathFault)
    .optional()
    .describe(
      "The upstream's whole path, such as /bot{token}/**; ** is what follows the mount in the caller's. Absent: the caller's.",
    ),
  query: placedUnder((written) => written !== '').describe(
    'Query parameters, such as { api_key: "{key}" }; each replaces the request\'s own.',
  ),
  headers: placedUnder(isHeaderName).describe('Headers, such as { X-Api-Key: "{key}" }; each replaces the request\'s own.'),
  body: placedUnder(isPointer, 'must be a JSON pointer to a member, such as /api_key or /auth/key').describe(
    'Members of a JSON object body by JSON pointer, such as { /auth/key: "{key}" }; set or added, all else stays as it was.',
  ),
})

export const ADAPTER = section({
  name: name().describe('Stands in plans, logs, metrics and grants.'),
  mount: MOUNT.describe('URL prefix; the longest that matches wins. https:// and http:// match everything else.'),
  methods: methods().optional().describe('Only these HTTP methods. Absent: all.'),
  paths: paths()
    .optional()
    .describe('Only paths that match one of these globs; * stays within a segment, ** does not. Absent: all.'),
  credentials: z
    .union([name(), PLACED])
    .optional()
    .describe('Name of the stored secret attached where a descriptor has no auth, or where its values go. Absent: none.'),
  headers: pairs('a header value', isHeaderName, isHeaderValue)
    .prefault({})
    .describe('Sent with every call unless the descriptor gives or removes them.'),
  params: pairs(
    'text',
    () => true,
    () => true,
  )
    .prefault({})
    .describe('Query parameters added to every call.'),
  cookies: pairs('a cookie value', isToken, isCookieValue).prefault({}).describe('Cookies sent with every call.'),
  timeout: sectionOf(TIMEOUT).optional().describe('The three clocks of a call.'),
  retry: offOr(sectionOf(RETRY)).optional().describe('When a try is repeated. off: as total 0.'),
  breaker: offOr(sectionOf(BREAKER)).optional().describe('The circuit breaker of each origin. off: none.'),
  limits: sectionOf(LIMITS).optional().describe('Limits towards one origin.'),
  pool: sectionOf(POOL).optional().describe('The connections to one origin.'),
  tls: section({
    verify: flag().prefault(true).describe('false: certificates are not checked; every envelope then carries a warning.'),
    ca: name().optional().describe('Name of a bundle in caBundles. Absent: the built-in roots.'),
    cert: name().optional().describe('Name of a stored client certificate, of the scheme mtls.'),
    allowInsecure: flag().prefault(false).describe('Callers may say verify: false.'),
    allowInsecureSecrets: flag().prefault(false).describe('Stored secrets are sent though certificates are not checked.'),
  })
    .prefault({})
    .describe('How the upstream is verified.'),
  egress: section({
    allow: cidrs().prefault([]).describe('Addresses allowed though they are not public, such as [10.1.2.0/24].'),
    allowMetadata: cidrs().prefault([]).describe("Addresses of a cloud's metadata services, which `allow` never opens."),
    ports: listOf(integer(1, 65_535), '[443]').optional().describe('Only these ports. Absent: all.'),
    mixedAnswers: choice('refuse', 'filter')
      .prefault('refuse')
      .describe('When a name has allowed and refused addresses: refuse the name, or use the allowed ones.'),
  })
    .prefault({})
    .describe('Which addresses may be dialled.'),
  redirects: z
    .union([NO_REDIRECTS, REDIRECTS_WORD, sectionOf(REDIRECTS)])
    .optional()
    .describe('What happens to redirects: follow, same-origin or none, or a mapping.'),
  audit: sectionOf(AUDIT).optional().describe('What of a call is recorded beside the two audit records.'),
  allowHostHeader: flag().prefault(false).describe('Callers may set Host.'),
  allowPlaintextSecrets: flag().prefault(false).describe('Secrets may be sent over plain http.'),
  timeoutHeader: headerName()
    .optional()
    .describe('Header in which the upstream is told the time that is left, in whole milliseconds. Absent: it is not told.'),
  tunnel: flag().prefault(false).describe('Forward-proxy clients may CONNECT to its hosts; no credentials and no retries there.'),
  idempotencyTtl: duration(1, DURATION_MAX)
    .optional()
    .describe('How long the outcome of a call with an idempotency key is kept. Absent: idempotency.ttl.'),
  ...filled(SHARED, {}),
})

/** RFC 6265 §4.1.1 cookie-octet. */
function isCookieValue(written: string): boolean {
  return /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/.test(written)
}

export type AdapterWritten = z.output<typeof ADAPTER>
export type DefaultsWritten = z.output<typeof DEFAULTS>
