// The audit trail as one Redis stream an installation: `audit` under the prefix, an entry a record, read by consumer groups. Bounded
// by refusing what there is no room for: only what every group has acknowledged is trimmed. How far each chain has come is kept
// beside it, so that a batch that is sent again is not added again.
import type { AuditSink } from '../model/audit-sink.ts'
import type { RedisConnection, RedisScript } from './redis.ts'

export interface AuditStreamOptions {
  /** Entries at most, unacknowledged ones included. */
  readonly maxRecords: number
  /** The group that is made with the stream, reading from its beginning. */
  readonly group: string
}

/** Arguments: the bound, the group, the chain, then number and record in turn. 1: they are all there; 0: there is no room. */
const ADD: RedisScript = {
  keys: 2,
  lua: `
    local stream, positions = KEYS[1], KEYS[2]
    local bound, chain = tonumber(ARGV[1]), ARGV[3]
    if #redis.pcall('XINFO', 'GROUPS', stream) == 0 or redis.call('EXISTS', stream) == 0 then
      redis.call('XGROUP', 'CREATE', stream, ARGV[2], '0', 'MKSTREAM')
    end
    local last = tonumber(redis.call('HGET', positions, chain) or '0')
    local fresh = 0
    for i = 4, #ARGV, 2 do
      if tonumber(ARGV[i]) > last then fresh = fresh + 1 end
    end
    if fresh == 0 then return 1 end
    if redis.call('XLEN', stream) + fresh > bound then
      local lowest, low = nil, nil
      for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
        local name, pending, delivered
        for i = 1, #group, 2 do
          if group[i] == 'name' then name = group[i + 1] end
          if group[i] == 'pending' then pending = group[i + 1] end
          if group[i] == 'last-delivered-id' then delivered = group[i + 1] end
        end
        local time, number = string.match(delivered, '^(%d+)-(%d+)$')
        -- Everything delivered is acknowledged: all of it may go.
        local from = time .. '-' .. string.format('%.0f', tonumber(number) + 1)
        if pending > 0 then from = redis.call('XPENDING', stream, name)[2] end
        local t, n = string.match(from, '^(%d+)-(%d+)$')
        local order = { tonumber(t), tonumber(n) }
        if not low or order[1] < low[1] or (order[1] == low[1] and order[2] < low[2]) then lowest, low = from, order end
      end
      if lowest then redis.call('XTRIM', stream, 'MINID', lowest) end
      if redis.call('XLEN', stream) + fresh > bound then return 0 end
    end
    for i = 4, #ARGV, 2 do
      if tonumber(ARGV[i]) > last then
        redis.call('XADD', stream, '*', 'chain', chain, 'seq', ARGV[i], 'record', ARGV[i + 1])
      end
    end
    redis.call('HSET', positions, chain, ARGV[#ARGV - 1])
    return 1`,
}

export function createRedisAuditStream(redis: RedisConnection, { maxRecords, group }: AuditStreamOptions): AuditSink {
  return {
    async send(records) {
      const [first] = records
      if (!first) return true
      const pairs = records.flatMap(({ seq, line }) => [String(seq), line])
      return (await redis.run(ADD, 'audit', 'audit:shipped', maxRecords, group, first.chain, ...pairs)) === 1
    },
  }
}
