// Buckets of tokens that replicas share, in Redis: one script on one key. What the bucket holds and what is out on leases never
// exceeds the burst together, and a token that is out refills only from when it was spent. The key ends when the bucket is full.
import type { RateStore } from '../model/ports.ts'
import type { RedisConnection, RedisScript } from './redis.ts'

/**
 * `at`: until when the refill is in `level`. While the bucket is full but for leases it stands still, so that a holder who tells
 * later that it had spent its tokens has them refilled from then; whatever is not known to be spent refills nothing.
 */
export const EXCHANGE: RedisScript = {
  keys: 1,
  lua: `
    local time = redis.call('TIME')
    local now = time[1] * 1000 + time[2] / 1000
    local perMs, burst, holder, turn = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
    local kept, returned, idle = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
    local need, inLine, ahead = tonumber(ARGV[8]), ARGV[9] == '1', tonumber(ARGV[10])
    local lease, start = tonumber(ARGV[11]), tonumber(ARGV[12])
    local found = redis.call('GET', KEYS[1])
    local state = found and cmsgpack.unpack(found) or {level = start, at = now, leases = {}}
    local level, at, leases = state.level, state.at, state.leases
    local function room()
      local free = burst - level
      for _, one in pairs(leases) do free = free - one.amount end
      return math.max(0, free)
    end
    local function refill(to)
      if to <= at then return end
      local free, due = room(), (to - at) * perMs
      level = level + math.min(free, due)
      at = due < free and to or math.min(to, at + free / perMs)
    end
    local function settle(to)
      refill(to)
      at = math.max(at, to)
    end

    local ended = at
    for _, one in pairs(leases) do
      if one.ends <= now then ended = math.max(ended, one.ends) end
    end
    settle(ended)
    for id, one in pairs(leases) do
      if one.ends <= now then leases[id] = nil end
    end

    local mine = leases[holder]
    if mine and turn <= mine.turn then return {0, string.format('%.17g', state.level), 0, 0} end
    if mine then
      returned = math.min(returned, math.max(0, mine.amount - kept))
      if mine.amount > kept + returned then settle(math.max(now - idle, mine.ends - lease)) end
      level = level + returned
    end
    leases[holder] = {amount = kept}
    refill(now)
    local out = 0
    for _, one in pairs(leases) do out = out + one.amount end
    if out == 0 then at = math.max(at, now) end
    level = math.min(level, math.max(0, burst - out))

    local since, holders, waiting, before = inLine and mine and mine.since, 0, 0, 0
    for id, one in pairs(leases) do
      holders = holders + 1
      if id ~= holder and one.since then
        waiting = waiting + 1
        if not since or one.since < since then before = before + 1 end
      end
    end
    local spare = waiting == 0 and math.min(ahead, math.floor(burst / (2 * holders))) - kept or 0
    local granted = math.max(0, math.min(math.floor(level + 1e-9) - before, need + math.max(0, spare)))
    level = level - granted
    if not inLine or granted >= need then since = nil
    elseif granted > 0 or not since then since = now end
    leases[holder] = nil
    if kept + granted > 0 or since then
      leases[holder] = {amount = kept + granted, turn = turn, ends = now + lease, since = since}
    end
    local ttl = string.format('%.0f', math.ceil(burst / perMs) + lease)
    redis.call('SET', KEYS[1], cmsgpack.pack({level = level, at = at, leases = leases}), 'PX', ttl)
    return {granted, string.format('%.17g', level), waiting, before}`,
}

export function createRedisRates(redis: RedisConnection): RateStore {
  return {
    async exchange({ bucket, rate, holder, turn, kept, returned, idleMs, need, inLine, ahead, leaseMs, start }) {
      const lease = [kept, returned, idleMs, need, inLine ? 1 : 0, ahead, leaseMs, start]
      const answer = await redis.run(EXCHANGE, `rate:${bucket}`, rate.count / rate.perMs, rate.burst, holder, turn, ...lease)
      const [granted, level, waiting, before] = answer as [number, string, number, number]
      return { granted, level: Number(level), waiting, before }
    },
  }
}
