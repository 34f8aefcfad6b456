// The request descriptor's wire shape: every key with its description, unit and default. From here come the values' checks
// (parse-descriptor.ts and its readers), the names that an unknown key is compared with, and openapi.json. The bulk shapes
// (Params, Pairs, Files) are read by read-pairs.ts and read-files.ts, with bounded work; here they are described.
import { z } from 'zod'
import { DURATION_HINT, parseDuration, parseSize, type Reading } from '../model/units.ts'

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
/** RFC 9110 §5.6.2. */
export const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const VISIBLE_ASCII = /^[\x21-\x7e]{1,255}$/

const TIMEOUT_FAULT = `must be a whole number of at least 1, in ${DURATION_HINT}`

export const MAX_TAGS = 8
export const MAX_TAG_LENGTH = 64
export const MAX_BATCH = 1000
const MAX_CONCURRENCY = 64

/** A whole number or a string with its unit, of at least `min`; `fault` is said of anything that has no better words of its own. */
function inUnits(read: (value: number | string) => Reading<number>, min: number, fault: string) {
  const given = z.union([z.int({ error: fault }).min(min, { error: fault }), z.string()], { error: fault })
  return given.transform((value, context) => {
    const reading = read(value)
    if (reading.ok && reading.value >= min) return reading.value
    context.issues.push({ code: 'custom', message: reading.ok ? fault : reading.fault, input: value })
    return z.NEVER
  })
}

const text = z.string({ error: 'must be a string' })
/** Held against its alphabet by read-body.ts, which decodes it. */
const base64Text = text.meta({ contentEncoding: 'base64' })
const flag = z.boolean({ error: 'must be true or false' })

const token = (fault: string) => z.string({ error: fault }).regex(TOKEN, { error: fault })

function nameOf(what: string) {
  const fault = `must be the name of ${what}: 1-64 of A-Z a-z 0-9 . _ -, the first a letter or digit`
  return z.string({ error: fault }).regex(NAME, { error: fault })
}

function whole(min: number, max?: number) {
  const error = max === undefined ? `must be a whole number of at least ${min}` : `must be a whole number from ${min} to ${max}`
  const least = z.int({ error }).min(min, { error })
  return max === undefined ? least : least.max(max, { error })
}

const methodToken = token("must be an HTTP method: a token of letters, digits and !#$%&'*+-.^_`|~")
  .refine((method) => method.toUpperCase() !== 'CONNECT', { error: 'CONNECT makes tunnels and is never sent for a descriptor' })
  .transform((method) => method.toUpperCase())

export const durationSchema = inUnits(parseDuration, 0, `must be a whole number of ${DURATION_HINT}`).describe(
  'A whole number of milliseconds, or a string with its unit: "250ms", "3.05s", "2m", "1h".',
)

export const timeoutDurationSchema = inUnits(parseDuration, 1, TIMEOUT_FAULT).describe(
  'At least 1 ms: a whole number of milliseconds, or a string with its unit: "250ms", "3.05s", "2m". Under 50 ms gives a warning.',
)

export const sizeSchema = inUnits(parseSize, 0, 'must be a number of bytes, or a string such as "64KiB" or "10MiB"').describe(
  'A whole number of bytes, or a string: KiB, MiB, GiB are powers of 1024; KB, MB, GB powers of 1000.',
)

const scalarSchema = z
  .union([z.string(), z.number(), z.boolean()])
  .describe('Numbers travel as they are written (2.0 stays 2.0); booleans as true and false.')

export const paramsSchema = z
  .union([
    z
      .record(z.string(), z.union([scalarSchema, z.array(scalarSchema.nullable()), z.null()]))
      .describe('In the order of the text. A list repeats its name; null is dropped.'),
    z.array(z.tuple([z.string(), scalarSchema.nullable()])).describe('Pairs of name and value; a name may come again.'),
    z.string(),
  ])
  .describe('Names and values, as an object, as pairs, or as one string.')

export const pairsSchema = z
  .union([z.record(z.string(), z.string().nullable()), z.array(z.tuple([z.string(), z.string().nullable()]))])
  .describe('Header names and values, in the order and case in which they are sent; pairs allow a name to come twice.')

export const filePartSchema = z
  .strictObject({
    content: base64Text.optional().describe('The bytes, in base64 (RFC 4648 §4, padded). Either this or `text`.'),
    base64: base64Text.optional().describe('Another name for `content`.'),
    text: text.optional().describe('The content as text, sent in UTF-8.'),
    filename: text.nullable().optional().describe("Default: the field's name. null: a plain field, without a filename."),
    contentType: text.optional().describe("The part's Content-Type. Default: none, as in Requests."),
    headers: pairsSchema.optional().describe('Further headers of the part.'),
  })
  .describe('One part of multipart/form-data.')

export const filesSchema = z
  .union([z.record(z.string(), filePartSchema), z.array(z.tuple([z.string(), filePartSchema]))])
  .describe('Field names and parts, as an object or as pairs; with pairs a name may come twice.')

export const timeoutPartsSchema = z.strictObject({
  connect: timeoutDurationSchema
    .optional()
    .describe("DNS, TCP, proxy and TLS of one try, from when it has a slot. Default: the adapter's (2s unless configured)."),
  read: timeoutDurationSchema
    .optional()
    .describe("The longest silence between two bytes, in the body too. Default: the adapter's (10s unless configured)."),
  total: timeoutDurationSchema
    .optional()
    .describe("The whole call: queue, tries, waits, redirects, body. Default: the adapter's (30s unless configured)."),
})

const timeoutSchema = z
  .union([
    timeoutDurationSchema,
    z
      .tuple([timeoutDurationSchema.nullable(), timeoutDurationSchema.nullable()])
      .describe("(connect, read), as in Requests; null: the adapter's own."),
    timeoutPartsSchema,
  ])
  .describe('One value stands for connect and read. A longer time than the ceiling is clamped, with a warning.')

const STATUSES_FAULT = 'must be a list of HTTP statuses from 100 to 599'
const METHODS_FAULT = 'must be a list of HTTP methods'

/** `maxRetries` as a number. */
export const retryCountSchema = whole(0)

export const retrySchema = z
  .strictObject({
    total: whole(0).optional().describe('Further tries after the first, all reasons together, per hop. 0: none.'),
    connect: whole(0).optional().describe('Of them, after failures to connect. Default: bounded by total alone.'),
    read: whole(0).optional().describe('Of them, after failures once the request was begun.'),
    status: whole(0).optional().describe('Of them, after a status of statusForcelist.'),
    statusForcelist: z
      .array(whole(100, 599), { error: STATUSES_FAULT })
      .optional()
      .describe('Statuses that are tried again. Default: [429, 502, 503, 504].'),
    allowedMethods: z
      .array(methodToken, { error: METHODS_FAULT })
      .optional()
      .describe("Methods that may be repeated although the request may have arrived; it can only narrow the adapter's list."),
    backoffFactor: durationSchema
      .optional()
      .describe('Retry k waits random(0, min(backoffMax, backoffFactor·2^(k-1))). Default 200ms.'),
    backoffMax: durationSchema.optional().describe('Default 10s.'),
    respectRetryAfterHeader: flag
      .optional()
      .describe("Wait as long as the upstream's Retry-After says, up to the adapter's limit. Default true."),
    raiseOnStatus: flag
      .optional()
      .describe('When the tries are used up on a status: true gives RetryError, false the last response. Default false.'),
  })
  .describe("urllib3's Retry in camelCase; each absent key is the adapter's.")

const login = { username: text, password: text }

export const AUTH_SCHEMAS = {
  basic: z.strictObject({ type: z.literal('basic'), ...login }).describe('Basic: latin-1 where it fits, else UTF-8.'),
  digest: z.strictObject({ type: z.literal('digest'), ...login }).describe('Digest (RFC 7616): the challenge is answered once.'),
  bearer: z.strictObject({ type: z.literal('bearer'), token: text }).describe('Authorization: Bearer.'),
  header: z.strictObject({ type: z.literal('header'), name: text, value: text }).describe('A header of that name.'),
  query: z.strictObject({ type: z.literal('query'), name: text, value: text }).describe('A parameter of the query.'),
} as const

export const secretAuthSchema = z
  .strictObject({ secret: nameOf('a stored secret').describe('Name of a stored secret of any scheme.') })
  .describe('A stored secret, by name: the way to do it.')

export const authSchema = z
  .union([
    secretAuthSchema,
    AUTH_SCHEMAS.basic,
    AUTH_SCHEMAS.digest,
    AUTH_SCHEMAS.bearer,
    AUTH_SCHEMAS.header,
    AUTH_SCHEMAS.query,
  ])
  .describe('Credentials of this call. They go to the first origin alone.')

const DECODE = ['auto', 'json', 'text', 'base64', 'none'] as const

const VERIFY_FAULT = 'must be true, false or the name of a configured CA bundle'
const verifySchema = z.union([z.boolean(), z.string().regex(NAME, { error: VERIFY_FAULT })], { error: VERIFY_FAULT })

const tagSchema = z.string().max(MAX_TAG_LENGTH)

export const descriptorSchema = z
  .strictObject({
    url: text.describe('http or https, absolute: the only required key. `user:pass@` becomes Basic auth and is never shown.'),
    method: methodToken.optional().describe('Any token of RFC 9110, upper-cased; never CONNECT. Default GET.'),
    params: paramsSchema
      .optional()
      .describe("Appended to the URL's own query in Requests' encoding. A string is appended as it stands."),
    headers: pairsSchema
      .optional()
      .describe(
        "Sent in this order and case. null removes a default or an adapter's header. Refused (InvalidHeader): Host unless the adapter opens it, Content-Length, Transfer-Encoding, Connection, Keep-Alive, Upgrade, TE, Trailer, Expect, Proxy-*.",
      ),
    json: z
      .unknown()
      .optional()
      .describe('Any JSON value, sent as its own text; null sends null. Sets Content-Type: application/json unless given.'),
    data: paramsSchema
      .optional()
      .describe('An object or pairs: form-encoded. A string: sent as it is, in UTF-8, without a Content-Type.'),
    content: base64Text.optional().describe('Raw bytes, in base64 (RFC 4648 §4, padded).'),
    base64: base64Text.optional().describe('Another name for `content`.'),
    files: filesSchema.optional().describe('Sent as multipart/form-data, with `data` (object or pairs) as its fields.'),
    cookies: z
      .record(z.string(), z.string())
      .optional()
      .describe("Sent to the first URL's host alone, on whatever hop, and never from https to http."),
    auth: authSchema.nullable().optional().describe("Absent: the adapter's own credentials. null: none at all."),
    timeout: timeoutSchema.optional().describe("Absent: the adapter's own."),
    maxRetries: z
      .union([retryCountSchema, retrySchema])
      .optional()
      .describe("n: n more tries after the first, all reasons, per hop; 0: none. Up to the ceiling. Absent: the adapter's own."),
    maxResponseSize: sizeSchema
      .optional()
      .describe("Bytes of the decoded body. Up to the ceiling. Absent: the adapter's own (10MiB)."),
    allowRedirects: flag.optional().describe('Default true, but false for HEAD.'),
    maxRedirects: whole(0).optional().describe('Default 30, at most 100; one more is TooManyRedirects.'),
    verify: verifySchema
      .optional()
      .describe(
        "false: the certificate is not verified, where the adapter allows that. A string: the name of a CA bundle. Default: the adapter's own.",
      ),
    cert: nameOf('a stored client certificate').optional().describe('Name of a stored client certificate (mTLS).'),
    session: nameOf('a session').optional().describe('A cookie jar of that name, private to the caller, kept between calls.'),
    encoding: z
      .string({ error: 'must be the name of a charset' })
      .regex(/^[\x21-\x7e]{1,64}$/, { error: 'must be the name of a charset: 1-64 visible ASCII characters' })
      .optional()
      .describe('Decode `text` with this charset instead of the declared one; an unknown one is read as UTF-8.'),
    decode: z
      .enum(DECODE, { error: `must be one of ${DECODE.join(', ')}` })
      .optional()
      .describe('What the body becomes. auto (default): JSON that parses → json, text → text, else base64. none: no body.'),
    idempotencyKey: z
      .string({ error: 'must be a string' })
      .regex(VISIBLE_ASCII, { error: 'must be 1-255 visible ASCII characters' })
      .optional()
      .describe(
        "Makes a repeat safe: a second call with the key gets the first one's outcome. Forwarded as Idempotency-Key unless the adapter names another header.",
      ),
    inspect: flag.optional().describe("Put the prepared body in the envelope's `request`. Default false."),
    tags: z
      .record(tagSchema, tagSchema)
      .refine((tags) => Object.keys(tags).length <= MAX_TAGS)
      .meta({ maxProperties: MAX_TAGS })
      .optional()
      .describe(`Free labels for the audit trail: at most ${MAX_TAGS}, of at most ${MAX_TAG_LENGTH} characters each.`),
  })
  .describe(
    "One outbound request, in the words of Python's Requests. `json`, `data` and `content` exclude one another; `files` goes with `data` alone. null is the same as an absent key, except in `json`, `auth`, a header's value and a part's `filename`. An unknown or repeated key is refused.",
  )

export const batchSchema = z
  .strictObject({
    requests: z.array(descriptorSchema).max(MAX_BATCH).describe(`At most ${MAX_BATCH}, each admitted and counted alone.`),
    concurrency: whole(1, MAX_CONCURRENCY).optional().describe('How many are under way at once, 1-64. Default 8.'),
  })
  .describe('Many descriptors in one request.')
