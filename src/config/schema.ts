// Every key of the configuration file but an adapter's own, with its built-in value and what it means. JSON Schema and
// docs/configuration.md are generated from these; what keys mean together is judged in cross-checks.ts.
import { z } from 'zod'
import { ADAPTER, DEFAULTS, methods, paths, TIMEOUT } from './adapter-schema.ts'
import { normaliseDnsServer } from './addresses.ts'
import {
  age,
  choice,
  duration,
  field,
  flag,
  integer,
  name,
  offOr,
  optionalText,
  percent,
  rate,
  section,
  size,
  text,
} from './fields.ts'
import { isToken } from './http-syntax.ts'
import { REDIS } from './redis-schema.ts'

const LONG = Number.MAX_SAFE_INTEGER

const host = () => text('an IP address or host name', (written) => /^[0-9A-Za-z.:_-]{1,253}$/.test(written))
const port = () => integer(0, 65_535)

const pemFile = () => text('the path of a PEM file')

const LISTEN_TLS = section({
  cert: pemFile().describe("PEM file of the gateway's certificate, and of those between it and its root."),
  key: pemFile().describe('PEM file of its private key, without a passphrase.'),
  clientCa: pemFile()
    .optional()
    .describe(
      'PEM file of the authorities whose client certificates are taken for `callers[].certificates`. Absent: none is asked for.',
    ),
  requireClientCert: flag()
    .prefault(false)
    .describe(
      'Connections without such a certificate are refused, those of health checks too. false: a caller may come without, and show a key.',
    ),
})

const LISTEN = section({
  host: host().prefault('127.0.0.1').describe('Address to listen on. Anything but loopback needs at least one caller.'),
  port: port().prefault(8080).describe('Port to listen on. 0: any free one.'),
  descriptorSize: size().prefault('10MiB').describe('Largest request body of a caller; a larger one is RequestTooLarge.'),
  headTimeout: duration().prefault('10s').describe('A caller has this long to send its request head.'),
  bodyTimeout: duration().prefault('30s').describe('A caller has this long to send its whole request.'),
  keepAlive: duration()
    .prefault('65s')
    .describe("An idle caller's connection is closed after this long; longer than a balancer's own."),
  connections: integer(1, 1_000_000).prefault(10_000).describe("Callers' connections at once; further ones are refused."),
  drain: duration(0).prefault('20s').describe('At shutdown, calls under way have this long to end.'),
  drainNotice: duration(0)
    .prefault('500ms')
    .describe(
      'Of listen.drain, how long new calls are still taken at shutdown, so that balancers see /readyz fail first; later ones are Draining. At most half of it.',
    ),
  tls: LISTEN_TLS.optional().describe(
    'TLS 1.2 and above on the listener itself; its files are read again when they change. Absent: plain HTTP, for TLS that ends in front.',
  ),
})

const WORKERS = field<number | 'auto'>(
  (written) =>
    written === 'auto' || (typeof written === 'number' && Number.isInteger(written) && written >= 1 && written <= 64)
      ? { ok: true, value: written }
      : { ok: false, fault: 'must be a number from 1 to 64, or auto' },
  { anyOf: [{ type: 'integer', minimum: 1, maximum: 64 }, { const: 'auto' }], title: 'number or auto' },
)

const KEY_HASH = section({
  sha256: text('the SHA-256 of the key, 64 hexadecimal digits', (hex) => /^[0-9a-fA-F]{64}$/.test(hex)).describe(
    'SHA-256 of the key, in hexadecimal: the key itself is then nowhere in the file.',
  ),
})

const KEY = field<string>(
  (written) =>
    typeof written === 'string' && /^[\x21-\x7e]{1,512}$/.test(written)
      ? { ok: true, value: written }
      : { ok: false, fault: 'must be a key of 1-512 visible ASCII characters (in quotes), or { sha256: … }' },
  { type: 'string', title: 'text' },
)

const GRANT = section({
  adapter: name().describe('Name of an adapter.'),
  methods: methods().optional().describe('Only these HTTP methods. Absent: all.'),
  paths: paths().optional().describe('Only paths that match one of these globs. Absent: all.'),
  secrets: z
    .array(name(), { error: 'must be a list of stored secrets, such as [github-token]; [] for none' })
    .optional()
    .describe(
      "Stored secrets and certificates that a descriptor may name there. Absent: all that are bound to the caller. The adapter's own credentials come with the adapter.",
    ),
})

const QUOTA = section({
  rate: rate().optional().describe('Calls in a stretch of time, whatever they call, refilled evenly. Absent: no limit.'),
  burst: integer(1, 1_000_000).optional().describe('How many of the rate may come at once. Absent: all of them.'),
  concurrency: integer(1, 1_000_000).optional().describe('Calls at once. Absent: no limit.'),
})

const JWT = section({
  issuer: text('the iss claim of its tokens').describe('The iss claim that its tokens carry.'),
  audience: text('the aud claim of its tokens').describe('The aud claim that its tokens carry; with a list, one of them.'),
  jwksUri: text('the URL of a JWKS document', (written) => URL.canParse(written) && /^https?:[^@]*$/i.test(written)).describe(
    'Where the public keys of the issuer are; fetched through the adapter that is mounted there.',
  ),
  claims: z
    .record(z.string(), text('what the claim holds, such as "system:serviceaccount:billing:*"'), {
      error: 'must be a mapping of claims to what they hold, such as { sub: "system:serviceaccount:billing:api" }',
    })
    .prefault({})
    .describe(
      'Further claims that its tokens carry, each in full or as a glob; of a list, one element. Absent: any token of the issuer for the audience.',
    ),
})

const CERTIFICATE = section({
  san: text('a URI such as spiffe://cluster.local/ns/billing/sa/api, or a DNS name')
    .optional()
    .describe('A URI or DNS name among its alternative names, in full.'),
  subject: text('a subject such as "CN=api,O=Billing"').optional().describe('Its whole subject, in any order.'),
  sha256: text('the SHA-256 fingerprint, 64 hexadecimal digits', (hex) => /^(?:[0-9a-fA-F]{2}:?){32}$/.test(hex))
    .optional()
    .describe('Its fingerprint, with colons or without.'),
})

const CALLER = section({
  name: name().describe('Stands in logs and the audit trail.'),
  keys: z
    .array(z.union([KEY, KEY_HASH]), { error: `must be a list of keys, such as ["\${BILLING_KEY}"]` })
    .prefault([])
    .describe(
      'Keys of this caller, only hashes of which are kept; two can be active while one replaces the other. Beside them stand those that `sallyport callers create` makes.',
    ),
  jwt: JWT.optional().describe('Tokens that this caller may show instead of a key.'),
  certificates: z
    .array(CERTIFICATE, { error: 'must be a list, such as [{ san: "spiffe://cluster.local/ns/billing/sa/api" }]' })
    .prefault([])
    .describe('Client certificates by which it is known, where no key or token is sent; each verified by listen.tls.clientCa.'),
  admin: flag().prefault(false).describe('May use the admin entrance and metrics, and sees internal addresses.'),
  may: z
    .array(GRANT, { error: 'must be a list, such as [{ adapter: github }]' })
    .prefault([])
    .describe('Which adapters it may call. Absent: none.'),
  quota: QUOTA.optional().describe(
    'Calls over it are RateLimited at once. The rate is shared by all replicas with store.redis; each replica has its own concurrency. Absent: none.',
  ),
  priority: choice('high', 'normal', 'low')
    .prefault('normal')
    .describe(
      'Whose turn comes first where calls wait for a place (`limits.concurrency`). Lower ones get a bounded share: of eight turns two for normal, one for low.',
    ),
  observe: flag()
    .prefault(false)
    .describe(
      'What `may` and `quota` would refuse is let through, with a warning, and counted, logged and recorded: for trying out a policy.',
    ),
})

const DNS_SERVER = field<string>(
  (written) => {
    const server = typeof written === 'string' ? normaliseDnsServer(written) : null
    return server === null
      ? { ok: false, fault: 'must be an IP address, with a port unless it is 53, such as 10.0.0.2:53 or [fd00::2]:53' }
      : { ok: true, value: server }
  },
  { type: 'string', title: 'address:port' },
)

const AUDIT_SINK = section({
  name: name().optional().describe('Stands in metrics and the log, and keeps its place over a restart. Absent: its type.'),
  type: choice('stdout', 'http', 'otlp-logs').describe(
    'stdout: JSON lines. http: JSON lines POSTed to a collector. otlp-logs: OpenTelemetry logs, as JSON over HTTP.',
  ),
  url: text('an http:// or https:// URL', (written) => URL.canParse(written) && /^https?:/i.test(written))
    .optional()
    .describe('Of the collector; for otlp-logs with its path, such as http://collector:4318/v1/logs.'),
  headers: z
    .record(
      z.string().refine(isToken, { error: 'is not a header name' }),
      text('a header value', (written) => /^[\x20-\x7e]{1,4096}$/.test(written)),
      { error: 'must be a mapping of names to text' },
    )
    .prefault({})
    .describe(`Sent with each request; secrets as "\${VARIABLE}".`),
  ca: name().optional().describe('Name of a bundle in caBundles. Absent: the built-in roots.'),
  batch: integer(1, 10_000).prefault(500).describe('Records in one request, at most.'),
})

export const ROOT = section({
  listen: LISTEN.prefault({}).describe('Where callers connect, and what they may send.'),
  workers: WORKERS.prefault(1).describe(
    'Processes that serve, 1-64, or auto: one a core. More than 1 need a sealing key; limits and quotas are divided between them, but for rates with store.redis (docs/operations.md).',
  ),
  dataDir: text('the path of a folder')
    .prefault('./data')
    .describe('Folder of the audit trail and the embedded store, from the working directory.'),
  dns: section({
    servers: z
      .array(DNS_SERVER, { error: 'must be a list, such as [10.0.0.2:53]' })
      .prefault([])
      .describe("Asked directly. Empty: the system's own."),
  })
    .prefault({})
    .describe('How names of upstreams are resolved.'),
  store: section({
    redis: REDIS.optional().describe(
      'Shared store of several replicas: the URL of one server, or a section for Sentinel, Cluster and TLS files. Absent or empty: the embedded store.',
    ),
    prefix: text('1-64 letters, digits and . _ : - { }', (written) => /^[A-Za-z0-9._:{}-]{1,64}$/.test(written))
      .prefault('sallyport:')
      .describe(
        'What every key in Redis begins with, a colon at its end; one for each installation. In a cluster with a hash tag: "{sallyport}:".',
      ),
    keyFile: optionalText('the path of a file')
      .optional()
      .describe(
        'File of the keys that seal what is stored, one `id:base64` a line, the active one first; followed while the gateway runs. Absent or empty: see key.',
      ),
    key: optionalText('keys as `sallyport keys generate` prints them')
      .optional()
      .describe(
        `Keys that seal what is stored, written "\${SALLYPORT_STORE_KEY}" so that they stay in the environment. Without either, secrets and sessions are kept in memory only.`,
      ),
    installation: name()
      .prefault('default')
      .describe('Bound into every sealed secret, so that it cannot be moved to another installation.'),
    highWater: optionalText('the path of a file')
      .optional()
      .describe(
        'File that remembers how far each secret had come, outside the store: an older record there is refused. Absent or empty: secret-high-water.jsonl in dataDir.',
      ),
    staleFor: duration(0, LONG).prefault('5m').describe('While Redis is away, the last known secrets serve this long.'),
  })
    .prefault({})
    .describe('Where secrets, sessions and remembered outcomes are kept.'),
  callers: z
    .array(CALLER, { error: 'must be a list of callers' })
    .prefault([])
    .describe('Who may call. Empty: anyone on this machine, as `local` with admin rights, and on loopback only.'),
  ceilings: section({
    timeout: section({
      connect: TIMEOUT.connect.exactOptional().describe('Absent: as total.'),
      read: TIMEOUT.read.exactOptional().describe('Absent: as total.'),
      total: TIMEOUT.total.prefault('2m').describe('The longest that a whole call may be asked to take.'),
    })
      .prefault({})
      .describe('Upper bounds of the three clocks.'),
    maxRetries: integer(0, 100).prefault(5).describe('The most further tries.'),
    responseSize: size().prefault('64MiB').describe('The largest response body, decoded.'),
  })
    .prefault({})
    .describe('What neither a descriptor nor an adapter may exceed. A descriptor that asks for more is clamped, with a warning.'),
  defaults: DEFAULTS.prefault({}).describe('What every adapter starts from.'),
  adapters: z
    .array(ADAPTER, {
      error: ({ input }) =>
        `${input === undefined ? 'is missing; it ' : ''}must be a list of adapters, or the path of a folder with a file for each`,
    })
    .describe('The mounted adapters: a list, or the path of a folder with one YAML file for each.'),
  caBundles: z
    .record(z.string(), text('the path of a PEM file'), { error: 'must be a mapping of names to PEM files' })
    .prefault({})
    .describe(
      'Certificate authorities by name, each a PEM file; used instead of the built-in roots where an adapter or a descriptor names one.',
    ),
  overload: section({
    calls: integer(1, 1_000_000).prefault(5000).describe("Callers' requests under way at once; further ones are Overloaded."),
    eventLoopDelay: duration()
      .prefault('250ms')
      .describe('Where the event loop stays later than this, fewer requests are taken until it keeps up again.'),
    memory: percent()
      .prefault('85%')
      .describe("Share of the container's or machine's memory, or of V8's heap, above which no call is taken."),
  })
    .prefault({})
    .describe('When the gateway sheds load of its own accord. Health, metrics and the admin entrance go on.'),
  audit: section({
    durability: choice('process', 'strict', 'best-effort')
      .prefault('process')
      .describe(
        'process: with the operating system before the request is sent, kill -9 loses nothing. strict: on disk. best-effort: calls go on without.',
      ),
    keyFile: optionalText('the path of a file')
      .optional()
      .describe('File of the keys that chain the trail, one `id:base64` a line, the active one first. Absent or empty: see key.'),
    key: optionalText('keys as `sallyport keys generate` prints them')
      .optional()
      .describe(
        `Keys that chain the trail, written "\${SALLYPORT_AUDIT_KEY}". Without either they are derived from those of the store; without those too the file audit.key in dataDir holds one.`,
      ),
    fileSize: size().prefault('256MiB').describe('A larger file is followed by another one of the same day.'),
    compressAfter: offOr(age())
      .prefault('1d')
      .describe('Files are compressed so long after their day has ended; they are searched and verified as before. off: never.'),
    retention: offOr(age())
      .prefault('400d')
      .describe('Files are removed so long after their day has ended, which a record says. off: never.'),
    checkpoint: offOr(
      section({
        every: duration().prefault('10m').describe('How often, where something was recorded since; at the end too.'),
        file: text('the path of a file')
          .optional()
          .describe('A line is appended to it, best on another machine. Absent: a line in the log.'),
      }),
    )
      .prefault({})
      .describe('Where the chain stands, told to somewhere else, so that a tail that was cut off can be found.'),
    sinks: z
      .array(AUDIT_SINK, { error: 'must be a list of sinks, such as [{ type: stdout }]' })
      .prefault([])
      .describe(
        'Where records are sent beside their files, each at least once, in order. What a sink does not take waits in the files.',
      ),
    stream: offOr(
      section({
        maxRecords: integer(1000, 1_000_000_000)
          .prefault(1_000_000)
          .describe('Entries at most. What a group has not acknowledged is never trimmed; records wait in the files for room.'),
        group: name().prefault('collector').describe('Consumer group that is made with the stream.'),
        refuseAfter: offOr(age()).prefault('off').describe('Calls are refused while the stream is further behind. off: never.'),
      }),
    )
      .prefault('off')
      .describe('The records as a stream in Redis, `audit` under store.prefix, for collectors. off: none.'),
  })
    .prefault({})
    .describe('The audit trail.'),
  metrics: section({
    public: flag().prefault(false).describe('Anyone may read GET /metrics; else admin rights are needed.'),
    listen: section({
      host: host().prefault('127.0.0.1').describe('Address to listen on.'),
      port: port().describe('Port to listen on.'),
    })
      .optional()
      .describe('A listener of its own for GET /metrics, /healthz and /readyz, open to anyone who reaches it. Absent: none.'),
  })
    .prefault({})
    .describe('Prometheus metrics.'),
  log: section({
    level: choice('debug', 'info', 'warn', 'error', 'fatal').prefault('info').describe('The least severe line that is written.'),
  })
    .prefault({})
    .describe('The log, on standard output.'),
  sessions: section({
    ttl: duration(1, LONG).prefault('24h').describe('A session that was not used for this long is forgotten.'),
  })
    .prefault({})
    .describe('Cookie jars that callers name.'),
  idempotency: section({
    ttl: duration(1, LONG).prefault('24h').describe('The outcome of a call with an idempotency key is kept this long.'),
  })
    .prefault({})
    .describe('Calls with an idempotency key.'),
})

export type Written = z.output<typeof ROOT>
