// Rates that hold for all replicas together: each leases tokens from a bucket in the store, a few ahead of its calls, so that a call
// that finds one in hand asks nobody. While the store is away each replica goes by its own share of the rate.
import type { Rate } from '../model/adapter-policy.ts'
import type { Clock, Logger, RateAnswer, RateRequest, RateStore } from '../model/ports.ts'
import { createTokenBucket, type OpenBucket, type TokenBucket } from '../policy/token-bucket.ts'

/** What is in hand is not spent later than this after it was asked for; a replica that dies keeps its tokens from the others as long. */
export const LEASE_MS = 1000
/** How often a bucket in use tells what it spent, and renews what it has in hand. */
const TICK_MS = 100
/** Fewer calls than this in a tick ask one by one: tokens are not kept from others for them. */
const BUSY = 2
/** For how many ticks a busy bucket has tokens in hand. */
const TICKS_AHEAD = 2
/** The longest that a call waits for an answer; then the store is away. */
const ANSWER_MS = 100
/** A timer this late says that this process stood still, and not the store. */
const STALL_MS = 30
/** How often a store that is away is tried. */
const PROBE_MS = 1000
/** The shortest and the longest wait before an empty bucket is asked again; the shortest is less where it would overflow meanwhile. */
const PAUSE_MS = 50
const PAUSE_MAX_MS = LEASE_MS / 2

export interface SharedRatesPorts {
  readonly store: RateStore
  readonly clock: Clock
  readonly log: Logger
  /** Names this process among the others. */
  readonly replica: string
  /** How many processes share, as far as is known; at least 1. */
  readonly live: () => number
}

export interface SharedRates {
  readonly open: OpenBucket
  /** Closes every bucket. */
  close(): void
}

export function createSharedRates(ports: SharedRatesPorts): SharedRates {
  const link = createLink(ports)
  const buckets = new Set<TokenBucket>()
  let opened = 0
  return {
    open(name, rate) {
      const bucket = createSharedBucket(name, rate, `${ports.replica}.${++opened}`, { ...ports, link })
      buckets.add(bucket)
      const close = (): void => {
        if (buckets.delete(bucket)) bucket.close()
      }
      return { ...bucket, close }
    },
    close() {
      for (const bucket of buckets) bucket.close()
    },
  }
}

/** Whether the store answers, as all buckets together see it. */
interface Link {
  /** When it went away, by the clock's `now`; null: it answers. */
  awaySince(): number | null
  away(): void
  back(): void
  /** True, once in a while: it may be tried again. */
  mayProbe(): boolean
}

function createLink({ clock, log }: Pick<SharedRatesPorts, 'clock' | 'log'>): Link {
  let since: number | null = null
  let probeAt = 0
  return {
    awaySince: () => since,
    away() {
      probeAt = clock.now() + PROBE_MS
      if (since !== null) return
      since = clock.now()
      log.log('warn', 'rates are not shared: each replica has its part')
    },
    back() {
      if (since === null) return
      since = null
      log.log('info', 'rates are shared again')
    },
    mayProbe() {
      if (clock.now() < probeAt) return false
      probeAt = clock.now() + PROBE_MS
      return true
    },
  }
}

/** Calls that wait for the same answer. */
interface Asked {
  need: number
  inLine: boolean
  readonly answered: Promise<void>
  resolve(): void
}

function createAsked(): Asked {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { need: 0, inLine: false, answered: promise, resolve }
}

function createSharedBucket(
  bucket: string,
  rate: Rate,
  holder: string,
  { store, clock, live, link }: SharedRatesPorts & { readonly link: Link },
): TokenBucket {
  const perMs = rate.count / rate.perMs
  const lease = createLease()
  let told: (RateAnswer & { readonly at: number }) | null = null
  let turn = 0
  let askAgainAt = 0
  let underWay = false
  let next: Asked | null = null
  let stopTick: (() => void) | null = null
  let share: { readonly since: number; readonly bucket: TokenBucket } | null = null
  let closed = false

  const ownShare = (since: number): TokenBucket => {
    if (share?.since === since) return share.bucket
    const among = Math.max(1, live())
    const part = { ...rate, count: rate.count / among, burst: Math.max(1, rate.burst / among) }
    share = { since, bucket: createTokenBucket(part, clock, since) }
    return share.bucket
  }
  const levelNow = (): number => (told === null ? rate.burst : Math.min(rate.burst, told.level + (clock.now() - told.at) * perMs))

  const compose = (need: number, inLine: boolean): RateRequest => {
    const now = clock.now()
    const perTick = lease.perTick(now)
    const ahead = perTick < BUSY ? 0 : Math.ceil(perTick * TICKS_AHEAD)
    lease.tell()
    const returned = lease.giveBack(closed ? 0 : ahead, now)
    const start = told === null ? rate.burst : Math.min(rate.burst, (now - told.at) * perMs)
    return {
      ...{ bucket, rate, holder, turn: ++turn, kept: lease.inHand(now), returned, idleMs: lease.idleMs(now) },
      ...{ need, inLine, ahead, leaseMs: LEASE_MS, start },
    }
  }
  /** One request at a time; those who come meanwhile wait for the next. */
  const send = async (asked: Asked | null): Promise<void> => {
    underWay = true
    const { need, inLine } = asked ?? { need: 0, inLine: false }
    const sentAt = clock.now()
    const watch = watchAnswer(clock, () => {
      link.away()
      asked?.resolve()
    })
    try {
      const answer = await store.exchange(compose(need, inLine))
      if (watch.end()) link.back()
      take(answer, need, sentAt)
    } catch {
      watch.end()
      if (!closed) link.away()
    }
    asked?.resolve()
    // Who waited takes what came before the next request gives back what is left in hand.
    await null
    underWay = false
    follow()
  }
  const take = (answer: RateAnswer, need: number, sentAt: number): void => {
    const now = clock.now()
    lease.add(answer.granted, sentAt + LEASE_MS, now)
    told = { ...answer, at: now }
    const untilNext = (answer.before + 1 - answer.level) / perMs
    const pause = Math.max(untilNext, Math.min(PAUSE_MS, rate.burst / 2 / perMs))
    askAgainAt = answer.granted < need ? now + Math.min(PAUSE_MAX_MS, pause) : 0
  }
  const follow = (): void => {
    if (lease.touched()) tickLater()
    const waiting = next
    next = null
    if (waiting === null) return
    if (closed || link.awaySince() !== null || clock.now() < askAgainAt) waiting.resolve()
    else void send(waiting)
  }
  const tick = (): void => {
    stopTick = null
    if (closed || underWay || link.awaySince() !== null) return // `follow` comes, or the lease ends by itself
    if (lease.touched()) void send(null)
  }
  const tickLater = (): void => {
    if (!closed) stopTick ??= clock.after(TICK_MS, tick)
  }
  const probe = (): void => {
    if (!underWay && !closed && link.mayProbe()) void send(null)
  }

  return {
    tryTake() {
      if (lease.spend(clock.now())) {
        if (stopTick === null) tickLater()
        return true
      }
      const since = link.awaySince()
      if (since === null) return false
      probe()
      return ownShare(since).tryTake()
    },
    msUntil(n) {
      const now = clock.now()
      const missing = n - lease.inHand(now)
      if (missing <= 0) return 0
      const since = link.awaySince()
      if (since !== null) return ownShare(since).msUntil(missing)
      const refilled = ((missing - levelNow()) / perMs) * (1 + (told?.waiting ?? 0))
      return Math.max(0, Math.ceil(Math.max(refilled, askAgainAt - now)))
    },
    left: () => Math.min(1, (lease.inHand(clock.now()) + levelNow()) / rate.burst),
    ask(n, inLine) {
      if (closed || link.awaySince() !== null || clock.now() < askAgainAt) return null
      next ??= createAsked()
      next.need += n
      next.inLine ||= inLine
      const { answered } = next
      if (!underWay) follow()
      return answered
    },
    close() {
      closed = true
      stopTick?.()
      if (!underWay && link.awaySince() === null && lease.inHand(clock.now()) > 0) void send(null)
    },
  }
}

/** Tokens in hand, and what of them is not told yet. */
function createLease() {
  let tokens = 0
  let until = 0
  let untold = false
  let lastGoneAt = 0
  let tickAt = 0
  let inTick = 0
  let inLastTick = 0
  const drop = (now: number): void => {
    if (tokens === 0 || now < until) return
    tokens = 0
    lastGoneAt = Math.max(lastGoneAt, until)
  }
  return {
    spend(now: number): boolean {
      drop(now)
      if (tokens === 0) return false
      tokens--
      inTick++
      untold = true
      lastGoneAt = now
      return true
    },
    add(granted: number, end: number, now: number): void {
      drop(now)
      tokens += granted
      until = end
      drop(now)
    },
    inHand(now: number): number {
      drop(now)
      return tokens
    },
    /** All but `keep`. */
    giveBack(keep: number, now: number): number {
      drop(now)
      const returned = Math.max(0, tokens - keep)
      tokens -= returned
      return returned
    },
    tell(): void {
      untold = false
    },
    /** There is something to tell, or to give back. */
    touched: () => tokens > 0 || untold,
    /** How many are spent in a tick, by the last one and by the one that has begun. */
    perTick(now: number): number {
      const passed = now - tickAt
      if (passed < TICK_MS) return Math.max(inTick, inLastTick)
      inLastTick = (inTick * TICK_MS) / passed
      tickAt = now
      inTick = 0
      return inLastTick
    },
    idleMs: (now: number) => Math.max(0, now - lastGoneAt),
  }
}

/** `late` runs where no answer comes in time. `end`: true, where one came. */
function watchAnswer(clock: Clock, late: () => void): { end(): boolean } {
  const dueAt = clock.now() + ANSWER_MS
  let inTime = true
  const giveUp = (): void => {
    inTime = false
    late()
  }
  let stop = clock.after(ANSWER_MS, () => {
    if (clock.now() < dueAt + STALL_MS) giveUp()
    else stop = clock.after(STALL_MS, giveUp)
  })
  return {
    end() {
      stop()
      return inTime
    },
  }
}
