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
  close(): void
}

const TICK_MS = 100
const RETRY_AFTER_MS = 1000
/** Once memory ran short, it must have fallen so far below its bound before calls are taken again. */
const RELIEF = 0.05

/** `underWay`: requests being received or answered now. `memoryShare`: of what the process may use, 0-1; injected by tests. */
export function createLoadGuard(
  { calls, eventLoopDelayMs, memory }: LoadGuardOptions,
  { underWay, memoryShare = shareOfMemory }: { readonly underWay: () => number; readonly memoryShare?: () => number },
): LoadGuard {
  const loop = createLoadLimit({ targetMs: eventLoopDelayMs, most: calls })
  let short = false
  let peak = 0
  let due = performance.now() + TICK_MS
  const timer = setInterval(() => {
    const now = performance.now()
    loop.observe(now - due, peak)
    due = now + TICK_MS
    peak = underWay()
    short = memoryShare() > (short ? memory - RELIEF : memory)
  }, TICK_MS)
  timer.unref()
  return {
    refusal() {
      const now = underWay()
      if (now > peak) peak = now
      if (short) return overloaded('its memory runs out (overload.memory)')
      if (loop.admits(now)) return null
      return loop.limit === calls
        ? overloaded(`${calls} requests are under way (overload.calls)`)
        : overloaded(`its event loop falls behind by more than ${eventLoopDelayMs} ms (overload.eventLoopDelay)`)
    },
    close: () => clearInterval(timer),
  }
}

function overloaded(because: string): GatewayError {
  return new GatewayError('Overloaded', `The gateway has more to do than it can: ${because}. Try again, or add replicas.`, {
    retryAfter: RETRY_AFTER_MS,
  })
}

/** Of the container's or the machine's memory, or of V8's heap, whichever is nearer to its end. */
function shareOfMemory(): number {
  const { used_heap_size, heap_size_limit } = getHeapStatistics()
  return Math.max(process.memoryUsage.rss() / available(), used_heap_size / heap_size_limit)
}

/** Without a container's limit Node answers 0, undefined or a number beyond all memory. */
function available(): number {
  const limit = process.constrainedMemory()
  return limit > 0 && limit < totalmem() ? limit : totalmem()
}
