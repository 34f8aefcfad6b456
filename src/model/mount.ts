// The URL prefix an adapter is mounted on, read and normalised once; what config/ accepts and adapters/routes.ts looks up.

export interface Mount {
  /** Normalised: scheme and host in lower case, default port left out, `/` where there is no path. */
  readonly text: string
  readonly scheme: 'http' | 'https'
  /** `scheme://host[:port]`; null: every origin of the scheme. */
  readonly origin: string | null
  /** Begins with `/`; percent-encoding in upper case. Empty for a catch-all. */
  readonly path: string
}

export type MountReading = { readonly ok: true; readonly mount: Mount } | { readonly ok: false; readonly fault: string }

const bad = (fault: string): MountReading => ({ ok: false, fault })

const CATCH_ALL = /^(https?):\/\/$/i
const ABSOLUTE = /^(https?):\/\/([^/?#\\]+)([^?#]*)(.*)$/i
/** What a path could be read in two ways through; a call's own path is refused for the same. */
const AMBIGUOUS = /%2f|%5c|\\|%25|(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)/i

/** `%c3` and `%C3` are the same octet (RFC 3986 §6.2.2.1). */
export function upperCaseEscapes(path: string): string {
  return path.replace(/%[0-9a-f]{2}/gi, (octet) => octet.toUpperCase())
}

/** `scheme://host[:port]` as a prepared URL has it: without the root's dot, which names the same host. */
export function originOf(url: URL): string {
  return url.origin.replace(/\.+(?=$|:\d+$)/, '')
}

/** The fault continues a sentence that begins with the key. */
export function parseMount(written: string): MountReading {
  const all = CATCH_ALL.exec(written)?.[1]?.toLowerCase()
  if (all === 'http' || all === 'https') return { ok: true, mount: { text: `${all}://`, scheme: all, origin: null, path: '' } }
  const parts = ABSOLUTE.exec(written)
  if (!parts) return bad('must be a whole URL that begins with https:// or http://, such as https://api.example.com/')
  const [, , authority = '', path = '', rest = ''] = parts
  if (authority.includes('@')) return bad('carries a user name or password; store it as a secret and name that in credentials')
  if (rest !== '') return bad('must end at the path; leave the query or fragment out')
  if (AMBIGUOUS.test(path))
    return bad('has dot segments, backslashes or encoded slashes in its path; write the path that calls will have')
  if (authority.includes('*')) return bad('has a wildcard; mount the exact host, or https:// for every host')
  if (!URL.canParse(written) || /[\s\p{Cc}]/u.test(written)) return bad('is no URL; check host, port and brackets')
  const url = new URL(written)
  if (/^\.+$/.test(url.hostname)) return bad('has no host; write one, such as https://api.example.com/')
  const scheme = url.protocol === 'http:' ? 'http' : 'https'
  const normalPath = upperCaseEscapes(url.pathname)
  const origin = originOf(url)
  return { ok: true, mount: { text: origin + normalPath, scheme, origin, path: normalPath } }
}
