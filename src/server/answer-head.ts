// What stands above an answer's body: its headers, and for who writes to a bare socket the whole head.
import { STATUS_CODES } from 'node:http'
import { lengthOf } from '../model/answer-body.ts'
import type { Answer } from '../model/gateway-port.ts'

/** Flat: name, value, name, value. `extra`: further ones, as flat. */
export function answerHeaders(answer: Answer, extra: readonly string[] = []): string[] {
  const headers = ['Content-Type', 'application/json', 'Content-Length', String(lengthOf(answer.body))]
  if (answer.retryAfterSeconds !== null) headers.push('Retry-After', String(answer.retryAfterSeconds))
  if (answer.status === 401) headers.push('WWW-Authenticate', 'Bearer realm="sallyport"')
  if (extra.length > 0) headers.push(...extra)
  return headers
}

/** Head of an answer, with its Date (RFC 9110 §6.6.1), as it goes over the wire. `headers`: flat. */
export function headText(status: number, headers: readonly string[]): string {
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}\r\n`
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`
  return `${text}Date: ${dateText()}\r\n\r\n`
}

let second = 0
let date = ''

/** To make it costs as much as the rest of the head; it changes once a second. */
function dateText(): string {
  const now = Math.floor(Date.now() / 1000)
  if (now !== second) {
    second = now
    date = new Date(now * 1000).toUTCString()
  }
  return date
}
