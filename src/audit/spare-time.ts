// Whether there is time to spare for work that nobody waits for: what else the process does, and the whole machine, leaves some.
import { cpus, loadavg } from 'node:os'

/** Of one core, by all threads of the process but the one that asks. */
const BUSY_PROCESS = 0.25
/** Threads that want a core, for each that there is. */
const BUSY_MACHINE = 0.75

export interface Usage {
  /** Monotonic, ms. */
  readonly now: () => number
  /** CPU time of all other threads of the process, ms. */
  readonly othersMs: () => number
  /** Threads of the machine that want a core, over the last minute, for each core. 0 where the system does not tell (Windows). */
  readonly loadPerCore: () => number
}

/** Judged by the time since it was asked last, or was made. */
export function createSpareTime(usage: Usage = ofThisThread()): () => boolean {
  let since = usage.now()
  let before = usage.othersMs()
  return () => {
    const [now, othersMs] = [usage.now(), usage.othersMs()]
    const share = now > since ? (othersMs - before) / (now - since) : 1
    since = now
    before = othersMs
    return share < BUSY_PROCESS && usage.loadPerCore() < BUSY_MACHINE
  }
}

function ofThisThread(): Usage {
  const cores = cpus().length
  return {
    now: () => performance.now(),
    othersMs: () => (total(process.cpuUsage()) - total(process.threadCpuUsage())) / 1000,
    loadPerCore: () => (loadavg()[0] ?? 0) / Math.max(1, cores),
  }
}

const total = ({ user, system }: NodeJS.CpuUsage): number => user + system
