// An upstream over raw sockets on 127.0.0.1 that misbehaves by name: the first path segment says how (`/stalls-in-body`).
// It records what it received. It parses requests just well enough for our own; it is no HTTP server.
import { type ChildProcess, spawn } from 'node:child_process'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'

export interface ReceivedRequest {
  readonly method: string
  readonly target: string
  /** In order and case as they arrived. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
  /** 1 for the first accepted connection. */
  readonly connection: number
  /** 1 for the first request on its connection. */
  readonly nth: number
}

export type Behaviour = (socket: Socket, request: ReceivedRequest) => void

export interface RudeUpstream {
  readonly port: number
  /** `http://127.0.0.1:port`, or https. */
  readonly origin: string
  readonly received: readonly ReceivedRequest[]
  /** Connections accepted so far. */
  readonly accepted: number
  /** Connections open now. */
  readonly open: number
  /** Resolves once no connection is open; rejects after `withinMs` (default 2000). */
  drained(withinMs?: number): Promise<void>
  close(): Promise<void>
}

export interface RudeOptions {
  /** With it the upstream speaks TLS; `requestCert` and `ca` ask for a client certificate. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string; readonly requestCert?: boolean }
  /** What happens to a connection before any request: default it is read. */
  readonly onConnect?: 'closes' | 'resets' | 'says-nothing' | 'never-reads' | 'speaks-first'
  /** Further behaviours by name, beside those of `BEHAVIOURS`. */
  readonly behaviours?: Readonly<Record<string, Behaviour>>
  /** Used whatever the path says. */
  readonly always?: string
}

const JSON_BODY = '{"hello":"world"}'
const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
const OK = `${HEAD}Content-Length: ${JSON_BODY.length}\r\n\r\n${JSON_BODY}`
const ZEROS = Buffer.alloc(1024 * 1024)

/** Sends `pieces` one after the other, `everyMs` apart, and then does nothing; stops when the socket closes. */
function drip(socket: Socket, everyMs: number, piece: (index: number) => string | Buffer | null): void {
  let index = 0
  const timer = setInterval(() => {
    const next = piece(index++)
    if (next === null) clearInterval(timer)
    else socket.write(next)
  }, everyMs)
  socket.on('close', () => clearInterval(timer))
}

/** Lets what was written reach the peer before the connection is reset. */
function resetSoon(socket: Socket): void {
  setTimeout(() => socket.resetAndDestroy(), 20)
}

function encoded(coding: string, body: Buffer): string | Buffer {
  return Buffer.concat([
    Buffer.from(
      `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: ${coding}\r\nContent-Length: ${body.length}\r\n\r\n`,
    ),
    body,
  ])
}

const text = Buffer.from(JSON_BODY)

/** 32 MiB of zeros, gzipped: some 32 KB. */
function bomb(): Buffer {
  bombMade ??= gzipSync(Buffer.concat(Array.from({ length: 32 }, () => ZEROS)))
  return bombMade
}
let bombMade: Buffer | undefined

/** Every behaviour by name; the path `/NAME` asks for it. */
export const BEHAVIOURS = {
  ok: (socket) => socket.write(OK),
  /** The request as it arrived, as a JSON object. */
  echo: (socket, { method, target, headers, body }) => {
    const answer = JSON.stringify({ method, target, headers, body: body.toString('latin1') })
    socket.write(`${HEAD}Content-Length: ${Buffer.byteLength(answer)}\r\n\r\n${answer}`)
  },
  'ok-then-closes': (socket) => socket.end(`${HEAD}Connection: close\r\nContent-Length: ${JSON_BODY.length}\r\n\r\n${JSON_BODY}`),
  'http-1.0': (socket) => socket.end(`HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n${JSON_BODY}`),
  chunked: (socket) => socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n7\r\n{"hello\r\na\r\n":"world"}\r\n0\r\n\r\n`),
  'slow-but-well': (socket) => void setTimeout(() => socket.write(OK), 100),

  'stalls-before-headers': () => {},
  'stalls-in-headers': (socket) => socket.write(HEAD),
  'stalls-in-body': (socket) => socket.write(`${HEAD}Content-Length: 100\r\n\r\n{"he`),
  'drips-headers': (socket) => drip(socket, 30, (i) => (i === 0 ? HEAD : `X-Drip-${i}: 1\r\n`)),
  'drips-body': (socket) => drip(socket, 30, (i) => (i === 0 ? `${HEAD}Content-Length: 100000\r\n\r\n` : 'x')),

  'closes-before-headers': (socket) => socket.end(),
  'resets-before-headers': (socket) => socket.resetAndDestroy(),
  'resets-in-headers': (socket) => {
    socket.write(HEAD)
    resetSoon(socket)
  },
  'resets-in-body': (socket) => {
    socket.write(`${HEAD}Content-Length: 100\r\n\r\n{"he`)
    resetSoon(socket)
  },
  'resets-close-delimited': (socket) => {
    socket.write(`${HEAD}Connection: close\r\n\r\n{"hello":`)
    resetSoon(socket)
  },
  'closes-in-headers': (socket) => socket.end(HEAD),
  'short-body': (socket) => socket.end(`${HEAD}Content-Length: 100\r\n\r\n${JSON_BODY}`),
  'short-chunked-body': (socket) => socket.end(`${HEAD}Transfer-Encoding: chunked\r\n\r\n11\r\n${JSON_BODY}\r\n`),
  'long-body': (socket) => socket.write(`${HEAD}Content-Length: 5\r\n\r\n${JSON_BODY}`),
  'bad-chunks': (socket) => socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n${JSON_BODY}\r\n`),

  gzip: (socket) => socket.write(encoded('gzip', gzipSync(text))),
  'x-gzip': (socket) => socket.write(encoded('x-gzip', gzipSync(text))),
  deflate: (socket) => socket.write(encoded('deflate', deflateSync(text))),
  'deflate-raw': (socket) => socket.write(encoded('deflate', deflateRawSync(text))),
  br: (socket) => socket.write(encoded('br', brotliCompressSync(text))),
  zstd: (socket) => socket.write(encoded('zstd', zstdCompressSync(text))),
  stacked: (socket) => socket.write(encoded('deflate, gzip, br', brotliCompressSync(gzipSync(deflateSync(text))))),
  'unknown-coding': (socket) => socket.write(encoded('rot13', text)),
  'empty-gzip': (socket) => socket.write(`${HEAD}Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n`),
  'bad-gzip': (socket) => socket.write(encoded('gzip', Buffer.from('this is no gzip at all'))),
  'truncated-gzip': (socket) => socket.write(encoded('gzip', gzipSync(text).subarray(0, -9))),
  bomb: (socket) => socket.write(encoded('gzip', bomb())),
  /** The same, gzipped twice more: a few hundred bytes. */
  'nested-bomb': (socket) => socket.write(encoded('gzip, gzip, gzip', gzipSync(gzipSync(bomb())))),
  'endless-body': (socket) => {
    socket.write(`${HEAD}Connection: close\r\n\r\n`)
    drip(socket, 1, () => ZEROS)
  },

  '204-with-body': (socket) => socket.write(`HTTP/1.1 204 No Content\r\nContent-Length: ${JSON_BODY.length}\r\n\r\n${JSON_BODY}`),
  '304-with-body': (socket) =>
    socket.write(`HTTP/1.1 304 Not Modified\r\nContent-Length: ${JSON_BODY.length}\r\n\r\n${JSON_BODY}`),
  '204-with-unannounced-body': (socket) => socket.write(`HTTP/1.1 204 No Content\r\n\r\n${JSON_BODY}`),
  'head-with-body': (socket) => socket.write(OK),
  '100-then-ok': (socket) => socket.write(`HTTP/1.1 100 Continue\r\n\r\n${OK}`),
  '103-then-ok': (socket) => socket.write(`HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n${OK}`),
  'endless-interim-answers': (socket) => drip(socket, 5, () => 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n'),
  'switches-protocols': (socket) =>
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: rude\r\nConnection: upgrade\r\n\r\n'),

  'huge-headers': (socket) => socket.write(`${HEAD}X-Huge: ${'x'.repeat(1024 * 1024)}\r\n\r\n`),
  '200-headers': (socket) =>
    socket.write(`${HEAD}${Array.from({ length: 200 }, (_, i) => `X-${i}: 1\r\n`).join('')}Content-Length: 0\r\n\r\n`),
  'conflicting-content-length': (socket) => socket.write(`${HEAD}Content-Length: 5\r\nContent-Length: 17\r\n\r\n${JSON_BODY}`),
  'length-and-chunked': (socket) => socket.write(`${HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
  'bad-header': (socket) => socket.write(`HTTP/1.1 200 OK\r\nBad Header\r\n\r\n`),
  'latin1-header': (socket) => socket.write(Buffer.from(`${HEAD}X-Name: Jos\xe9\r\nContent-Length: 0\r\n\r\n`, 'latin1')),
  garbage: (socket) => socket.write('220 mail.example.com ESMTP\r\n'),
  'status-42': (socket) => socket.write('HTTP/1.1 042 Odd\r\nContent-Length: 0\r\n\r\n'),

  /** Answers twice; the second answer must not reach anybody. */
  'unsolicited-second-response': (socket) => socket.write(OK + OK.replace('world', 'evil!')),
  /** The second answer comes while the connection is idle. */
  'unsolicited-later': (socket) => {
    socket.write(OK)
    setTimeout(() => socket.write(OK.replace('world', 'evil!')), 30)
  },
  /** Keeps the connection, and resets it once the next request has been read. */
  'dies-on-reuse': (socket, { nth }) => {
    if (nth === 1) socket.write(OK)
    else socket.resetAndDestroy()
  },
  /** Keeps the connection, and closes it soon after while it is idle. */
  'closes-while-idle': (socket) => {
    socket.write(OK)
    setTimeout(() => socket.end(), 20)
  },
  /** Answers before the request body was read, and closes. */
  'answers-early': (socket) => socket.end('HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'),
} as const satisfies Record<string, Behaviour>

export type BehaviourName = keyof typeof BEHAVIOURS

/** Listens on 127.0.0.1, a free port. Close it at the end of the test. */
export async function createRudeUpstream(options: RudeOptions = {}): Promise<RudeUpstream> {
  const received: ReceivedRequest[] = []
  const open = new Set<Socket>()
  let accepted = 0
  const named: Readonly<Record<string, Behaviour>> = { ...BEHAVIOURS, ...options.behaviours }

  const onSocket = (socket: Socket): void => {
    const connection = ++accepted
    let nth = 0
    readRequests(socket, (request) => {
      const whole = { ...request, connection, nth: ++nth }
      received.push(whole)
      const name = options.always ?? whole.target.split(/[/?#]/)[1] ?? ''
      const behaviour = named[name]
      if (behaviour) behaviour(socket, whole)
      else socket.end(`HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
    })
  }

  const server: Server = createServer((socket) => {
    open.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
    switch (options.onConnect) {
      case undefined:
        return secure === null ? onSocket(socket) : void secure.emit('connection', socket)
      case 'closes':
        socket.end()
        break
      case 'resets':
        return void socket.resetAndDestroy()
      case 'speaks-first':
        socket.write(OK)
        break
      case 'never-reads':
        return
    }
    socket.resume()
  })
  const secure = options.tls
    ? createTlsServer({ ...options.tls, rejectUnauthorized: options.tls.requestCert ?? false }, (socket) => {
        socket.on('error', () => {})
        onSocket(socket)
      }).on('tlsClientError', () => {})
    : null
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const port = portOf(server)

  return {
    port,
    origin: `${secure ? 'https' : 'http'}://127.0.0.1:${port}`,
    received,
    get accepted() {
      return accepted
    },
    get open() {
      return open.size
    },
    async drained(withinMs = 2000) {
      const until = performance.now() + withinMs
      while (open.size > 0) {
        if (performance.now() > until) throw new Error(`${open.size} connections are still open after ${withinMs} ms`)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    },
    async close() {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Answers with that status and these header lines, whatever is asked. */
export const says =
  (status: number, ...headers: string[]): Behaviour =>
  (socket) =>
    void socket.write(`HTTP/1.1 ${status} Such\r\n${headers.map((line) => `${line}\r\n`).join('')}Content-Length: 0\r\n\r\n`)

/** The first requests, over whatever connections, meet these in turn; all further ones the last. */
export function inTurn(...behaviours: readonly Behaviour[]): Behaviour {
  let at = 0
  return (socket, request) => behaviours[Math.min(at++, behaviours.length - 1)]?.(socket, request)
}

export interface BlackHole {
  readonly port: number
  close(): Promise<void>
}

/** A port where connections are never accepted nor refused: a stopped process with a full backlog (Linux). */
export async function createBlackHole(): Promise<BlackHole> {
  const program = `const s = require('node:net').createServer()
    s.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => process.stdout.write(s.address().port + '\\n', () => process.kill(process.pid, 'SIGSTOP')))`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'ignore'] })
  const port = await new Promise<number>((resolve) =>
    child.stdout.once('data', (line: Buffer) => resolve(Number(line.toString()))),
  )
  const fillers = await fill(port)
  return {
    port,
    close: async () => {
      for (const socket of fillers) socket.destroy()
      await killed(child)
    },
  }
}

/** Takes the places in the backlog until one connection hangs. */
async function fill(port: number): Promise<readonly Socket[]> {
  const sockets: Socket[] = []
  for (let hung = false; !hung && sockets.length < 16; ) {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    sockets.push(socket)
    hung = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(true), 100)
      socket.once('connect', () => {
        clearTimeout(timer)
        resolve(false)
      })
    })
  }
  return sockets
}

function killed(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server does not listen on a port')
  return address.port
}

type Parsed = Omit<ReceivedRequest, 'connection' | 'nth'>

/** Calls `onRequest` for each whole request with a Content-Length or no body. `answers-early` is called at the head. */
function readRequests(socket: Socket, onRequest: (request: Parsed) => void): void {
  let buffered: Buffer = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', (chunk: Buffer) => {
    buffered = Buffer.concat([buffered, chunk])
    for (;;) {
      const end = buffered.indexOf('\r\n\r\n')
      if (end < 0) return
      const [requestLine = '', ...lines] = buffered.subarray(0, end).toString('latin1').split('\r\n')
      const [method = '', target = ''] = requestLine.split(' ')
      const headers = lines.map((line): [string, string] => {
        const colon = line.indexOf(':')
        return [line.slice(0, colon), line.slice(colon + 1).trim()]
      })
      const length = Number(headers.find(([name]) => name.toLowerCase() === 'content-length')?.[1] ?? 0)
      const early = target.startsWith('/answers-early')
      if (!early && buffered.length < end + 4 + length) return
      const body = buffered.subarray(end + 4, end + 4 + length)
      buffered = buffered.subarray(end + 4 + body.length)
      onRequest({ method, target, headers, body })
      if (early) return
    }
  })
}
