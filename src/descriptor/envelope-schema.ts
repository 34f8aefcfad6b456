// The wire shapes of the answers, for openapi.json and for tests that hold real answers against them. Nothing is parsed with
// them in service: envelope/ writes text, and this says what that text must look like.
import { z } from 'zod'
import { CATALOGUE, type ErrorType } from '../errors/catalogue.ts'

const ERROR_TYPES = Object.keys(CATALOGUE) as [ErrorType, ...ErrorType[]]

const ms = z.number().min(0)
const count = z.int().min(0)
const status = z.int().min(100).max(999)

export const errorTypeSchema = z
  .enum(ERROR_TYPES)
  .describe("Every way a call can end without a full answer; the names are Requests' own where it has one.")

export const sentSchema = z
  .enum(['no', 'maybe', 'yes'])
  .describe('no: no byte of the request was handed to a connected socket. yes: a byte of an answer arrived. maybe: between.')

export const headersSchema = z
  .record(z.string(), z.union([z.string(), z.array(z.string())]))
  .describe(
    "Lower-case names. set-cookie is always a list; repeats of any other are joined by ', '. Bytes beyond ASCII as latin-1.",
  )

export const attemptSchema = z
  .strictObject({
    hop: count.describe('0 is the first request, 1 the first redirect.'),
    method: z.string(),
    url: z.string().describe('Without query and userinfo.'),
    adapter: z.string().describe('Whose policy applied to this hop.'),
    origin: z.string(),
    address: z
      .string()
      .nullable()
      .describe('The judged address that was dialled; to callers without admin rights only where it is global unicast.'),
    reused: z.boolean().describe('On a pooled connection.'),
    waited: ms.describe('ms waited before this try.'),
    because: z
      .enum(['backoff', 'Retry-After', 'rate limit', 'queue', 'renewed credential'])
      .nullable()
      .describe('Why it waited.'),
    status: status.optional(),
    error: errorTypeSchema.optional(),
    sent: sentSchema,
    connect: ms.nullable().describe('ms; null where the connection was reused or none was made.'),
    firstByte: ms.nullable().describe('ms from sending to the end of the response headers.'),
    elapsed: ms.describe('ms, the whole try.'),
  })
  .describe('One try on the wire.')

export const historyEntrySchema = z
  .strictObject({
    method: z.string(),
    status,
    reason: z.string(),
    url: z.string(),
    headers: headersSchema,
    elapsed: ms.describe('ms.'),
  })
  .describe('A redirect that was followed, or the 401 of a digest dialogue.')

export const outgoingSchema = z
  .strictObject({
    method: z.string(),
    url: z.string(),
    headers: z
      .record(z.string(), z.union([z.string(), z.array(z.string())]))
      .describe('In the case and order they went out; a name sent twice has a list.'),
    bodyBytes: count,
    body: z
      .union([z.strictObject({ text: z.string() }), z.strictObject({ base64: z.string() })])
      .optional()
      .describe('With `inspect`, and from /v1/prepare.'),
  })
  .describe('The prepared request as it went out on the last hop, without Host and Connection. Every secret is masked as ***.')

export const errorSchema = z
  .strictObject({
    type: errorTypeSchema,
    message: z.string().describe('Names the host and the policy that decided, and what to do about it; never a credential.'),
    sent: sentSchema.describe('The greatest of all attempts, hops included.'),
    retryable: z.boolean().describe('The same call may succeed if repeated, and repeating it is safe.'),
    retryAfter: count.optional().describe('ms until trying again makes sense.'),
    detail: z
      .unknown()
      .optional()
      .describe('For a descriptor that cannot be sent: [{pointer, message}], every fault, the pointer as in RFC 6901.'),
  })
  .describe('What went wrong.')

const timingsSchema = z.strictObject({
  queued: ms.describe('All waits before bytes moved.'),
  connect: ms.nullable().describe('Of the last try; null where reused or none.'),
  firstByte: ms.nullable().describe('Of the last try.'),
  total: ms,
})

export const envelopeSchema = z
  .strictObject({
    ok: z.boolean().describe('An upstream answered in full with a status under 400. false whenever `error` is set.'),
    status: status.nullable().describe("The upstream's status; null where no answer arrived."),
    reason: z.string().nullable(),
    url: z.string().nullable().describe('Of the final hop, after redirects; no userinfo.'),
    headers: headersSchema.describe('As the upstream sent them, content-encoding and length too.'),
    encoding: z.string().nullable().describe('Charset of `text` or `json`; null beside base64 and without a body.'),
    links: z
      .record(z.string(), z.object({ url: z.string() }).catchall(z.string()))
      .describe("The Link header, as Requests' links."),
    json: z
      .unknown()
      .optional()
      .describe("The upstream's own JSON text, checked and spliced in: big integers, 1.0 and the order of keys arrive as sent."),
    text: z.string().optional().describe('A text body, decoded by `encoding`.'),
    base64: z.string().optional().describe('Any other body. Content-encodings are undone first.'),
    bytes: count.describe('Of the decoded body.'),
    cookies: z.record(z.string(), z.string()).describe('Those set on the way, redirects included.'),
    history: z.array(historyEntrySchema),
    request: outgoingSchema.nullable().describe('null where the request could not be prepared.'),
    elapsed: ms.nullable().describe("ms from sending to the end of the response headers, of the last try, as Requests' elapsed."),
    timings: timingsSchema.describe('ms.'),
    attempts: z.array(attemptSchema).describe('The ledger: one entry a try, hops and credential renewals included.'),
    notRetried: z.string().nullable().describe('Where a failure was not tried again: the rule that said so, in words.'),
    adapter: z.string().nullable().describe('Whose policy applied to the first hop.'),
    breaker: z
      .enum(['closed', 'open', 'half-open'])
      .nullable()
      .describe("Of the last hop's adapter and origin, as this call left it; null: off, or not reached."),
    cache: z.enum(['hit', 'miss', 'revalidated', 'bypass']).optional(),
    replayed: z.literal(true).optional().describe('The stored outcome of an earlier call with this idempotency key.'),
    warnings: z.array(z.string()),
    requestId: z.string(),
    source: z.enum(['upstream', 'gateway']).describe('Who produced this outcome.'),
    error: errorSchema.nullable(),
  })
  .refine((envelope) => !(envelope.ok && envelope.error !== null), { error: 'ok is false whenever error is set' })
  .refine((envelope) => ['json', 'text', 'base64'].filter((key) => key in envelope).length <= 1, { error: 'one body at most' })
  .describe('The answer to every call, in the same shape whatever happened: null, {} and [] where nothing came.')

const planSchema = z
  .strictObject({
    adapter: z.string().nullable(),
    because: z.string().nullable().describe('Why this adapter.'),
    credential: z.string().nullable().describe("A stored secret's name, or the kind of the credentials given."),
    timeout: z.strictObject({ connect: ms, read: ms, total: ms.nullable() }).nullable().describe('ms.'),
    retry: z
      .record(z.string(), z.unknown())
      .nullable()
      .describe('As `maxRetries` of a descriptor, with `maxRetries` as the number.'),
    limits: z
      .strictObject({ concurrency: count, queue: count, rate: z.string().nullable(), responseSize: count })
      .nullable()
      .describe('Per adapter and origin; responseSize in bytes.'),
    refusedBy: z.string().nullable().describe('What would have refused the call; null: nothing.'),
  })
  .describe("The adapter's policy with the descriptor's wishes worked in. Each is null where there is none.")

export const prepareAnswerSchema = z
  .strictObject({
    request: outgoingSchema.nullable().describe('With its body.'),
    plan: planSchema,
    warnings: z.array(z.string()),
    error: errorSchema.nullable().describe("The call's refusal, which also gives the answer its status."),
  })
  .describe('A call explained and not sent.')

export const batchAnswerSchema = z.strictObject({ responses: z.array(envelopeSchema).describe('In the order of the requests.') })

export const batchLineSchema = z
  .strictObject({ index: count.describe('Of the request, from 0.'), response: envelopeSchema })
  .describe('One line of application/x-ndjson, written as its call ends.')

export const readinessSchema = z.strictObject({
  ready: z.boolean(),
  degraded: z.array(z.string()).describe('What is away although calls are served, such as "redis".'),
  because: z.string().optional().describe('Why it is not ready.'),
})
