// Which credentials the 429s of upstreams hold back, as replicas tell each other in Redis. Each entry ends when its time has come.
import type { CooldownBoard } from '../model/ports.ts'
import type { RedisConnection, RedisScript } from './redis.ts'

/** Made-up credentials must not fill Redis; past it none is told until another has ended. */
const MOST = 1000

/** An entry's member is `KEY\nREPLICA`, its score when it ends. Longer stands, shorter is passed over. */
const EXCHANGE: RedisScript = {
  keys: 1,
  lua: `
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local mine = '\\n' .. ARGV[1]
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
    for at = 2, #ARGV, 2 do
      local member, ends = ARGV[at] .. mine, now + ARGV[at + 1]
      local before = redis.call('ZSCORE', KEYS[1], member)
      if before and tonumber(before) < ends or not before and redis.call('ZCARD', KEYS[1]) < ${MOST} then
        redis.call('ZADD', KEYS[1], string.format('%.0f', ends), member)
      end
    end
    local told, last = {}, 0
    for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
      local ends = tonumber(redis.call('ZSCORE', KEYS[1], member))
      last = math.max(last, ends)
      if string.sub(member, -#mine) ~= mine then
        told[#told + 1] = member
        told[#told + 1] = string.format('%.0f', ends)
      end
    end
    if last > 0 then redis.call('PEXPIRE', KEYS[1], string.format('%.0f', last - now + 1000)) end
    return {string.format('%.0f', now), told}`,
}

export function createRedisCooldowns(redis: RedisConnection): CooldownBoard {
  return {
    async exchange(replica, told) {
      const given = told.flatMap(({ key, leftMs }) => [key, Math.ceil(leftMs)])
      const [now, heard] = (await redis.run(EXCHANGE, 'cooldowns', replica, ...given)) as [string, string[]]
      const others = []
      for (let at = 0; at + 1 < heard.length; at += 2) {
        const [id, endsAt] = [heard[at] as string, Number(heard[at + 1])]
        others.push({ id, key: id.slice(0, id.lastIndexOf('\n')), endsAt, leftMs: endsAt - Number(now) })
      }
      return others
    },
  }
}
