// The read clock of one exchange: the longest silence between two bytes, from the request's last byte to the end of the
// body. One timer an exchange, which looks when it fires how long ago the last byte came.
import type { Clock } from '../model/ports.ts'
import type { Connection } from './connection.ts'

export interface ReadClock {
  /** The request's last byte was written, or waits in the socket. Again where HTTP/2 sends it anew (REFUSED_STREAM). */
  start(): void
  /** Something of the answer came. HTTP/1.1 connections tell of every byte themselves. */
  heard(): void
  stop(): void
}

/** Timers may be a millisecond early. */
const TOLERANCE_MS = 1
/** An event loop that was held up runs its timers before it reads: what has come by then is heard one turn later. */
const ONE_TURN_MS = 1

export function createReadClock(connection: Connection, readMs: number, clock: Clock, onSilence: () => void): ReadClock {
  const { socket } = connection
  let heardAt = 0
  let written = 0
  let isStopped = false
  let isLastLook = false
  let stopTimer = (): void => {}

  const arm = (ms: number): void => {
    stopTimer()
    stopTimer = clock.after(ms, look)
  }
  const look = (): void => {
    // HTTP/2 does not say when a large body is out: as long as bytes go out, the silence has not begun.
    if (connection.http2 && socket.bytesWritten > written) begin()
    else {
      const left = readMs - (clock.now() - Math.max(heardAt, connection.heardAt))
      const isSilent = left <= TOLERANCE_MS
      if (isSilent && isLastLook) onSilence()
      else arm(isSilent ? ONE_TURN_MS : Math.ceil(left))
      isLastLook = isSilent
    }
  }
  const begin = (): void => {
    if (isStopped) return
    heardAt = clock.now()
    written = connection.http2 ? socket.bytesWritten : 0
    arm(readMs)
  }

  return {
    start() {
      if (socket.writableNeedDrain) socket.once('drain', begin)
      else begin()
    },
    heard() {
      heardAt = clock.now()
    },
    stop() {
      isStopped = true
      stopTimer()
      socket.off('drain', begin)
    },
  }
}
