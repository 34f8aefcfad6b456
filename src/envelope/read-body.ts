// A decoded body as the envelope will show it: the upstream's own JSON text, text, or base64. contract: "Bodies".
// Content-encodings were undone by the transport.
import { GatewayError } from '../errors/gateway-error.ts'
import { isJson, isJsonInTurns } from '../json/check-json.ts'
import type { Decode } from '../model/descriptor.ts'
import { headerValue, type UpstreamResponse } from '../model/upstream-response.ts'
import { decodeText, isUtf8Charset, withoutBom } from './charset.ts'
import { type MediaType, parseMediaType } from './media-type.ts'
import { quoteInTurns } from './quote-text.ts'

/** `encoding` is the charset that the text was read with, as declared or as Requests names it. */
export type BodyView = WholeView | QuotedText

export type WholeView =
  | { readonly kind: 'none' }
  /** JSON text in UTF-8, ready to be spliced in. */
  | { readonly kind: 'json'; readonly encoding: string; readonly bytes: Buffer }
  | { readonly kind: 'text'; readonly encoding: string; readonly text: string }
  | { readonly kind: 'base64'; readonly bytes: Buffer }

/** A long text, as the inside of a JSON string in UTF-8. */
interface QuotedText {
  readonly kind: 'quoted'
  readonly encoding: string
  readonly quoted: Buffer
}

export interface ReadBody<View = BodyView> {
  readonly body: View
  /** `decode: "json"` was asked for and the body is none; `body` then holds its text all the same. */
  readonly error: GatewayError | null
}

export interface BodyWishes {
  readonly decode: Decode
  /** Read with this charset whatever was declared. */
  readonly encoding?: string | undefined
  /** Final URL of the answer, for the message; null: unknown. */
  readonly url: string | null
  /** Levels of nesting above which JSON counts as unparseable. Default 64. */
  readonly jsonDepth?: number
}

interface Reading {
  readonly media: MediaType
  readonly declared: string | null
  /** That it is read with as text. */
  readonly charset: string
  /** In UTF-8 what is shown as JSON if it is that; null: nothing is. */
  readonly candidate: Buffer | null
}

const NOTHING: WholeView = { kind: 'none' }
const DEFAULT_DEPTH = 64

export function readBody(response: UpstreamResponse, wishes: BodyWishes): ReadBody<WholeView> {
  const unread = withoutReading(response, wishes)
  if (unread !== null) return unread
  const reading = readingOf(response, wishes)
  const { candidate } = reading
  const isGood = candidate !== null && isJson(candidate, wishes.jsonDepth ?? DEFAULT_DEPTH)
  if (isGood) return asJson(candidate, reading)
  if (!isText(wishes, reading)) return asBase64(response)
  const { charset } = reading
  return { body: { kind: 'text', encoding: charset, text: decodeText(response.body, charset) }, error: faultOf(response, wishes) }
}

/** The same of a large body, which is checked as JSON, or made into text, in parts: `nextTurn` is waited for between them. */
export async function readLargeBody(
  response: UpstreamResponse,
  wishes: BodyWishes,
  nextTurn: () => Promise<void>,
): Promise<ReadBody> {
  const unread = withoutReading(response, wishes)
  if (unread !== null) return unread
  const reading = readingOf(response, wishes)
  const { candidate } = reading
  const isGood = candidate !== null && (await isJsonInTurns(candidate, wishes.jsonDepth ?? DEFAULT_DEPTH, nextTurn))
  if (isGood) return asJson(candidate, reading)
  if (!isText(wishes, reading)) return asBase64(response)
  const { charset } = reading
  const quoted = await quoteInTurns(response.body, charset, nextTurn)
  return { body: { kind: 'quoted', encoding: charset, quoted }, error: faultOf(response, wishes) }
}

/** null: its type and charset matter. */
function withoutReading(response: UpstreamResponse, wishes: BodyWishes): ReadBody<WholeView> | null {
  const { body } = response
  if (wishes.decode === 'none') return { body: NOTHING, error: null }
  if (body.length === 0) return { body: NOTHING, error: wishes.decode === 'json' ? notJson(response, wishes, 'is empty') : null }
  return wishes.decode === 'base64' ? asBase64(response) : null
}

function readingOf({ rawHeaders, body }: UpstreamResponse, { decode, encoding }: BodyWishes): Reading {
  const media = parseMediaType(headerValue(rawHeaders, 'content-type'))
  const declared = encoding ?? media.declared
  const mayBeJson = decode === 'json' || (decode === 'auto' && media.kind === 'json')
  return { media, declared, charset: declared ?? media.fallback, candidate: mayBeJson ? inUtf8(body, declared) : null }
}

function isText({ decode }: BodyWishes, { media }: Reading): boolean {
  return decode !== 'auto' || media.kind !== 'other'
}

function asJson(bytes: Buffer, { declared }: Reading): ReadBody<WholeView> {
  return { body: { kind: 'json', encoding: declared ?? 'utf-8', bytes }, error: null }
}

function asBase64({ body }: UpstreamResponse): ReadBody<WholeView> {
  return { body: { kind: 'base64', bytes: body }, error: null }
}

/** Of what is shown as text. */
function faultOf(response: UpstreamResponse, wishes: BodyWishes): GatewayError | null {
  return wishes.decode === 'json' ? notJson(response, wishes, 'is not JSON') : null
}

/** Without a BOM; null where a byte could not be read. The very bytes where they are so already. */
function inUtf8(body: Buffer, declared: string | null): Buffer | null {
  const charset = declared ?? detectUnicode(body)
  return isUtf8Charset(charset) ? withoutUtf8Bom(body) : transcode(body, charset)
}

function withoutUtf8Bom(body: Buffer): Buffer {
  return body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? body.subarray(3) : body
}

/** null where a byte could not be read: what would be shown would not be what was sent. */
function transcode(body: Buffer, charset: string): Buffer | null {
  const text = withoutBom(decodeText(body, charset))
  return text.includes('\ufffd') ? null : Buffer.from(text)
}

/**
 * Which Unicode encoding JSON without a declared charset is in: its first characters are ASCII, so a BOM or the places of the
 * NUL bytes tell, as in Requests' guess_json_utf. (RFC 4627 §3; RFC 8259 knows UTF-8 alone.)
 */
function detectUnicode(body: Buffer): string {
  const a = body[0] ?? 1
  const b = body[1] ?? 1
  const c = body[2] ?? 1
  if (a === 0xff && b === 0xfe) return c === 0 && body[3] === 0 ? 'utf-32' : 'utf-16'
  if (a === 0xfe && b === 0xff) return 'utf-16'
  if (a === 0) return b !== 0 ? 'utf-16be' : c === 0 ? 'utf-32be' : 'utf-32'
  if (b === 0) return c === 0 ? 'utf-32le' : 'utf-16le'
  return 'utf-8'
}

function notJson(response: UpstreamResponse, wishes: BodyWishes, fault: string): GatewayError {
  const { status, reason, rawHeaders } = response
  const who = wishes.url === null ? 'the upstream' : new URL(wishes.url).host
  return new GatewayError(
    'InvalidJSONError',
    `${who} answered ${status} with a body that ${fault}, and decode: "json" asks for JSON; use decode: "auto" to receive it as it is`,
    { upstream: true, sent: 'yes', response: { status, reason, rawHeaders } },
  )
}
