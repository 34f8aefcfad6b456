// Outcome → envelope: the answer of every call, success or not, in the contract's shape and key order. The upstream's JSON is
// spliced in as its own bytes between two prepared pieces; it is never parsed and written again.
import type { ErrorType } from '../errors/catalogue.ts'
import type { GatewayError, PartialResponse, Sent } from '../errors/gateway-error.ts'
import { type AnswerBody, byteText } from '../model/answer-body.ts'
import type { Answer } from '../model/gateway-port.ts'
import { quote } from '../model/quote.ts'
import { greaterSent, type Trail } from '../model/trail.ts'
import type { UpstreamResponse } from '../model/upstream-response.ts'
import { base64Of } from './base64.ts'
import { errorView, retryAfterSeconds } from './error-view.ts'
import { type Entries, mapText, mergeHeaders, objectText, singleValue } from './headers-json.ts'
import { attemptsJson, historyJson, milliseconds } from './ledger-json.ts'
import { linksJson } from './links.ts'
import type { BodyView } from './read-body.ts'
import { requestJson } from './request-json.ts'
import { type Source, sourceOf } from './source.ts'

/** A full answer, with the fault that its body turned out to have; or a failure. */
export type Outcome =
  | { readonly response: UpstreamResponse; readonly body: BodyView; readonly error: GatewayError | null }
  | { readonly response?: null; readonly body?: null; readonly error: GatewayError }

export interface EnvelopeFacts {
  readonly requestId: string
  readonly trail: Trail
  /** The caller has admin rights: internal addresses and private details are shown. */
  readonly admin: boolean
  /** An idempotent method or an idempotency key: repeating the call is safe even if it arrived. */
  readonly repeatable: boolean
  /** Show the prepared body in `request`. */
  readonly inspect: boolean
  /** ms since the call came in. */
  readonly totalMs: number
  readonly isGlobalUnicast: (address: string) => boolean
  /** Somebody else may look at the response later, as the outcome of this key. */
  readonly keepsResponse: boolean
}

/** The answer, and what the record of the call needs to know of it. */
export interface BuiltEnvelope extends Answer {
  readonly spent: readonly Uint8Array[]
  readonly ok: boolean
  readonly upstreamStatus: number | null
  readonly errorType: ErrorType | null
  /** The greatest of all attempts' and the error's. */
  readonly sent: Sent
  readonly source: Source
}

const NO_BODY: BodyView = { kind: 'none' }
const NO_HEADERS: Entries = { names: [], values: [] }

export function buildEnvelope(outcome: Outcome, facts: EnvelopeFacts): BuiltEnvelope {
  const { error } = outcome
  const head = outcome.response ?? error?.response ?? null
  const sent = error === null ? 'yes' : greaterSent(facts.trail.sent(), error.sent)
  const ok = error === null && head !== null && head.status < 400
  const source = sourceOf(error, facts.trail.attempts.length)
  const view = outcome.body ?? NO_BODY
  const body = splice(view, opening(ok, head, view, facts), closing(outcome, facts, sent, source))
  return {
    status: error === null ? 200 : error.status,
    retryAfterSeconds: retryAfterSeconds(error),
    body,
    spent: facts.keepsResponse || !outcome.response ? NONE : spentOf(outcome.response, body),
    ok,
    upstreamStatus: head?.status ?? null,
    errorType: error?.type ?? null,
    sent,
    source,
  }
}

/** Below it, giving back is not worth a thought. */
const LARGE = 64 * 1024
const NONE: readonly Uint8Array[] = []

function spentOf({ body }: UpstreamResponse, written: AnswerBody): readonly Uint8Array[] {
  if (body.length < LARGE) return NONE
  return typeof written === 'string' ? [body] : [body, ...written.filter((piece) => piece instanceof Uint8Array)]
}

/** Up to and including `links`. */
function opening(ok: boolean, head: PartialResponse | null, body: BodyView, { trail }: EnvelopeFacts): string {
  const headers = head === null ? NO_HEADERS : mergeHeaders(head.rawHeaders)
  const link = singleValue(headers, 'link')
  const encoding = 'encoding' in body ? quote(body.encoding) : 'null'
  return (
    `{"ok":${ok},"status":${head === null ? 'null' : head.status},"reason":${head === null ? 'null' : quote(head.reason)}` +
    `,"url":${quote(trail.url)},"headers":${objectText(headers)},"encoding":${encoding}` +
    `,"links":${link === undefined ? '{}' : linksJson(link)}`
  )
}

/** From `bytes` to the end. */
function closing({ response, error }: Outcome, facts: EnvelopeFacts, sent: Sent, source: Source): string {
  const { trail, admin, repeatable, requestId } = facts
  const last = trail.attempts.at(-1)
  const mayShow = admin ? always : facts.isGlobalUnicast
  const elapsed = response?.elapsed ?? (error?.response ? (last?.firstByte ?? null) : null)
  return (
    `,"bytes":${response?.body.length ?? 0},"cookies":${mapText(trail.cookies)},"history":${historyJson(trail.history)}` +
    `,"request":${requestJson(trail.outgoing, facts.inspect)},"elapsed":${milliseconds(elapsed)}` +
    `,"timings":{"queued":${Math.round(trail.queuedMs)},"connect":${milliseconds(last?.connect ?? null)}` +
    `,"firstByte":${milliseconds(last?.firstByte ?? null)},"total":${Math.round(facts.totalMs)}}` +
    `,"attempts":${attemptsJson(trail.attempts, mayShow)},"notRetried":${quote(trail.notRetried)}` +
    `,"adapter":${quote(trail.adapter)},"breaker":${quote(trail.breaker)}` +
    `${trail.cache === null ? '' : `,"cache":"${trail.cache}"`}${trail.replayed ? ',"replayed":true' : ''}` +
    `,"warnings":${trail.warnings.length === 0 ? '[]' : JSON.stringify(trail.warnings)},"requestId":${quote(requestId)},"source":"${source}"` +
    `,"error":${error === null ? 'null' : JSON.stringify(errorView(error, { sent, repeatable, admin }))}}`
  )
}

const always = (): boolean => true

/** From here on an answer is bytes, in pieces; below it is one string with a character a byte. */
const JOIN_BELOW = 16 * 1024

/** Text goes into one piece with what stands around it; bytes of a large body stay their own piece and are not copied. */
function splice(body: BodyView, opening: string, closing: string): AnswerBody {
  switch (body.kind) {
    case 'none':
      return byteText(opening + closing)
    case 'text': {
      const text = `${opening},"text":${JSON.stringify(body.text)}${closing}`
      return text.length < JOIN_BELOW ? byteText(text) : [Buffer.from(text)]
    }
    case 'quoted':
      return [Buffer.from(`${opening},"text":"`), body.quoted, Buffer.from(`"${closing}`)]
    case 'json':
      return body.bytes.length < JOIN_BELOW
        ? `${byteText(opening)},"json":${body.bytes.toString('latin1')}${byteText(closing)}`
        : [Buffer.from(`${opening},"json":`), body.bytes, Buffer.from(closing)]
    case 'base64':
      return body.bytes.length < JOIN_BELOW
        ? byteText(`${opening},"base64":"${body.bytes.toString('base64')}"${closing}`)
        : [Buffer.from(`${opening},"base64":"`), base64Of(body.bytes), Buffer.from(`"${closing}`)]
    default:
      return body satisfies never
  }
}
