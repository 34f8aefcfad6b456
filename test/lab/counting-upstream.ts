// The laboratory's upstream: remembers every request that reached it by the call's name, so that what was lost or done twice can
// be told. A request without the credential is counted apart: there must be none.
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface CountingUpstream {
  readonly port: number
  /** How often the call of that name was carried out. */
  times(name: string): number
  /** From now on requests without `Authorization: Bearer TOKEN` count as bare. */
  expect(token: string): void
  readonly bare: number
  readonly received: number
  /** What it answers from now on; default: 200 at once. */
  behave(behaviour: Partial<Behaviour>): void
  close(): Promise<void>
}

export interface Behaviour {
  readonly status: number
  /** Before the answer, ms. */
  readonly delayMs: number
  /** Of the answer's body. */
  readonly bodyBytes: number
  readonly headers: Readonly<Record<string, string>>
}

const WELL: Behaviour = { status: 200, delayMs: 0, bodyBytes: 200, headers: {} }

/** Names come in the query: `/?name=…`. */
export async function startCountingUpstream(): Promise<CountingUpstream> {
  const done = new Map<string, number>()
  let behaviour = WELL
  let bare = 0
  let expected: string | null = null
  let received = 0
  const server = createServer((request, response) => {
    received++
    if (expected !== null && request.headers.authorization !== expected) bare++
    request.resume().on('end', () => {
      const name = nameOf(request)
      // Counted when it was understood whole, whether or not anybody is there to hear the answer.
      done.set(name, (done.get(name) ?? 0) + 1)
      const { status, delayMs, bodyBytes, headers } = behaviour
      const body = JSON.stringify({ name, filler: 'x'.repeat(bodyBytes) })
      const answer = (): void => {
        response.writeHead(status, { 'content-type': 'application/json', ...headers, 'content-length': body.length }).end(body)
      }
      if (delayMs > 0) setTimeout(answer, delayMs)
      else answer()
    })
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    times: (name) => done.get(name) ?? 0,
    expect(token) {
      expected = `Bearer ${token}`
    },
    get bare() {
      return bare
    },
    get received() {
      return received
    },
    behave(next) {
      behaviour = { ...WELL, ...next }
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function nameOf({ url }: IncomingMessage): string {
  return new URL(url ?? '/', 'http://upstream').searchParams.get('name') ?? ''
}
