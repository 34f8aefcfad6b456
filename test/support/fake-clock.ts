// A clock that a test turns by hand. Timers fire in order of their time; promises settle between them.
import type { Clock } from '../../src/model/ports.ts'

export interface FakeClock extends Clock {
  /** Lets `ms` pass, firing timers on the way. */
  advance(ms: number): Promise<void>
  /** Timers that are still set: nothing may be left when a call has ended. */
  readonly pending: number
}

/** Lets everything that is already due in the microtask and immediate queues run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve))
}

export function createFakeClock(start = Date.UTC(2026, 0, 1)): FakeClock {
  let time = 0
  let nextId = 0
  const timers = new Map<number, { at: number; callback: () => void }>()
  return {
    now: () => time,
    date: () => start + time,
    after(ms, callback) {
      const id = nextId++
      timers.set(id, { at: time + Math.max(0, ms), callback })
      return () => timers.delete(id)
    },
    async advance(ms) {
      const until = time + ms
      await settle()
      for (;;) {
        const due = [...timers].filter(([, timer]) => timer.at <= until).sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0]
        if (!due) break
        timers.delete(due[0])
        time = Math.max(time, due[1].at)
        due[1].callback()
        await settle()
      }
      time = until
      await settle()
    },
    get pending() {
      return timers.size
    },
  }
}
