// What one of several workers may use of limits that hold for the whole machine. Pure.
import type { Config } from '../config/config.ts'
import type { Rate } from '../model/adapter-policy.ts'

export interface Seat {
  /** From 0. */
  readonly index: number
  /** Workers in all. */
  readonly count: number
}

/** null: several workers can serve it; else why not, and what to do. */
export function refuseWorkers(config: Config, count: number): string | null {
  if (config.store.keyFile === null && config.store.key === null)
    return `${count} workers need a sealing key (store.keyFile or store.key): without one, secrets and sessions live in the memory of one process`
  const local = config.adapters.find(({ idempotency }) => idempotency === 'local')
  if (local)
    return `adapter "${local.name}" has idempotency: local, which one process remembers: leave it out, or start one worker`
  const burst = (rate: Rate | null | undefined): number | null => (sharesRates(config) ? null : (rate?.burst ?? null))
  const small = [
    ...config.adapters.flatMap(({ name, limits }) => [
      { what: `adapter "${name}": limits.concurrency`, is: limits.concurrency },
      { what: `adapter "${name}": limits.rate's burst`, is: burst(limits.rate) },
    ]),
    ...config.callers.flatMap(({ caller: { name, quota } }) => [
      { what: `caller "${name}": quota.concurrency`, is: quota?.concurrency ?? null },
      { what: `caller "${name}": quota.rate's burst`, is: burst(quota?.rate) },
    ]),
  ].find(({ is }) => is !== null && is < count)
  return small ? `${small.what} is ${small.is}, which ${count} workers cannot divide: raise it, or start fewer` : null
}

/** The parts of all seats together are the whole, to the last unit. Rates are not divided where the store shares them. */
export function shareOf(config: Config, seat: Seat): Config {
  const partOfRate = (rate: Rate | null): Rate | null => (sharesRates(config) ? rate : rate && divide(rate, seat))
  return {
    ...config,
    workers: seat.count,
    listen: { ...config.listen, connections: Math.max(1, part(config.listen.connections, seat)) },
    adapters: config.adapters.map((adapter) => {
      const { concurrency, queue, rate } = adapter.limits
      const limits = { concurrency: part(concurrency, seat), queue: part(queue, seat), rate: partOfRate(rate) }
      return { ...adapter, limits: { ...adapter.limits, ...limits } }
    }),
    callers: config.callers.map((configured) => {
      const { quota } = configured.caller
      if (quota === undefined) return configured
      const { rate, concurrency } = quota
      const own = { rate: partOfRate(rate), concurrency: concurrency === null ? null : part(concurrency, seat) }
      return { ...configured, caller: { ...configured.caller, quota: { ...quota, ...own } } }
    }),
  }
}

function part(whole: number, { index, count }: Seat): number {
  return Math.floor(whole / count) + (index < whole % count ? 1 : 0)
}

/** Tokens that can be spent at once are whole; the refill need not be. */
function divide(rate: Rate, seat: Seat): Rate {
  return { ...rate, count: rate.count / seat.count, burst: part(rate.burst, seat) }
}

function sharesRates({ store }: Config): boolean {
  return store.redis !== null
}
