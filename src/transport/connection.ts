// One connection: a dialled socket under an undici Client of its own, so that we know what a request goes out on. It never
// dials again: when its socket is gone, so is it.
import type { Socket } from 'node:net'
import { Client } from 'undici'
import { giveBack } from '../model/give-back.ts'
import type { Clock } from '../model/ports.ts'
import type { Dialled } from './dial.ts'
import type { Origin } from './ports.ts'
import { createTurnShare } from './turn-share.ts'

export interface Connection {
  readonly client: Client
  readonly socket: Socket
  readonly address: string
  readonly http2: boolean
  /** Exchanges that ended on it. */
  served: number
  /** Exchanges under way. */
  active: number
  /** HTTP/1.1: when the last bytes came, on the monotonic clock, and how many came in all, decrypted. */
  heardAt: number
  heardBytes: number
  /** HTTP/1.1: an answer is awaited and none of its messages is half-read. */
  awaiting: boolean
  /** The head of an answer is due, or not whole. */
  inHead: boolean
  /** HTTP/2: nothing came on it while a request waited its read clock out; it may be dead, so it gets no further one. */
  suspect: boolean
  /** The socket's first error. */
  failure: Error | null
  /** HTTP/1.1: a piece of the last read, of which nothing is needed any more. */
  spent: Buffer | null
  destroy(): void
}

/** What is read from an answer's head, names and values, bytes. */
export const MAX_HEAD_BYTES = 16 * 1024
/** Bytes of it that undici is shown at once: where it is too large, undici goes on to the end of these with an error for each header. */
const HEAD_PIECE = 4 * 1024
/** What is smaller does not count towards a turn's share. */
const LARGE_READ = 16 * 1024
/** Exchanges at once on an HTTP/2 connection. */
export const MAX_STREAMS = 100

const GONE = new Error('the connection is gone')

/** There is one event loop. */
const share = createTurnShare()

export function openConnection(dialled: Dialled, origin: Origin, idleMs: number, clock: Clock): Connection {
  const { socket, address, http2 } = dialled
  let isDialled = false
  const client = new Client(origin.origin, {
    // Asynchronous: undici resumes its queue only then.
    connect: (_options, callback) => {
      const first = !isDialled
      isDialled = true
      queueMicrotask(() => (first ? callback(null, socket) : callback(GONE, null)))
    },
    pipelining: 1,
    allowH2: http2,
    // The clocks are exchange.ts' own: undici's are coarse, and every interim answer sets them back.
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: MAX_HEAD_BYTES,
    keepAliveTimeout: Math.max(1, idleMs),
    keepAliveMaxTimeout: Math.max(1, idleMs),
    ...(http2 ? { h2Options: { maxConcurrentStreams: MAX_STREAMS } } : {}),
  })
  const connection: Connection = {
    client,
    socket,
    address,
    http2,
    served: 0,
    active: 0,
    heardAt: 0,
    heardBytes: 0,
    awaiting: false,
    inHead: false,
    suspect: false,
    failure: null,
    spent: null,
    destroy: () => void client.destroy(GONE),
  }
  socket.on('error', (error) => {
    connection.failure ??= error
  })
  if (!http2) listen(connection, clock)
  return connection
}

/**
 * Notes every read, which is what the read clock and `sent` go by: undici tells of a head only when it is whole. And
 * passes over a `100 Continue` that nobody asked for, as Requests does (RFC 9110 §15.2): undici breaks the connection
 * there, but reads on past any other interim answer, so it is shown a 102. And of bodies, no more is read in a turn of the event
 * loop than its share: undici is told that there is nothing, and to look again in a later turn.
 */
function listen(connection: Connection, clock: Clock): void {
  const { socket } = connection
  const read = socket.read
  let isPutOff = false
  const readOn = (): void => {
    isPutOff = false
    if (!socket.destroyed) socket.emit('readable')
  }
  socket.read = function (this: Socket, size?: number): unknown {
    const { spent } = connection
    if (spent !== null) {
      connection.spent = null
      // undici asks again when it is through with a read; what it has put back lies in that same memory.
      if (socket.readableLength === 0) giveBack(spent)
    }
    if (connection.inHead && this.destroyed) return null
    if (!connection.inHead && share.isSpent()) {
      if (!isPutOff) share.later(readOn)
      isPutOff = true
      return null
    }
    const chunk: unknown = read.call(this, connection.inHead && this.readableLength > HEAD_PIECE ? HEAD_PIECE : size)
    if (Buffer.isBuffer(chunk)) {
      connection.heardAt = clock.now()
      connection.heardBytes += chunk.length
      if (connection.awaiting) hideContinues(chunk)
      if (chunk.length >= LARGE_READ) share.take(chunk.length)
    }
    return chunk
  }
}

/** Of the interim answers that `chunk` begins with. One whose status line is torn apart between two reads is not seen. */
function hideContinues(chunk: Buffer): void {
  for (let start = 0; isInterim(chunk, start); ) {
    if (chunk[start + 10] === 0x30 && chunk[start + 11] === 0x30) chunk[start + 11] = 0x32
    const end = chunk.indexOf('\r\n\r\n', start)
    if (end < 0) return
    start = end + 4
  }
}

/** `HTTP/1.x 1`. */
function isInterim(chunk: Buffer, start: number): boolean {
  return chunk[start + 9] === 0x31 && chunk[start] === 0x48 && chunk[start + 4] === 0x2f && chunk[start + 8] === 0x20
}
