// What a configuration file may name as a method, header or value. Descriptors are judged by prepare/, which reports by pointer.

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/

/** Field values: HTAB, visible ASCII, space, latin-1; nothing white at either end (RFC 9110 §5.5). */
const VALUE = /^(?![\t ])[\t\x20-\x7e\x80-\xff]*(?<![\t ])$/

/** Set by the connection or by the credentials layer, never by hand. contract: "Refused (`InvalidHeader`)". */
const RESERVED = new Set([
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'upgrade',
  'te',
  'trailer',
  'expect',
  'host',
])

export function isToken(written: string): boolean {
  return TOKEN.test(written)
}

export function isMethod(written: string): boolean {
  return isToken(written) && written.toUpperCase() !== 'CONNECT'
}

export function isHeaderName(written: string): boolean {
  const name = written.toLowerCase()
  return isToken(written) && !RESERVED.has(name) && !name.startsWith('proxy-')
}

export function isHeaderValue(written: string): boolean {
  return VALUE.test(written)
}
