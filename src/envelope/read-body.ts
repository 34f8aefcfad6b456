// A decoded body as the envelope will show it: the upstream's own JSON text, text, or base64. contract: "Bodies".
// Content-encodings were undone by the transport.
import { GatewayError } from '../errors/gateway-error.ts'
import { checkJson } from '../json/scan-json.ts'
import type { Decode } from '../model/descriptor.ts'
import { headerValue, type UpstreamResponse } from '../model/upstream-response.ts'
import { decodeText, isUtf8Charset, withoutBom } from './charset.ts'
import { type MediaType, parseMediaType } from './media-type.ts'

/** `encoding` is the charset that the text was read with, as declared or as Requests names it. */
export type BodyView =
  | { readonly kind: 'none' }
  /** JSON text in UTF-8, ready to be spliced in. */
  | { readonly kind: 'json'; readonly encoding: string; readonly bytes: Buffer }
  | { readonly kind: 'text'; readonly encoding: string; readonly text: string }
  | { readonly kind: 'base64'; readonly bytes: Buffer }

export interface ReadBody {
  readonly body: BodyView
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

const NOTHING: BodyView = { kind: 'none' }
const DEFAULT_DEPTH = 64

export function readBody(response: UpstreamResponse, wishes: BodyWishes): ReadBody {
  const { body } = response
  if (wishes.decode === 'none') return { body: NOTHING, error: null }
  if (body.length === 0) return { body: NOTHING, error: wishes.decode === 'json' ? notJson(response, wishes, 'is empty') : null }
  if (wishes.decode === 'base64') return { body: { kind: 'base64', bytes: body }, error: null }
  const media = parseMediaType(headerValue(response.rawHeaders, 'content-type'))
  const declared = wishes.encoding ?? media.declared
  if (wishes.decode === 'text') return { body: asText(body, declared, media), error: null }
  if (wishes.decode === 'json' || media.kind === 'json') {
    const json = jsonText(body, declared, wishes.jsonDepth ?? DEFAULT_DEPTH)
    if (json !== null) return { body: { kind: 'json', encoding: declared ?? 'utf-8', bytes: json }, error: null }
    const error = wishes.decode === 'json' ? notJson(response, wishes, 'is not JSON') : null
    return { body: asText(body, declared, media), error }
  }
  return { body: media.kind === 'text' ? asText(body, declared, media) : { kind: 'base64', bytes: body }, error: null }
}

function asText(body: Buffer, declared: string | null, media: MediaType): BodyView {
  const encoding = declared ?? media.fallback
  return { kind: 'text', encoding, text: decodeText(body, encoding) }
}

/** The body as JSON text in UTF-8 without a BOM, or null where it does not parse. The very bytes where they are that already. */
function jsonText(body: Buffer, declared: string | null, maxDepth: number): Buffer | null {
  const charset = declared ?? detectUnicode(body)
  const text = isUtf8Charset(charset) ? withoutUtf8Bom(body) : transcode(body, charset)
  return text !== null && checkJson(text, maxDepth).ok ? text : null
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
