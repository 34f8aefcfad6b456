// A request exactly as it will go out, minus what the connection adds (Host, Connection, Content-Length) and minus
// credentials, which exist only below the `credentials` layer.
import type { HeaderList } from './header-list.ts'

export interface PreparedUrl {
  /** Without userinfo; with fragment, as Requests' `Response.url` has it. */
  readonly href: string
  readonly scheme: 'http' | 'https'
  /** Lower case, IDNA-encoded; IPv6 in brackets. */
  readonly hostname: string
  readonly port: number
  /** `scheme://hostname[:port]`, default ports left out. The key of everything kept per origin. */
  readonly origin: string
  /** Path and query as they stand in the request line. */
  readonly target: string
  readonly path: string
  /** Without `#`; empty where there is none. */
  readonly fragment: string
}

export interface PreparedRequest {
  readonly method: string
  readonly url: PreparedUrl
  readonly headers: HeaderList
  readonly body: Uint8Array | null
}
