// What is remembered of a call with an idempotency key, as text and back: the outcome itself and what the envelope tells of
// the way to it. Attempts are not: a replay makes none.
import type { ErrorType } from '../errors/catalogue.ts'
import { GatewayError, type GatewayErrorOptions, type Sent } from '../errors/gateway-error.ts'
import type { HistoryEntry, OutgoingView } from '../model/envelope.ts'
import { greaterSent, type Trail } from '../model/trail.ts'
import type { UpstreamResponse } from '../model/upstream-response.ts'

export type CallOutcome =
  | { readonly kind: 'response'; readonly response: UpstreamResponse }
  | { readonly kind: 'error'; readonly error: GatewayError }

export interface RememberedOutcome {
  readonly outcome: CallOutcome
  readonly url: string | null
  readonly history: readonly HistoryEntry[]
  readonly cookies: readonly (readonly [name: string, value: string])[]
  /** Masked already. */
  readonly outgoing: OutgoingView | null
  readonly notRetried: string | null
  readonly warnings: readonly string[]
}

export function rememberOutcome(outcome: CallOutcome, trail: Trail): RememberedOutcome {
  return {
    outcome: outcome.kind === 'error' ? { kind: 'error', error: withGreatestSent(outcome.error, trail) } : outcome,
    url: trail.url,
    history: [...trail.history],
    cookies: [...trail.cookies],
    outgoing: trail.outgoing,
    notRetried: trail.notRetried,
    warnings: [...trail.warnings],
  }
}

/** The last try's failure alone does not tell: one before it may have been sent. A replay has no attempts to say so. */
function withGreatestSent(error: GatewayError, trail: Trail): GatewayError {
  const sent = greaterSent(error.sent, trail.sent())
  return sent === error.sent ? error : new GatewayError(error.type, error.message, { ...storeError(error), sent })
}

/** Gives the outcome again, as if it had just been had; throws where it was an error. */
export function replayOutcome(remembered: RememberedOutcome, trail: Trail): UpstreamResponse {
  trail.replayed = true
  trail.url = remembered.url
  trail.outgoing = remembered.outgoing
  trail.notRetried = remembered.notRetried
  trail.history.push(...remembered.history)
  for (const [name, value] of remembered.cookies) trail.setCookie(name, value)
  for (const warning of remembered.warnings) trail.warn(warning)
  if (remembered.outcome.kind === 'error') throw remembered.outcome.error
  return remembered.outcome.response
}

/** Raised whenever the text's shape changes: an older gateway's outcome is then unknown rather than misread. */
const FORMAT = 1

interface StoredError extends Pick<GatewayErrorOptions, 'retryAfter' | 'detail' | 'response'> {
  readonly type: ErrorType
  readonly message: string
  readonly sent: Sent
  readonly status: number
}

interface Stored extends Omit<RememberedOutcome, 'outcome' | 'outgoing'> {
  readonly format: number
  readonly outgoing: (Omit<OutgoingView, 'body'> & { readonly body: string | null }) | null
  readonly response?: Omit<UpstreamResponse, 'body'> & { readonly body: string }
  readonly error?: StoredError
}

export function writeOutcome({ outcome, outgoing, ...rest }: RememberedOutcome): string {
  const stored: Stored = {
    ...rest,
    format: FORMAT,
    outgoing: outgoing && { ...outgoing, body: outgoing.body && Buffer.from(outgoing.body).toString('base64') },
    ...(outcome.kind === 'error'
      ? { error: storeError(outcome.error) }
      : { response: { ...outcome.response, body: outcome.response.body.toString('base64') } }),
  }
  return JSON.stringify(stored)
}

/** What only admins may read, and causes, are left behind. */
function storeError({ type, message, sent, status, retryAfter, detail, response }: GatewayError): StoredError {
  return {
    ...{ type, message, sent, status },
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(detail === undefined ? {} : { detail }),
    ...(response === undefined ? {} : { response }),
  }
}

/** null: not a text that this version wrote. */
export function readOutcome(text: string): RememberedOutcome | null {
  let stored: Stored
  try {
    stored = JSON.parse(text) as Stored
  } catch {
    return null
  }
  if (stored?.format !== FORMAT) return null
  const { response, error, outgoing, url, history, cookies, notRetried, warnings } = stored
  const outcome: CallOutcome | null = response
    ? { kind: 'response', response: { ...response, body: Buffer.from(response.body, 'base64') } }
    : error
      ? { kind: 'error', error: new GatewayError(error.type, error.message, error) }
      : null
  if (outcome === null) return null
  const view = outgoing && { ...outgoing, body: outgoing.body === null ? null : Buffer.from(outgoing.body, 'base64') }
  return { outcome, outgoing: view, url, history, cookies, notRetried, warnings }
}
