// What may become a header. contract: "Refused (`InvalidHeader`)". Each rule answers the fault in words, or null; the words
// never repeat a value. `Host` is not refused here: an adapter may open it, so the plan judges it.
import { isReservedHeader } from '../model/reserved-headers.ts'
import { TOKEN } from './schema.ts'

/** Field values (RFC 9110 §5.5), without the leading white space that Requests refuses, its latin-1 kinds included. */
const VALUE = /^(?![\t \x85\xa0])[\t\x20-\x7e\x80-\xff]*$/

const RESERVED_FAULT = 'is set by the gateway or belongs to one connection; leave it out'

/** The name itself must be a token: U+212A, which is none, becomes a plain k in lower case. */
export function headerNameFault(name: string): string | null {
  if (!TOKEN.test(name)) return "is no header name: letters, digits and !#$%&'*+-.^_`|~ alone"
  return isReservedHeader(name) ? RESERVED_FAULT : null
}

/** For headers that no adapter opens: a part's, a credential's. */
export function ownHeaderNameFault(name: string): string | null {
  return name.toLowerCase() === 'host' ? RESERVED_FAULT : headerNameFault(name)
}

export function headerValueFault(value: string): string | null {
  if (VALUE.test(value)) return null
  return 'is no header value: it begins with white space, or has a control character or one beyond U+00FF'
}

/** Cookie names are tokens too (RFC 6265 §4.1.1), but none of them is reserved. */
export function cookieNameFault(name: string): string | null {
  return TOKEN.test(name) ? null : 'is no cookie name: it must be a token, as header names are'
}
