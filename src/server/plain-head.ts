// The head of a plain POST /v1/requests, read in one pass: what nearly every caller sends with every call. Whatever is unusual in
// any way is not judged here but left to node:http's parser, so that the two cannot understand one request differently.
import type { IncomingHttpHeaders } from 'node:http'

export interface PlainHead {
  /** By their names in lower case. */
  readonly headers: IncomingHttpHeaders
  /** Bytes of the head, the empty line included. */
  readonly size: number
  /** Bytes of the body. */
  readonly length: number
  /** The caller ends the connection after the answer. */
  readonly closes: boolean
}

/** RFC 9112 §2.1 and RFC 9110 §5.5 without what is obsolete: no folded line, no byte beyond ASCII, no bare line end. */
const HEAD = /^POST \/v1\/requests HTTP\/1\.1\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e]*\r\n)+\r\n/
const FIRST_HEADER = 'POST /v1/requests HTTP/1.1\r\n'.length
const LENGTH = /^\d{1,9}$/
/** They change how the message is framed, or what the connection is. */
const LEFT_TO_HTTP: readonly string[] = ['transfer-encoding', 'expect', 'upgrade', 'trailer', 'proxy-connection']

/** `text`: the beginning of what arrived, a character a byte. null: it is not whole, or not plain, or has one header twice. */
export function readPlainHead(text: string): PlainHead | null {
  const size = HEAD.exec(text)?.[0].length
  if (size === undefined) return null
  const headers = readHeaders(text, size)
  if (headers === null) return null
  for (const name of LEFT_TO_HTTP) if (headers[name] !== undefined) return null
  const length = headers['content-length']
  const connection = headers.connection?.toLowerCase() ?? 'keep-alive'
  if (length === undefined || !LENGTH.test(length) || (connection !== 'keep-alive' && connection !== 'close')) return null
  return { headers, size, length: Number(length), closes: connection === 'close' }
}

/** Of a head that has the grammar above. */
function readHeaders(text: string, size: number): IncomingHttpHeaders | null {
  const headers: IncomingHttpHeaders = Object.create(null) // a header may be named like what every object has
  for (let at = FIRST_HEADER; at < size - 2; ) {
    const colon = text.indexOf(':', at)
    const end = text.indexOf('\r\n', colon)
    const name = text.slice(at, colon).toLowerCase()
    if (headers[name] !== undefined) return null
    headers[name] = text.slice(colon + 1, end).trim()
    at = end + 2
  }
  return headers
}
