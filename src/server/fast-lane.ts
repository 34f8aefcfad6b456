// Callers' connections as they arrive: a plain POST /v1/requests is read from the bare socket and answered on it, without the
// streams and events of node:http, which cost a fifth of a call. Whatever else comes (another entrance, chunks, a slow or large
// body, requests sent ahead, what is no HTTP) goes to node:http with every byte of it, and the connection is its from then on.
import type { Socket } from 'node:net'
import type { GatewayError } from '../errors/gateway-error.ts'
import type { Answer } from '../model/gateway-port.ts'
import { giveBack } from '../model/give-back.ts'
import { answerHeaders, headText } from './answer-head.ts'
import { malformed } from './door.ts'
import type { Exchange, Wire } from './exchange.ts'
import type { InFlight } from './in-flight.ts'
import { HEAD_LIMIT, type ServerClocks } from './listener.ts'
import { readPlainHead } from './plain-head.ts'
import { hungUp } from './read-body.ts'
import { isWrittenAtOnce, writeInParts } from './write-in-parts.ts'

export interface FastLanePorts {
  readonly inFlight: InFlight
  /** Serves the socket by node:http. */
  readonly pass: (socket: Socket) => void
  readonly makeRequestId: (given: string | string[] | undefined) => string
  /** Every answer ends its connection. */
  readonly isLeaving: () => boolean
  readonly serve: (exchange: Exchange) => void
}

export interface FastLane {
  take(socket: Socket): void
  /** Ends the connections on which nothing is under way; those that were never used may be asked once, since that may be on its way. */
  closeIdle(): void
  /** Nothing is looked after any more. */
  close(): void
}

/** Bytes of a body, and of what a caller sends ahead: larger ones are rare, and cost little more by node:http. */
const BODY_LIMIT = 64 * 1024
/** A connection that never asked, or whose request has not arrived after so many looks, goes to node:http and its clocks. */
const PATIENCE = 2
const NOTHING = Buffer.alloc(0)
const NONE: readonly Uint8Array[] = []

interface Lane {
  /** Called every `lookMs`. */
  look(): void
  closeIdle(): void
}

export function createFastLane(clocks: Required<ServerClocks>, ports: FastLanePorts): FastLane {
  const lanes = new Set<Lane>()
  const lookMs = Math.min(1000, Math.max(20, Math.min(clocks.headMs, clocks.keepAliveMs) / 10))
  const timer = setInterval(() => {
    for (const lane of lanes) lane.look()
  }, lookMs)
  timer.unref()
  const settings: LaneSettings = {
    answerMs: clocks.answerMs,
    // One more than is announced: who asks at the last moment is not to find it closed.
    idleLooks: Math.ceil(clocks.keepAliveMs / lookMs) + 1,
    keepAlive: ['Connection', 'keep-alive', 'Keep-Alive', `timeout=${Math.floor(clocks.keepAliveMs / 1000)}`],
  }
  return {
    take: (socket) => openLane(socket, lanes, settings, ports),
    closeIdle() {
      for (const lane of lanes) lane.closeIdle()
    },
    close: () => clearInterval(timer),
  }
}

interface LaneSettings {
  readonly answerMs: number
  readonly idleLooks: number
  /** Flat headers. */
  readonly keepAlive: readonly string[]
}

const CLOSE: readonly string[] = ['Connection', 'close']

function openLane(socket: Socket, lanes: Set<Lane>, settings: LaneSettings, ports: FastLanePorts): void {
  const { inFlight } = ports
  /** The one that is received or answered now. */
  let current: Exchange | null = null
  /** What was read and is not used yet: the current one's bytes, head and all, until it is whole; then those behind it. */
  const unused: Buffer[] = []
  let unusedBytes = 0
  /** Where in these the current one's body stands; `bodyEnd` 0: it is whole, and was taken out. */
  let bodyAt = 0
  let bodyEnd = 0
  let body: Buffer = NOTHING
  let fault: GatewayError | null = null
  /** Of the answer under way: given back when it is with the kernel, or the connection is gone. */
  let spent: readonly Uint8Array[] = NONE
  let looks = 0
  let isFirst = true
  let isLast = false

  const keep = (chunk: Buffer): void => {
    unused.push(chunk)
    unusedBytes += chunk.length
  }
  const takeUnused = (): Buffer => {
    const all = unused.length === 1 ? (unused[0] as Buffer) : Buffer.concat(unused)
    unused.length = 0
    unusedBytes = 0
    return all
  }

  const onData = (chunk: Buffer): void => {
    keep(chunk)
    if (current === null) begin(chunk)
    else if (bodyEnd === 0) {
      if (unusedBytes > BODY_LIMIT) socket.pause()
    } else if (unusedBytes >= bodyEnd) serve(current)
  }
  const begin = (chunk: Buffer): void => {
    const head = readPlainHead(chunk.toString('latin1', 0, HEAD_LIMIT))
    if (head === null || head.length > BODY_LIMIT) return void leave()
    const { headers, size, length, closes } = head
    bodyAt = size
    bodyEnd = size + length
    looks = 0
    current = {
      headers,
      socket,
      requestId: ports.makeRequestId(headers['x-request-id']),
      entrance: 'requests',
      arrivedAt: performance.now(),
      wire,
      caller: null,
      answered: false,
      closes: closes || isLast || ports.isLeaving(),
      stop: null,
      place: 0,
    }
    inFlight.begin(current)
    if (unusedBytes >= bodyEnd) serve(current)
    else current.stop = breakOff
  }
  /** Its body will not be whole: it is served as far as to say so. */
  const breakOff = (error: GatewayError): void => {
    if (current === null) return
    current.stop = null
    current.closes = true
    bodyEnd = 0
    fault = error
    ports.serve(current)
  }
  const serve = (exchange: Exchange): void => {
    const all = takeUnused()
    body = all.subarray(bodyAt, bodyEnd)
    if (all.length > bodyEnd) keep(all.subarray(bodyEnd))
    bodyEnd = 0
    exchange.stop = null
    ports.serve(exchange)
  }

  const wire: Wire = {
    isGone: (exchange) => exchange !== current,
    read() {
      if (fault) throw fault
      const read = body
      body = NOTHING
      return read
    },
    write(exchange, answer, extra) {
      exchange.answered = true
      const headers = answerHeaders(answer, extra)
      headers.push('X-Request-Id', exchange.requestId, ...(exchange.closes ? CLOSE : settings.keepAlive))
      writeAnswer(exchange, headText(answer.status, headers), answer)
    },
    cut: () => void socket.destroy(),
  }
  const writeAnswer = (exchange: Exchange, head: string, answer: Answer): void => {
    const { body } = answer
    spent = answer.spent ?? NONE
    if (typeof body === 'string') socket.write(head + body, 'latin1')
    else if (isWrittenAtOnce(body)) {
      socket.cork()
      socket.write(head, 'latin1')
      for (const piece of body) socket.write(piece)
      socket.uncork()
    } else {
      socket.write(head, 'latin1')
      socket.setTimeout(settings.answerMs)
      return void writeInParts(socket, body).then(() => whenTaken(exchange), wire.cut)
    }
    if (socket.writableLength === 0) return void end(exchange)
    socket.setTimeout(settings.answerMs)
    whenTaken(exchange)
  }
  /** Ends it once all is with the kernel: one that is empty is called back after those before it. */
  const whenTaken = (exchange: Exchange): void => {
    socket.write(NOTHING, (error) => {
      if (!error) taken(exchange)
    })
  }
  const taken = (exchange: Exchange): void => {
    if (exchange !== current) return
    socket.setTimeout(0)
    end(exchange)
  }
  const giveSpentBack = (): void => {
    spent.forEach(giveBack)
    spent = NONE
  }
  const end = (exchange: Exchange): void => {
    giveSpentBack()
    current = null
    inFlight.end(exchange)
    looks = 0
    isFirst = false
    if (exchange.closes) socket.off('data', onData).resume().destroySoon()
    else if (unusedBytes > 0) leave()
  }

  const onEnd = (): void => {
    if (current === null) return void socket.end()
    if (bodyEnd > 0) return void breakOff(malformed('The connection was ended before the whole body was there.'))
    if (!current.answered) socket.destroy() // who has closed its half is taken to have hung up
    current.closes = true
  }
  const onClose = (): void => {
    lanes.delete(lane)
    giveSpentBack()
    const exchange = current
    if (exchange === null) return
    exchange.stop?.(hungUp())
    if (exchange !== current) return // it was refused within that
    inFlight.end(exchange)
    current = null
  }
  /** With all that was read and not used, and for good. */
  const leave = (): void => {
    lanes.delete(lane)
    if (current !== null) inFlight.end(current)
    current = null
    for (const [event, listener] of Object.entries(listeners)) socket.off(event, listener)
    if (unusedBytes > 0) socket.unshift(takeUnused())
    if (socket.isPaused()) socket.resume()
    ports.pass(socket)
  }

  const lane: Lane = {
    look() {
      looks++
      const isIdle = current === null && !isFirst
      if (isIdle && looks > settings.idleLooks) socket.destroy()
      else if (!isIdle && (current === null || bodyEnd > 0) && looks > PATIENCE) leave()
    },
    closeIdle() {
      isLast = true
      if (current === null && !isFirst) socket.destroy()
    },
  }
  // An error closes the socket, and that is all there is to know of it.
  const listeners = { data: onData, end: onEnd, close: onClose, timeout: wire.cut, error: () => {} }
  for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener)
  lanes.add(lane)
  void socket.remoteAddress // Node keeps it from the first time it is asked, and a closed socket has none to tell
}
