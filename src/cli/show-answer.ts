// An envelope as `sallyport call` shows it: to a person status, headers and body, to a pipe the body's own bytes. What comes
// from an upstream cannot drive the terminal: control characters are replaced.
import { readBody, type WholeView } from '../envelope/read-body.ts'
import { CATALOGUE, type ErrorType } from '../errors/catalogue.ts'
import { writeDuration } from './write-units.ts'

/** What is read of the contract's response envelope; `base64` is what the command asked for. */
export interface ReceivedEnvelope {
  readonly ok: boolean
  readonly status: number | null
  readonly reason: string | null
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly base64?: string
  readonly attempts: readonly unknown[]
  readonly timings: { readonly total: number }
  readonly adapter: string | null
  readonly notRetried: string | null
  readonly warnings: readonly string[]
  readonly requestId: string
  readonly error: {
    readonly type: string
    readonly message: string
    readonly sent: string
    readonly retryable: boolean
    readonly retryAfter?: number
    readonly detail?: unknown
  } | null
}

/** The body as it was received, content-encodings undone. */
export function bodyBytes({ base64 = '' }: ReceivedEnvelope): Buffer {
  return Buffer.from(base64, 'base64')
}

/** Status line, headers and body; empty where no upstream answered. */
export function answerText(envelope: ReceivedEnvelope): string {
  const { status, reason, headers, adapter, attempts, timings } = envelope
  if (status === null) return ''
  const tries = `${attempts.length} ${attempts.length === 1 ? 'attempt' : 'attempts'}`
  const lines = Object.entries(headers).flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}`))
  const body = bodyText(envelope)
  return printable(
    [
      `${status} ${reason ?? ''}  (${adapter}, ${tries}, ${Math.round(timings.total)} ms)`,
      ...lines,
      ...(body === '' ? [] : ['', body]),
      '',
    ].join('\n'),
  )
}

function bodyText(envelope: ReceivedEnvelope): string {
  const body = bodyBytes(envelope)
  const type = [envelope.headers['content-type'] ?? ''].flat().join(', ')
  const rawHeaders = type === '' ? [] : ['content-type', type]
  const response = { status: envelope.status ?? 0, reason: '', rawHeaders, body, elapsed: 0 }
  return viewText(readBody(response, { decode: 'auto', url: null }).body, type)
}

function viewText(body: WholeView, type: string): string {
  switch (body.kind) {
    case 'none':
      return ''
    case 'json':
      return indentJson(body.bytes.toString())
    case 'text':
      return body.text
    case 'base64':
      return `(${body.bytes.length} bytes of ${type || 'no declared type'}; write them to a file with "> FILE")`
    default:
      return body satisfies never
  }
}

/** `text` is JSON. Its values, their order and repeated keys stay as they were written. */
export function indentJson(text: string): string {
  let depth = 0
  const line = (): string => `\n${'  '.repeat(depth)}`
  return text.replace(/"(?:[^"\\]|\\.)*"|[[{]\s*[\]}]|\s+|[[\]{},:]/g, (token) => {
    if (/^\s/.test(token)) return ''
    if (token === '{' || token === '[') {
      depth++
      return token + line()
    }
    if (token === '}' || token === ']') {
      depth--
      return line() + token
    }
    if (token === ',') return token + line()
    return token === ':' ? ': ' : /^[[{]/.test(token) ? token.replace(/\s+/, '') : token
  })
}

/** The whole envelope for a person; `raw` is its text. */
export function envelopeText(raw: string): string {
  return printable(indentJson(raw))
}

/** What stands between the answer and the person: warnings, and for a failure what it was and what to do. One a line. */
export function remarks({ error, warnings, notRetried, requestId }: ReceivedEnvelope): string[] {
  const lines = warnings.map((warning) => `warning: ${warning}`)
  if (error === null) return lines.map(printable)
  const { retryAfter } = error
  const remedy = Object.hasOwn(CATALOGUE, error.type) ? CATALOGUE[error.type as ErrorType].remedy : null
  const again = error.retryable
    ? `repeating it is safe${retryAfter === undefined ? '' : `, after ${writeDuration(retryAfter)}`}`
    : 'repeating it as it is would not help, or is not safe'
  return [
    ...lines,
    `${error.type}: ${error.message}`,
    ...faultLines(error.detail),
    ...(remedy === null ? [] : [`what to do: ${remedy}`]),
    ...(notRetried === null ? [] : [`not retried: ${notRetried}`]),
    `sent: ${error.sent}; ${again}; request id ${requestId}`,
  ].map(printable)
}

/** `detail` of a descriptor's faults: a pointer and a message each. A single one is the error's own message. */
function faultLines(detail: unknown): string[] {
  if (!Array.isArray(detail) || detail.length < 2) return []
  return detail.flatMap((fault: { pointer?: unknown; message?: unknown } | null) =>
    typeof fault?.pointer === 'string' && typeof fault.message === 'string' ? [`  ${fault.pointer}  ${fault.message}`] : [],
  )
}

function printable(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(/[^\P{Cc}\t\n]/gu, '\ufffd')
}
