// The wire shapes of the admin entrance: what its bodies and queries may hold, and what its answers look like. Bodies and queries
// are parsed with them; of the answers they say to openapi.json, and to the tests that hold real answers against them, what stands
// there. Values of secrets are in bodies alone.
import { z } from 'zod'
import { errorSchema } from './envelope-schema.ts'
import { durationSchema } from './schema.ts'

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const NAME_FAULT = 'must be a name: 1-64 of A-Z a-z 0-9 . _ -, the first a letter or digit'
/** C0, DEL, C1 and the Unicode line ends: a reason is shown in logs and messages, on one line. */
const PLAIN = /^[^\p{Cc}\u2028\u2029]+$/u
const MAX_REASON = 200

/** Ids of keys; those in the configuration file are called `sha256:…`. */
export const paramSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/)
export const nameSchema = z.string({ error: NAME_FAULT }).regex(NAME, { error: NAME_FAULT })

const count = z.int().min(0)
const instant = z.iso.datetime({ offset: true, error: 'must be an instant such as 2026-01-31T12:00:00Z' })
/** As it stands in answers. */
const instantShown = z.iso.datetime().describe('RFC 3339 with milliseconds, UTC.')
const instantGiven = instant.transform((text) => Date.parse(text))

const expiresIn = durationSchema
  .refine((ms) => ms > 0, { error: 'must be longer than 0' })
  .optional()
  .describe('It ends by itself after this long. Absent, without `until`: it stands until it is lifted.')

const expiresAt = instantGiven.optional().describe('It ends at this instant, RFC 3339.')

const EITHER_EXPIRY = 'expiresIn and expiresAt exclude one another; give the one or the other'

function oneEnd(ends: { readonly expiresIn?: number | undefined; readonly expiresAt?: number | undefined }): boolean {
  return ends.expiresIn === undefined || ends.expiresAt === undefined
}

const EITHER_END = 'expiresIn and until exclude one another; give the one or the other'

const originGiven = z
  .string({ error: 'must be an origin: scheme://host[:port]' })
  .regex(/^https?:\/\/[^/?#@\\\s]+\/?$/i, { error: 'must be an origin: scheme://host[:port]' })
  .refine((text) => URL.canParse(text), { error: 'must be an origin: scheme://host[:port]' })

export const overrideBodySchema = z
  .strictObject({
    origin: originGiven.optional().describe('One origin under the adapter. Absent: all of them, those to come included.'),
    state: z
      .enum(['open', 'closed'], { error: 'must be "open", "closed", or null to lift what stands' })
      .nullable()
      .describe(
        'open: every call is refused with BreakerOpen. closed: every call is let through. null: the breaker judges by itself again.',
      ),
    reason: z
      .string({ error: 'must be a string' })
      .max(MAX_REASON, { error: `must not be longer than ${MAX_REASON} characters` })
      .regex(PLAIN, { error: 'must be one line of text' })
      .optional()
      .describe('Why. Wanted unless `state` is null; callers whose calls are refused read it.'),
    expiresIn,
    until: instantGiven.optional().describe('It ends by itself at this instant, RFC 3339.'),
  })
  .refine(({ expiresIn, until }) => expiresIn === undefined || until === undefined, { error: EITHER_END })
  .refine(({ state, reason }) => state === null || reason !== undefined, {
    path: ['reason'],
    error: 'is missing',
  })
  .describe("A breaker's state set by hand.")

export const overrideSchema = z
  .strictObject({
    origin: z.string().nullable().describe('null: every origin under the adapter.'),
    state: z.enum(['open', 'closed']),
    by: z.string().describe('The operator.'),
    reason: z.string(),
    since: instantShown,
    until: instantShown.nullable().describe('null: until it is lifted.'),
  })
  .describe("A breaker's state that an operator set by hand.")

export const originStateSchema = z
  .strictObject({
    origin: z.string(),
    purpose: z.enum(['calls', 'tokens']).describe("tokens: the gateway's own requests for access tokens."),
    breaker: z.enum(['closed', 'open', 'half-open']).nullable().describe('As calls meet it now; null: off.'),
    forced: z.enum(['open', 'closed']).nullable().describe('What an operator set over it; null: nothing.'),
    inFlight: count.describe('Tries that hold a slot.'),
    queued: count.describe('Tries that wait for a slot.'),
    connections: count.describe('Open now, idle ones included.'),
    idle: count,
    retired: z.boolean().describe('Of an adapter that a reload changed or removed: it only waits for its calls to end.'),
  })
  .describe('One origin under an adapter that was called lately, as it stands in this replica.')

const policySchema = z
  .record(z.string(), z.unknown())
  .describe('The adapter as it is in effect: defaults worked in, ms and bytes, everything secret shown as ***.')

export const adapterSchema = z
  .strictObject({
    name: nameSchema,
    mount: z.string(),
    overrides: z.array(overrideSchema),
    origins: z.array(originStateSchema).describe('In the order of their names.'),
    policy: policySchema,
  })
  .describe('An adapter and its live state.')

export const adaptersSchema = z.strictObject({ adapters: z.array(adapterSchema).describe('In the order of the configuration.') })

export const overridesSchema = z.strictObject({
  adapter: nameSchema,
  overrides: z.array(overrideSchema).describe('All that stand now.'),
  shared: z
    .boolean()
    .describe(
      'true: it is in the store, and every replica follows within a second. false: the store is away; this replica follows, the others when it is back.',
    ),
})

export const configSchema = z
  .strictObject({ config: z.record(z.string(), z.unknown()) })
  .describe('The configuration in effect: defaults worked in, ms and bytes, everything secret shown as ***.')

const changesSchema = z.strictObject({ added: z.array(z.string()), changed: z.array(z.string()), removed: z.array(z.string()) })

export const reloadBodySchema = z.strictObject({})

export const reloadSchema = z
  .strictObject({
    adapters: changesSchema,
    callers: changesSchema,
    changed: z.array(z.string()).describe('Other keys whose values changed and are in effect now.'),
    needsRestart: z.array(z.string()).describe('Keys that changed and are read at the start alone.'),
    warnings: z.array(z.string()).describe('Each with its file, line and key.'),
  })
  .describe('What the reload changed.')

const keySchema = z
  .strictObject({
    id: z.string().describe('Stands in the key itself; of a key in the configuration file, the beginning of its hash.'),
    source: z.enum(['stored', 'config']).describe('config: it stands in the configuration file, and is changed there.'),
    state: z.enum(['active', 'expired', 'revoked']),
    createdAt: instantShown.nullable(),
    createdBy: z.string().nullable(),
    lastUsedAt: instantShown.nullable().describe('To the minute; null: never, or not known.'),
    expiresAt: instantShown.nullable().describe('null: never.'),
  })
  .describe('A key of a caller, without the key.')

export const callersSchema = z.strictObject({
  callers: z
    .array(
      z.strictObject({
        name: z.string(),
        configured: z
          .boolean()
          .describe('false: stored keys name a caller that the configuration has not; nobody is let in by them.'),
        admin: z.boolean(),
        jwt: z.boolean().describe('It may also show tokens.'),
        certificates: count.describe('It may also show one of so many client certificates.'),
        keys: z.array(keySchema),
      }),
    )
    .describe('In the order of the configuration; callers that it has not come last.'),
})

export const keyBodySchema = z
  .strictObject({ expiresIn, expiresAt })
  .refine(oneEnd, { error: EITHER_EXPIRY })
  .describe('A new key. Without an end it is good until it is revoked.')

export const createdKeySchema = z
  .strictObject({
    caller: nameSchema,
    id: z.string(),
    key: z.string().describe('The key itself: shown this once, and kept nowhere.'),
    createdAt: instantShown,
    expiresAt: instantShown.nullable(),
  })
  .describe('A key as it was made.')

export const revokedKeySchema = z.strictObject({ caller: z.string(), key: keySchema })

const VALUES_FAULT = 'must be an object of texts, or a list of at least two of them, which makes a pool'
const oneSet = z.record(z.string(), z.string())

/** What a new version is made of, beside its policy. */
const version = {
  values: z
    .union([oneSet, z.array(oneSet).min(2)], { error: VALUES_FAULT })
    .describe("By the names of the scheme's fields. A list of them is a pool of keys. They go in and never come out."),
  pick: z
    .enum(['round-robin', 'least-used'], { error: 'must be "round-robin" or "least-used"' })
    .optional()
    .describe('Which of a pool serves. Default round-robin.'),
  notBefore: instantGiven.optional().describe('It serves from then on; until then the version before does. Absent: at once.'),
  expiresIn,
  expiresAt,
}
const overlap = durationSchema.optional()
const scheme = z.string({ error: 'must be the name of a scheme' }).describe('bearer, basic, header, oauth2-client-credentials …')
const origins = z.array(z.string(), { error: 'must be a list of origins: scheme://host[:port]' })
const bound = z.array(z.string(), { error: 'must be a list of names of callers, or ["*"]' })
const ORIGINS = 'Where it may be sent: scheme://host[:port] each. Nowhere else, whatever a call says.'
const CALLERS = 'Who may use it: names of callers; "*" is every one.'

export const secretBodySchema = z
  .strictObject({
    scheme,
    origins: origins.describe(ORIGINS),
    callers: bound.describe(CALLERS),
    ...version,
    overlap: overlap.describe('How long the version before it is still good. Default: not at all.'),
  })
  .refine(oneEnd, { error: EITHER_EXPIRY })
  .describe('A secret, stored as the next version of its name.')

export const rotationBodySchema = z
  .strictObject({
    scheme: scheme.optional(),
    origins: origins.optional().describe(ORIGINS),
    callers: bound.optional().describe(CALLERS),
    ...version,
    overlap: overlap.describe('How long the version before it is still good. Default 1h.'),
  })
  .refine(oneEnd, { error: EITHER_EXPIRY })
  .describe('New values for a secret; what is absent is as in the version before.')

export const revocationBodySchema = z.strictObject({
  version: z.int({ error: 'must be the number of a version' }).min(1).optional().describe('This version alone. Absent: all.'),
})

export const rekeyBodySchema = z.strictObject({})

const listedVersionSchema = z.strictObject({
  version: z.int().min(1),
  state: z
    .string()
    .describe('current: what calls get. previous: still good. next: not yet. retired: superseded. expired. revoked.'),
  scheme: z.string(),
  origins: z.array(z.string()),
  callers: z.array(z.string()),
  pool: z.strictObject({ pick: z.string(), size: count }).nullable().describe('null: one set of values.'),
  createdAt: instantShown.nullable(),
  notBefore: instantShown.nullable(),
  expiresAt: instantShown.nullable(),
  overlapUntil: instantShown.nullable().describe('Superseded, it is good until then.'),
  revokedAt: instantShown.nullable(),
})

export const secretSchema = z
  .strictObject({
    name: z.string(),
    keyId: z.string().nullable().describe('The sealing key that it is under.'),
    versions: z.array(listedVersionSchema).describe('The newest last.'),
    fault: z.string().nullable().describe('Why its record cannot be used; null: it can.'),
  })
  .describe('A stored secret, without its values.')

export const secretsSchema = z.strictObject({ secrets: z.array(secretSchema).describe('By name.') })

export const secretChangeSchema = z
  .strictObject({
    name: nameSchema,
    version: z.int().min(1).nullable().describe('That was made; null: none was.'),
    warnings: z.array(z.string()).describe('The change is done, and yet something was not as it should be.'),
  })
  .describe('A change of a secret, in use by every replica within a second.')

export const rekeySchema = z
  .strictObject({
    keyId: z.string().describe('The active key.'),
    resealed: z.array(z.string()),
    unchanged: count.describe('Under it already.'),
    failed: z.array(z.strictObject({ name: z.string(), because: z.string() })),
  })
  .describe('What was sealed anew.')

export const sessionsQuerySchema = z.strictObject({
  caller: nameSchema.optional().describe('Its sessions alone. Absent: those of every configured caller.'),
})

export const sessionSchema = z
  .strictObject({
    caller: z.string(),
    name: z.string(),
    cookies: count,
    domains: z.array(z.string()).describe('That the cookies are for.'),
    writtenAt: instantShown,
  })
  .describe('A named cookie jar of a caller, without its cookies.')

export const sessionsSchema = z.strictObject({
  sessions: z.array(sessionSchema).describe('By caller and name; of each caller the 1,000 that began last.'),
})

export const forgottenSchema = z.strictObject({ caller: z.string(), name: z.string(), deleted: z.literal(true) })

const STATUS_CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx', 'none'] as const
const STATUS_FAULT = `must be a status, or one of ${STATUS_CLASSES.join(', ')}`
const LIMIT_FAULT = 'must be a whole number from 1 to 1000'

/** A query has texts alone: a bare number of ms is one too. */
const durationText = z
  .string()
  .transform((text) => (/^\d{1,15}$/.test(text) ? Number(text) : text))
  .pipe(durationSchema)

export const auditQuerySchema = z.strictObject({
  from: instantGiven.optional().describe('That instant and later.'),
  to: instantGiven.optional().describe('Before that instant.'),
  caller: z.string().optional().describe('Who called; of an act, who did it.'),
  adapter: z.string().optional().describe('Whose policy applied.'),
  host: z.string().optional().describe('Of any hop; with its port where that is not the usual one.'),
  status: z
    .union(
      [
        z.enum(STATUS_CLASSES),
        z
          .string()
          .regex(/^[1-9]\d\d$/)
          .transform(Number),
      ],
      { error: STATUS_FAULT },
    )
    .optional()
    .describe("The upstream's status, its class such as 5xx, or none."),
  error: z.string().optional().describe('error.type; any: it failed; none: it did not.'),
  tag: z.array(z.string()).optional().describe('name or name=value; may be repeated.'),
  requestId: z.string().optional().describe('X-Request-Id of the call.'),
  credential: z.string().optional().describe('A name, or name@version; also finds the acts on that secret.'),
  minDuration: durationText.optional().describe('Calls that took so long or longer: 2s, or ms.'),
  kind: z.enum(['call', 'act', 'note'], { error: 'must be call, act or note' }).optional(),
  order: z
    .enum(['newest', 'oldest'], { error: 'must be newest or oldest' })
    .optional()
    .describe('Which comes first. Default: newest.'),
  limit: z
    .string()
    .regex(/^(?:[1-9]\d{0,2}|1000)$/, { error: LIMIT_FAULT })
    .transform(Number)
    .optional()
    .describe('Records of a page: 1-1000, default 100.'),
  cursor: z.string().optional().describe('`nextCursor` of the page before.'),
})

const place = {
  chain: z.string().describe('The chain it stands in,'),
  seq: count.describe('and its number there.'),
  at: instantShown,
}

export const auditRecordSchema = z
  .discriminatedUnion('kind', [
    z
      .looseObject({
        kind: z.literal('call'),
        ...place,
        id: z.string().describe('The request id.'),
        caller: z.string(),
        method: z.string().nullable(),
        url: z.string().nullable().describe('Query values masked.'),
        adapter: z.string().nullable(),
        credential: z.string().nullable().describe('A name and a version.'),
        tags: z.record(z.string(), z.string()),
        endedAt: instantShown.nullable().describe('null: under way, or lost.'),
        status: z.int().nullable(),
        error: z.string().nullable(),
        attempts: z.array(z.looseObject({})),
      })
      .describe('A call, its intent and its result as one.'),
    z
      .looseObject({
        kind: z.literal('act'),
        ...place,
        who: z.string(),
        via: z.enum(['admin', 'cli']),
        act: z.string(),
        subject: z.string().nullable(),
        error: z.string().nullable(),
        detail: z.record(z.string(), z.unknown()),
      })
      .describe('Something that an operator did, or tried to do.'),
    z.looseObject({ kind: z.literal('note'), ...place, note: z.string() }).describe('What the trail says of itself.'),
  ])
  .describe('What was found in the audit trail.')

export const auditPageSchema = z.strictObject({
  records: z.array(auditRecordSchema),
  nextCursor: z
    .string()
    .nullable()
    .describe('null: that was the last page. A page with few records, or none, may have a next one.'),
})

const LEVELS = ['debug', 'info', 'warn', 'error', 'fatal'] as const

export const logLevelBodySchema = z
  .strictObject({
    level: z.enum(LEVELS, { error: `must be one of ${LEVELS.join(', ')}, or null for the configured one` }).nullable(),
    expiresIn,
  })
  .describe('Lines below the level are dropped. null: the configured level again.')

export const logLevelSchema = z
  .strictObject({
    level: z.enum(LEVELS).describe('In effect in this replica.'),
    configured: z.enum(LEVELS),
    by: z.string().nullable().describe('Who set it; null: it is the configured one.'),
    until: instantShown.nullable().describe('When the configured one comes back by itself; null: not by itself.'),
  })
  .describe('The level of the process log.')

export const adminErrorSchema = z
  .strictObject({ error: errorSchema, requestId: z.string() })
  .describe('A refusal or failure of the admin entrance.')
