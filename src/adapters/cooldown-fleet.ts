// Cool-downs of several replicas: what one was told by an upstream's 429 it tells at once, and each asks twice a second what the
// others were told. While the store is away each replica goes by what it meets itself; no call waits for any of it.
import type { CooldownFleet } from '../model/cooldown-fleet.ts'
import type { Clock, CooldownBoard } from '../model/ports.ts'

const ROUND_MS = 500
/** What one replica tells in a round; of more the last to come are not told. */
const MOST_TOLD = 100

interface Heard {
  readonly key: string
  /** By the store's clock: tells an entry that was made longer from one that is known. */
  readonly endsAt: number
  readonly until: number
}

/** `board` null: there is nobody to talk to, and nothing runs. `replica`: names this process among the others. */
export function createCooldownFleet({
  board,
  clock,
  replica,
}: {
  readonly board: CooldownBoard | null
  readonly clock: Clock
  readonly replica: string
}): CooldownFleet {
  if (board === null) return { join: () => ({ tell() {}, leave() {} }), close() {} }
  /** By `ADAPTER ORIGIN\n`, with which the keys on the board begin. */
  const seats = new Map<string, (key: string, until: number) => void>()
  /** What is still to be told: when each ends. */
  const untold = new Map<string, number>()
  /** Of all that stands on the board, so that an origin that is met later honours it too. */
  let known = new Map<string, Heard>()
  let underWay = false
  let hurried = false
  let stopTimer = (): void => {}
  let closed = false

  const hear = ({ key, until }: Heard): void => {
    const end = key.indexOf('\n') + 1
    seats.get(key.slice(0, end))?.(key.slice(end), until)
  }
  const round = async (): Promise<void> => {
    const told = [...untold]
    untold.clear()
    try {
      const asked = told.map(([key, until]) => ({ key, leftMs: until - clock.now() })).filter(({ leftMs }) => leftMs > 0)
      const others = await board.exchange(replica, asked)
      const next = new Map<string, Heard>()
      for (const { id, key, endsAt, leftMs } of others) {
        const before = known.get(id)
        const isNew = before === undefined || before.endsAt < endsAt
        const heard = isNew ? { key, endsAt, until: clock.now() + leftMs } : before
        next.set(id, heard)
        if (isNew) hear(heard)
      }
      known = next
    } catch {
      for (const [key, until] of told) untold.set(key, Math.max(until, untold.get(key) ?? 0)) // the store says by itself that it is away
    }
  }
  const go = (): void => {
    stopTimer()
    underWay = true
    hurried = false
    void round().then(() => {
      underWay = false
      if (closed) return
      if (hurried) go()
      else stopTimer = clock.after(ROUND_MS, go)
    })
  }
  stopTimer = clock.after(ROUND_MS, go)

  return {
    join(adapter, origin, heard) {
      const seat = `${adapter} ${origin}\n`
      seats.set(seat, heard)
      for (const entry of known.values())
        if (entry.until > clock.now() && entry.key.startsWith(seat)) heard(entry.key.slice(seat.length), entry.until)
      return {
        tell(key, { until, hurry }) {
          const full = seat + key
          if (closed || (untold.size >= MOST_TOLD && !untold.has(full))) return
          untold.set(full, until)
          hurried ||= hurry
          if (hurry && !underWay) go()
        },
        leave() {
          if (seats.get(seat) === heard) seats.delete(seat)
        },
      }
    },
    close() {
      closed = true
      stopTimer()
    },
  }
}
