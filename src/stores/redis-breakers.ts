// What the replicas' breakers tell each other, in Redis: who is alive, who has tripped, who may probe, what has recovered. All of
// it ends by itself when nobody repeats it; nothing here outlives its replicas.
import type { BreakerBoard } from '../model/ports.ts'
import type { RedisConnection, RedisScript } from './redis.ts'

/** What is not repeated for so long is over: four rounds of a replica. */
const TTL_MS = 2000
/** A recovery is told for so long, and no vote is taken in the first TTL_MS of it: replicas that have not heard still repeat theirs. */
const TOLD_MS = 10_000

/** One trip a round. Votes and leases stand under their key; a vote's member is `KEY\nREPLICA`. */
const EXCHANGE: RedisScript = {
  keys: 4,
  lua: `
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local replica, ttl, told = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
    local at = 4
    local function list()
      local found = {}
      for i = 1, tonumber(ARGV[at]) do found[i] = ARGV[at + i] end
      at = at + 1 + #found
      return found
    end
    local tripped, wanted, recovered = list(), list(), list()
    redis.call('ZADD', KEYS[1], now + ttl, replica)
    for _, key in ipairs({KEYS[1], KEYS[2], KEYS[3]}) do redis.call('ZREMRANGEBYSCORE', key, '-inf', now) end
    redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - told)
    for _, key in ipairs(recovered) do redis.call('ZADD', KEYS[4], now, key) end
    local news = {}
    for _, key in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
      local score = tonumber(redis.call('ZSCORE', KEYS[4], key))
      news[#news + 1] = key
      news[#news + 1] = string.format('%.0f', score)
    end
    local mine = '\\n' .. replica
    for _, vote in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
      if string.sub(vote, -#mine) == mine then redis.call('ZREM', KEYS[2], vote) end
    end
    for _, key in ipairs(tripped) do redis.call('ZADD', KEYS[2], now + ttl, key .. mine) end
    local votes = {}
    for _, vote in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
      local key = string.match(vote, '^(.*)\\n')
      local score = redis.call('ZSCORE', KEYS[4], key)
      if not score or tonumber(score) + ttl < now then votes[#votes + 1] = key end
    end
    local held = {}
    for _, lease in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do held[string.match(lease, '^(.*)\\n')] = lease end
    for _, key in ipairs(wanted) do
      local lease = key .. mine
      if not held[key] or held[key] == lease then
        redis.call('ZADD', KEYS[3], now + ttl, lease)
        held[key] = lease
      end
    end
    local leases = {}
    for key, lease in pairs(held) do
      if lease == key .. mine then leases[#leases + 1] = key end
    end
    for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, told + ttl) end
    return {redis.call('ZCARD', KEYS[1]), votes, leases, news}`,
}

const KEYS = ['breaker:replicas', 'breaker:votes', 'breaker:leases', 'breaker:recovered']

export function createRedisBreakers(redis: RedisConnection): BreakerBoard {
  return {
    async exchange({ replica, tripped, wanted, recovered }) {
      const lists = [tripped, wanted, recovered].flatMap((list) => [list.length, ...list])
      const answer = await redis.run(EXCHANGE, ...KEYS, replica, TTL_MS, TOLD_MS, ...lists)
      const [live, voted, leases, news] = answer as [number, string[], string[], string[]]
      const votes = new Map<string, number>()
      for (const key of voted) votes.set(key, (votes.get(key) ?? 0) + 1)
      const recoveries = new Map<string, number>()
      for (let at = 0; at + 1 < news.length; at += 2) recoveries.set(news[at] as string, Number(news[at + 1]))
      return { live, votes, leases: new Set(leases), recovered: recoveries }
    },
  }
}
