// The read clock of one exchange: the longest silence between two bytes, from the request's last byte to the end of the
// body. One timer an exchange, which looks when it fires how long ago the last byte came.
import type { Clock } from '../model/ports.ts'
import type { Connection } from './connection.ts'

export interface ReadClock {
  /** The request's last byte was written, or waits in the socket. Again where HTTP/2 sends it anew (REFUSED_STREAM). */
  start(): void
  /** Something of the answer came. On HTTP/1.1 nothing: such a connection notes every read itself. */
  heard(): void
  stop(): void
}

/** Timers may be a millisecond early. */
const TOLERANCE_MS = 1
/** An event loop that was held up runs its timers before it reads: what has come by then is heard one turn later. */
const ONE_TURN_MS = 1
/** What HTTP/2 may send of a body before the other side has said anything (RFC 9113 §6.9.2). */
const FIRST_WINDOW_BYTES = 65_535
/** HTTP/2 does not say when a larger body is out; so often it is looked whether bytes still go out. */
const UPLOAD_LOOK_MS = 25

export interface ReadClockOptions {
  readonly connection: Connection
  readonly readMs: number
  /** Of the request. */
  readonly bodyBytes: number
  readonly clock: Clock
  readonly onSilence: () => void
}

export function createReadClock({ connection, readMs, bodyBytes, clock, onSilence }: ReadClockOptions): ReadClock {
  const { socket } = connection
  let heardAt = 0
  let written = 0
  /** Below it the body cannot be out, whether it moves or not. */
  const writtenWhole = socket.bytesWritten + bodyBytes
  let isUploading = connection.http2 && bodyBytes > FIRST_WINDOW_BYTES
  let isStopped = false
  let isLastLook = false
  let stopTimer = (): void => {}

  const arm = (ms: number): void => {
    stopTimer()
    stopTimer = clock.after(isUploading ? Math.min(ms, UPLOAD_LOOK_MS) : ms, look)
  }
  const look = (): void => {
    if (isUploading && (socket.bytesWritten > written || socket.bytesWritten < writtenWhole)) noteWritten()
    const left = readMs - (clock.now() - Math.max(heardAt, connection.heardAt))
    const isSilent = left <= TOLERANCE_MS
    if (isSilent && isLastLook) onSilence()
    else arm(isSilent ? ONE_TURN_MS : Math.ceil(left))
    isLastLook = isSilent
  }
  const noteWritten = (): void => {
    heardAt = clock.now()
    written = socket.bytesWritten
  }
  const begin = (): void => {
    if (isStopped) return
    noteWritten()
    arm(readMs)
  }

  return {
    start() {
      if (socket.writableNeedDrain) socket.once('drain', begin)
      else begin()
    },
    heard() {
      if (!connection.http2) return
      heardAt = clock.now()
      isUploading = false
    },
    stop() {
      isStopped = true
      stopTimer()
      socket.off('drain', begin)
    },
  }
}
