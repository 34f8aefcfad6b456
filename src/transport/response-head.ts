// The head of an answer: header bytes to latin-1 text, and the limits on it.
import type { IncomingHttpHeaders } from 'node:http'
import type { ErrorType } from '../errors/catalogue.ts'
import { MAX_HEAD_BYTES } from './connection.ts'

export const MAX_HEADERS = 100

type GivenHeaders = Buffer[] | string[] | IncomingHttpHeaders | null | undefined

/** What an HTTP/1.1 or HTTP/2 head says, and what it says about its body. */
export interface Head {
  /** [name, value, …] as received. */
  readonly rawHeaders: readonly string[]
  /** Names and values. */
  readonly bytes: number
  /** Joined as RFC 9110 §5.3 has it; undefined: none. */
  readonly contentEncoding: string | undefined
  /** Bytes on the wire; NaN where none is declared. */
  readonly contentLength: number
}

/** One pass over the names. */
export function readHead(given: GivenHeaders): Head {
  const rawHeaders = Array.isArray(given) ? textsOf(given) : pairsOf(given ?? {})
  let bytes = 0
  let contentEncoding: string | undefined
  let contentLength = Number.NaN
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    const value = rawHeaders[i + 1] ?? ''
    bytes += name.length + value.length
    if (name.length === 14 && name.toLowerCase() === 'content-length') contentLength = Number(value)
    else if (name.length === 16 && name.toLowerCase() === 'content-encoding') {
      contentEncoding = contentEncoding === undefined ? value : `${contentEncoding}, ${value}`
    }
  }
  return { rawHeaders, bytes, contentEncoding, contentLength }
}

/** HTTP/2's come as an object; its pseudo-headers are left out. */
function pairsOf(given: IncomingHttpHeaders): readonly string[] {
  const raw: string[] = []
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith(':') || value === undefined) continue
    for (const single of Array.isArray(value) ? value : [value]) raw.push(name, single)
  }
  return raw
}

/** undici's pieces lie in the one chunk that was read: decoded in one go and cut, a third of the cost of one by one. */
function textsOf(pieces: readonly (Buffer | string)[]): readonly string[] {
  const first = pieces[0]
  const last = pieces.at(-1)
  if (!Buffer.isBuffer(first) || !Buffer.isBuffer(last)) return pieces.map(String)
  const { buffer, byteOffset } = first
  const length = last.byteOffset + last.length - byteOffset
  const whole = last.buffer === buffer && length > 0 ? Buffer.from(buffer, byteOffset, length).toString('latin1') : ''
  const texts: string[] = []
  for (const piece of pieces) {
    if (typeof piece === 'string') texts.push(piece)
    else {
      const start = piece.byteOffset - byteOffset
      const isInside = piece.buffer === buffer && start >= 0 && start + piece.length <= whole.length
      texts.push(isInside ? whole.slice(start, start + piece.length) : piece.toString('latin1'))
    }
  }
  return texts
}

/** What is wrong with a head that was read; null: nothing. HTTP/1.1 heads over the byte limit never get here. */
export function headFault(
  status: number,
  head: Head,
  hostname: string,
): { readonly type: ErrorType; readonly message: string } | null {
  if (status < 100) return { type: 'ConnectionError', message: `${hostname} answered with status ${status}, which is not HTTP` }
  const count = head.rawHeaders.length / 2
  if (count > MAX_HEADERS) {
    return { type: 'ResponseTooLarge', message: `${hostname} sent ${count} response headers; ${MAX_HEADERS} are read` }
  }
  if (head.bytes > MAX_HEAD_BYTES) {
    return { type: 'ResponseTooLarge', message: `the response headers of ${hostname} are larger than ${MAX_HEAD_BYTES} bytes` }
  }
  return null
}

/** RFC 9110 §6.4.1: answers that have no body whatever their headers say. */
export function hasNoBody(method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 304
}
