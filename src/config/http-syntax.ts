// What a configuration file may name as a method, header or value. Descriptors are judged by prepare/, which reports by pointer.
import { isReservedHeader } from '../model/reserved-headers.ts'

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/

/** Field values: HTAB, visible ASCII, space, latin-1; nothing white at either end (RFC 9110 §5.5). */
const VALUE = /^(?![\t ])[\t\x20-\x7e\x80-\xff]*(?<![\t ])$/

export function isToken(written: string): boolean {
  return TOKEN.test(written)
}

export function isMethod(written: string): boolean {
  return isToken(written) && written.toUpperCase() !== 'CONNECT'
}

export function isHeaderName(written: string): boolean {
  return isToken(written) && !isReservedHeader(written) && written.toLowerCase() !== 'host'
}

export function isHeaderValue(written: string): boolean {
  return VALUE.test(written)
}
