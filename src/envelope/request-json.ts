// The prepared request as the envelope shows it: as it went out, every secret already masked by whoever made the view.
import { isUtf8 } from 'node:buffer'
import type { OutgoingView } from '../model/envelope.ts'
import { getHeader, type HeaderList } from '../model/header-list.ts'
import { quote } from '../model/quote.ts'
import { objectText, requestHeaders } from './headers-json.ts'

/** `inspect`: with the body itself, as text where it is UTF-8, else in base64. */
export function requestJson(outgoing: OutgoingView | null, inspect: boolean): string {
  if (outgoing === null) return 'null'
  const { method, url, body } = outgoing
  const bytes = lengthOf(outgoing)
  const headers = objectText(requestHeaders(withContentLength(outgoing)))
  const shown = inspect && body !== null ? `,"body":${bodyJson(Buffer.from(body.buffer, body.byteOffset, body.byteLength))}` : ''
  return `{"method":${quote(method)},"url":${quote(url)},"headers":${headers},"bodyBytes":${bytes}${shown}}`
}

function bodyJson(body: Buffer): string {
  return isUtf8(body) ? `{"text":${JSON.stringify(body.toString())}}` : `{"base64":"${body.toString('base64')}"}`
}

/** RFC 9110 §8.6: methods whose empty body the HTTP client announces. It writes the header after all others. */
const ANNOUNCED_WHEN_EMPTY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'QUERY', 'PROPFIND', 'PROPPATCH'])

const lengthOf = ({ body, bodyBytes }: OutgoingView): number => bodyBytes ?? body?.byteLength ?? 0

function withContentLength(outgoing: OutgoingView): HeaderList {
  const { method, headers } = outgoing
  const length = lengthOf(outgoing)
  if (length === 0 && !ANNOUNCED_WHEN_EMPTY.has(method)) return headers
  return getHeader(headers, 'content-length') === undefined ? [...headers, ['Content-Length', String(length)]] : headers
}
