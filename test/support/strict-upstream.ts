// An upstream that takes nothing but well-formed HTTP/1.1 and keeps every breach of it: what the gateway sends must have left
// whole, in one framing, with nothing slipped in between. It answers everything with a small JSON body.
import { createServer, type Socket } from 'node:net'

export interface StrictRequest {
  readonly method: string
  readonly target: string
  /** In order and case as they arrived. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
}

export interface StrictUpstream {
  readonly origin: string
  /** Whole requests so far. */
  readonly received: number
  /** The newest first; the last hundred are kept. */
  readonly requests: readonly StrictRequest[]
  /** What was not well-formed, in words. */
  readonly breaches: readonly string[]
  close(): Promise<void>
}

const REQUEST_LINE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+ \/[\x21-\x7e]* HTTP\/1\.1$/
const HEADER_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ?((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*)?)?)$/
const BODY = '{"ok":true}'
const ANSWER = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n`
const KEPT = 100

export async function createStrictUpstream(): Promise<StrictUpstream> {
  const breaches: string[] = []
  const requests: StrictRequest[] = []
  const sockets = new Set<Socket>()
  let received = 0
  const server = createServer((socket) => {
    sockets.add(socket)
    readStrictly(socket, {
      onRequest(request) {
        received++
        requests.unshift(request)
        requests.length = Math.min(requests.length, KEPT)
        socket.write(request.method === 'HEAD' ? ANSWER : ANSWER + BODY)
      },
      onBreach: (breach) => {
        breaches.push(breach)
        socket.destroy()
      },
    })
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the upstream does not listen on a port')
  return {
    origin: `http://127.0.0.1:${address.port}`,
    get received() {
      return received
    },
    requests,
    breaches,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

interface Listener {
  onRequest(request: StrictRequest): void
  onBreach(breach: string): void
}

/** One request at a time: a byte behind it, before it was answered, is a breach; so is an end in the middle. */
function readStrictly(socket: Socket, { onRequest, onBreach }: Listener): void {
  let buffered: Buffer = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', (chunk: Buffer) => {
    buffered = Buffer.concat([buffered, chunk])
    const end = buffered.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = parseHead(buffered.toString('latin1', 0, end))
    if (typeof head === 'string') return onBreach(head)
    const whole = end + 4 + head.length
    if (buffered.length < whole) return
    if (buffered.length > whole) return onBreach(`${buffered.length - whole} bytes behind the request`)
    const body = buffered.subarray(end + 4)
    buffered = Buffer.alloc(0)
    onRequest({ ...head, body })
  })
  socket.on('end', () => {
    if (buffered.length > 0)
      onBreach(`the connection ended within a request: ${JSON.stringify(buffered.toString('latin1', 0, 200))}`)
  })
}

interface Head extends Omit<StrictRequest, 'body'> {
  /** Bytes of the body. */
  readonly length: number
}

/** A string: what is wrong with it. */
function parseHead(text: string): Head | string {
  const [requestLine = '', ...lines] = text.split('\r\n')
  if (!REQUEST_LINE.test(requestLine)) return `request line ${JSON.stringify(requestLine.slice(0, 200))}`
  const headers: [string, string][] = []
  for (const line of lines) {
    const parts = HEADER_LINE.exec(line)
    if (parts === null) return `header line ${JSON.stringify(line.slice(0, 200))}`
    headers.push([parts[1] as string, parts[2] as string])
  }
  const values = (name: string): string[] => headers.filter(([given]) => given.toLowerCase() === name).map(([, value]) => value)
  if (values('host').length !== 1) return `${values('host').length} Host headers`
  if (values('transfer-encoding').length > 0) return 'a Transfer-Encoding'
  const lengths = values('content-length')
  if (lengths.length > 1 || !/^\d{0,10}$/.test(lengths[0] ?? '')) return `Content-Length ${lengths.join(' and ')}`
  const [method = '', target = ''] = requestLine.split(' ')
  return { method, target, headers, length: Number(lengths[0] ?? 0) }
}
