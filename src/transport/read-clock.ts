// The read clock of a connection: the longest silence between two bytes, from a request's last byte to the end of the answer's
// body. Its timer looks when it fires how long ago the last byte came; on HTTP/1.1 one timer serves many exchanges.
import type { Clock } from '../model/ports.ts'
import type { Connection } from './connection.ts'

export interface ReadClock {
  /** A request is about to be written. `bodyBytes`: of it. */
  expect(readMs: number, bodyBytes: number): void
  /** Its last byte was written, or waits in the socket. Again where HTTP/2 sends it anew (REFUSED_STREAM). */
  start(): void
  /** Something of the answer came. On HTTP/1.1 nothing: such a connection notes every read itself. */
  heard(): void
  /** A timer that is set stays so for the next exchange, where there is one: to set one for each is what costs. */
  stop(): void
  /** There is none: the connection ends. Happens by itself when its socket is closed. */
  close(): void
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
  readonly clock: Clock
  readonly onSilence: () => void
}

/** On HTTP/1.1 of a connection, which has one exchange at a time; on HTTP/2 of one exchange. */
export function createReadClock({ connection, clock, onSilence }: ReadClockOptions): ReadClock {
  const { socket, http2 } = connection
  let isExpected = false
  let isRunning = false
  let readMs = 0
  let heardAt = 0
  let written = 0
  /** Below it the body cannot be out, whether it moves or not. */
  let writtenWhole = 0
  let isUploading = false
  let isLastLook = false
  let firesAt = Number.POSITIVE_INFINITY
  let stopTimer = (): void => {}

  const disarm = (): void => {
    stopTimer()
    firesAt = Number.POSITIVE_INFINITY
  }
  /** One that fires before then will see what is left, and is set anew. */
  const arm = (now: number, inMs: number): void => {
    const ms = isUploading ? Math.min(inMs, UPLOAD_LOOK_MS) : inMs
    if (firesAt <= now + ms) return
    stopTimer()
    firesAt = now + ms
    stopTimer = clock.after(ms, look)
  }
  const look = (): void => {
    firesAt = Number.POSITIVE_INFINITY
    if (!isRunning) return
    const now = clock.now()
    if (isUploading && (socket.bytesWritten > written || socket.bytesWritten < writtenWhole)) noteWritten(now)
    const left = readMs - (now - Math.max(heardAt, connection.heardAt))
    const isSilent = left <= TOLERANCE_MS
    if (isSilent && isLastLook) onSilence()
    else arm(now, isSilent ? ONE_TURN_MS : Math.ceil(left))
    isLastLook = isSilent
  }
  const noteWritten = (now: number): void => {
    heardAt = now
    written = isUploading ? socket.bytesWritten : 0
  }
  const begin = (): void => {
    if (!isExpected) return
    isRunning = true
    isLastLook = false
    const now = clock.now()
    noteWritten(now)
    arm(now, readMs)
  }
  if (!http2) socket.once('close', disarm)

  return {
    expect(ms, bodyBytes) {
      readMs = ms
      isExpected = true
      isUploading = http2 && bodyBytes > FIRST_WINDOW_BYTES
      if (isUploading) writtenWhole = socket.bytesWritten + bodyBytes
    },
    start() {
      if (socket.writableNeedDrain) socket.once('drain', begin)
      else begin()
    },
    heard() {
      if (!http2) return
      heardAt = clock.now()
      isUploading = false
    },
    stop() {
      isExpected = false
      isRunning = false
      if (http2) disarm()
      socket.off('drain', begin)
    },
    close: disarm,
  }
}
