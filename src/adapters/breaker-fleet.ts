// Breakers of several replicas, by quorum: where more than half of the replicas have tripped for a host, the others open too; then
// one of them at a time probes, and its success closes all. While the store is away each replica goes by what it sees itself.
import type { BreakerFleet, FleetMember, FleetSeat } from '../model/breaker-fleet.ts'
import type { BreakerBoard, BreakerNews, Clock } from '../model/ports.ts'
import { isQuorum } from '../policy/quorum.ts'

/** Half of the second within which replicas follow each other; the store's own answer takes the rest. */
const ROUND_MS = 500
/** As long as a replica counts as alive; after the store was away they come back one by one, and half of the first three is no quorum. */
const LIVE_ROUNDS = 4
/** What one replica tells in a round, so that an outage of everything costs the store no more; the same ones everywhere, by name. */
const MOST_TOLD = 200
const ALONE: FleetSeat = { mayProbe: () => true, recovered() {}, leave() {} }

interface Seated {
  readonly member: FleetMember
  /** Of the last recovery that it heard of, by the store's clock; null: it has not been told yet. */
  heardOf: number | null
}

/** `board` null: there is nobody to talk to, and nothing runs. `replica`: names this process among the others. */
export function createBreakerFleet({
  board,
  clock,
  replica,
}: {
  readonly board: BreakerBoard | null
  readonly clock: Clock
  readonly replica: string
}): BreakerFleet {
  if (board === null) return { join: () => ALONE, live: () => 1, close() {} }
  const seats = new Map<string, Seated>()
  let recovered: string[] = []
  let news: BreakerNews | null = null
  let lately: number[] = []
  let stopTimer = (): void => {}
  let closed = false

  const isFleetOpen = (key: string): boolean => news !== null && isQuorum(news.votes.get(key) ?? 0, Math.max(...lately))

  const round = async (): Promise<void> => {
    const told = recovered
    recovered = []
    const keysOf = (holds: (member: FleetMember) => boolean): string[] =>
      [...seats]
        .filter(([, { member }]) => holds(member))
        .map(([key]) => key)
        .sort()
        .slice(0, MOST_TOLD)
    try {
      const tripped = keysOf((member) => member.tripped())
      const wanted = keysOf((member) => member.wantsProbe())
      news = await board.exchange({ replica, tripped, wanted, recovered: told })
      lately = [...lately, news.live].slice(-LIVE_ROUNDS)
      for (const [key, seated] of seats) follow(key, seated, news, told.includes(key))
    } catch {
      news = null // the store says by itself that it is away
      recovered = [...told, ...recovered]
    }
  }
  /** `own`: the recovery was told by this replica, whose breaker may have tripped anew since. */
  const follow = (key: string, seated: Seated, { recovered: recoveries }: BreakerNews, own: boolean): void => {
    const at = recoveries.get(key) ?? 0
    const isNew = seated.heardOf !== null && at > seated.heardOf
    seated.heardOf = at
    if (isNew && !own) seated.member.close()
    else if (isFleetOpen(key)) seated.member.open()
  }
  const next = (): void => {
    if (!closed) stopTimer = clock.after(ROUND_MS, () => void round().then(next))
  }
  next()

  return {
    join(adapter, origin, member) {
      const key = `${adapter} ${origin}`
      const seated: Seated = { member, heardOf: null }
      seats.set(key, seated)
      return {
        mayProbe: () => !isFleetOpen(key) || (news?.leases.has(key) ?? true),
        recovered() {
          if (isFleetOpen(key)) recovered.push(key)
        },
        leave() {
          if (seats.get(key) === seated) seats.delete(key)
        },
      }
    },
    live: () => Math.max(1, ...lately),
    close() {
      closed = true
      stopTimer()
    },
  }
}
