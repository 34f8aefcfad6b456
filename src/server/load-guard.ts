// Sheds load that the process itself cannot bear, before anything is done for it: too many requests under way, an event loop that
// falls behind, memory that runs out. Health, metrics and the admin entrance do not ask it.
import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import { GatewayError } from '../errors/gateway-error.ts'
import { createLoadLimit } from '../policy/load-limit.ts'

export interface LoadGuardOptions {
  /** Requests under way at once. */
  readonly calls: number
  /** How late the event loop may be, ms. */
  readonly eventLoopDelayMs: number
  /** Share of the process' memory that may be in use, 0-1. */
  readonly memory: number
}

export interface LoadGuard {
  /** Overloaded, or null: go on. */
  refusal(): GatewayError | null
  /** The same of one that was admitted on its head, now that so many bytes of it are here and are to become much more. */
  refusalOfBody(bytes: number): GatewayError | null
  close(): void
}

/** A late loop is seen by a timer that should have run so soon; what is seen in a window counts once. */
const TICK_MS = 20
const WINDOW_MS = 100
/** Asking the system what memory a process has takes a tenth of a millisecond or more: of so many ticks one asks. */
const TICKS_A_LOOK = 5
/** A container's limit may be changed while it runs; to ask for it costs three times as much. */
const LIMIT_STANDS_MS = 10_000
/** Of a window in which the loop had something to do; above it there is nothing to spare. */
const SATURATED = 0.98
/** A call is read, sent, answered in some pieces, and answered on: about so many turns of the loop. */
const TURNS_OF_A_CALL = 4
/** Bytes. Smaller ones are many before they matter, and the head of the next one is judged. */
const LARGE_BODY = 64 * 1024
/** A descriptor that is understood, prepared and on its way holds about so many times its text. */
const GROWTH = 24
const RETRY_AFTER_MS = 1000
/** Once memory ran short, it must have fallen so far below its bound before calls are taken again. */
const RELIEF = 0.05

/** `underWay`: requests being received or answered now. `memoryShare`: of what the process may use, 0-1; injected by tests. */
export interface LoadGuardPorts {
  /** Requests being received or answered now. */
  readonly underWay: () => number
  /** Requests that came to their end, refused ones too, since the beginning. */
  readonly ended: () => number
  /** Of what the process may use, 0-1; injected by tests. */
  readonly memoryShare?: () => number
}

export function createLoadGuard(
  { calls, eventLoopDelayMs, memory }: LoadGuardOptions,
  { underWay, ended, memoryShare = createMemoryShare() }: LoadGuardPorts,
): LoadGuard {
  const loop = createLoadLimit({ targetMs: eventLoopDelayMs, most: calls })
  const turn = createTurn()
  const pace = createPace()
  // Made once: under overload they are the one thing that must cost little, and a stack trace would be most of it.
  const full = overloaded(`${calls} requests are under way (overload.calls)`)
  const behind = overloaded(`its event loop falls behind by more than ${eventLoopDelayMs} ms (overload.eventLoopDelay)`)
  const short = overloaded('its memory runs out (overload.memory)')
  let isShort = false
  let peak = 0
  let refused = 0
  let latest = 0
  /** Bytes that bodies admitted since the last look are to become, and that the heap does not show yet. */
  let promised = 0
  let ticks = 0
  let due = performance.now() + TICK_MS
  const lookAtMemory = (): void => {
    isShort = memoryShare() > (isShort ? memory - RELIEF : memory)
  }
  const timer = setInterval(() => {
    const now = performance.now()
    latest = Math.max(latest, now - due)
    due = now + TICK_MS
    if (ticks++ % TICKS_A_LOOK === 0) {
      promised = 0
      lookAtMemory()
    }
    if (!pace.isOver(now)) return
    loop.observe(Math.max(latest, pace.turnMs({ now, served: ended() - refused, underWay: underWay(), peak })), peak)
    latest = 0
    peak = underWay()
  }, TICK_MS)
  timer.unref()
  const refuse = (error: GatewayError): GatewayError => {
    refused++
    return error
  }
  return {
    refusal() {
      const now = underWay()
      if (now > peak) peak = now
      if (isShort) return refuse(short)
      if (!loop.admits(now)) return refuse(loop.limit === calls ? full : behind)
      return turn.lastsMs() > eventLoopDelayMs ? refuse(behind) : null
    },
    refusalOfBody(bytes) {
      if (bytes < LARGE_BODY) return null
      lookAtMemory() // many of them fit between two looks
      const { heap_size_limit } = getHeapStatistics()
      const share = memoryShare() + (promised + bytes * GROWTH) / heap_size_limit
      if (isShort || share > memory) return refuse(short)
      promised += bytes * GROWTH
      return null
    },
    close: () => clearInterval(timer),
  }
}

/**
 * Work that comes in small pieces never makes the loop late, however much of it there is. Where the loop had no moment of rest
 * in a window, the calls under way over those served in it are how long each takes (Little's law), some turns of the loop. Where
 * none was served, those begun count, as half the work: a burst is being taken up, and its upstreams have yet to answer.
 */
function createPace(): {
  isOver(now: number): boolean
  /** 0: the loop had time to spare. */
  turnMs(window: { readonly now: number; readonly served: number; readonly underWay: number; readonly peak: number }): number
} {
  let began = performance.now()
  let before = 0
  let wereUnderWay = 0
  let load = performance.eventLoopUtilization()
  return {
    isOver: (now) => now - began >= WINDOW_MS,
    turnMs({ now, served, underWay, peak }) {
      const since = load
      load = performance.eventLoopUtilization()
      const lasted = now - began
      const taken = Math.max(0, underWay - wereUnderWay)
      const done = Math.max(1, served > before ? served - before : taken / 2)
      began = now
      before = served
      wereUnderWay = underWay
      const { utilization } = performance.eventLoopUtilization(load, since)
      return utilization < SATURATED ? 0 : (peak / done) * (lasted / TURNS_OF_A_CALL)
    },
  }
}

/**
 * How long the loop has been at requests without a pause. It takes up whatever has arrived before any timer runs, seconds' worth
 * of it after a burst: what a timer sees comes too late for these. A pause before the first of them is not their doing.
 */
function createTurn(): { lastsMs(): number } {
  let since = 0
  const end = (): void => {
    since = 0
  }
  return {
    lastsMs() {
      const now = performance.now()
      if (since !== 0) return now - since
      since = now
      setImmediate(end)
      return 0
    },
  }
}

function overloaded(because: string): GatewayError {
  return new GatewayError('Overloaded', `The gateway has more to do than it can: ${because}. Try again, or add replicas.`, {
    retryAfter: RETRY_AFTER_MS,
  })
}

/** Of the container's or the machine's memory, or of V8's heap, whichever is nearer to its end. */
function createMemoryShare(): () => number {
  let bytes = available()
  let askedAt = performance.now()
  return () => {
    const now = performance.now()
    if (now - askedAt > LIMIT_STANDS_MS) {
      bytes = available()
      askedAt = now
    }
    const { used_heap_size, heap_size_limit } = getHeapStatistics()
    return Math.max(process.memoryUsage.rss() / bytes, used_heap_size / heap_size_limit)
  }
}

/** Without a container's limit Node answers 0, undefined or a number beyond all memory. */
function available(): number {
  const limit = process.constrainedMemory()
  return limit > 0 && limit < totalmem() ? limit : totalmem()
}
