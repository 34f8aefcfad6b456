// Small texts in Redis, most with an expiry: a hash of value and version under kv:KEY. Versions never repeat for a key that expired
// and came again, since they begin at the server's clock.
import type { KeyValueStore } from '../model/ports.ts'
import type { RedisConnection, RedisScript } from './redis.ts'

const GET: RedisScript = { keys: 1, lua: "return redis.call('HMGET', KEYS[1], 'version', 'value')" }

const VERSION: RedisScript = { keys: 1, lua: "return redis.call('HGET', KEYS[1], 'version')" }

const PUT: RedisScript = {
  keys: 1,
  lua: `
    local version = redis.call('HGET', KEYS[1], 'version')
    if (version or '') ~= ARGV[3] then return 0 end
    if version then
      redis.call('HSET', KEYS[1], 'value', ARGV[1], 'version', string.format('%.0f', version + 1))
    else
      local time = redis.call('TIME')
      local first = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
      redis.call('HSET', KEYS[1], 'value', ARGV[1], 'version', first)
    end
    if ARGV[2] == '' then redis.call('PERSIST', KEYS[1])
    elseif ARGV[2] ~= 'kept' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
    return 1`,
}

const DELETE: RedisScript = { keys: 1, lua: "return redis.call('DEL', KEYS[1])" }

export function createRedisValues(redis: RedisConnection): KeyValueStore {
  return {
    async get(key) {
      const [version, value] = (await redis.run(GET, `kv:${key}`)) as [string | null, string | null]
      return version === null || value === null ? null : { version: Number(version), value }
    },
    async version(key) {
      const version = (await redis.run(VERSION, `kv:${key}`)) as string | null
      return version === null ? null : Number(version)
    },
    put: async (key, value, { ttlMs, ifVersion, keepExpiry }) =>
      (await redis.run(PUT, `kv:${key}`, value, keepExpiry ? 'kept' : (ttlMs ?? ''), ifVersion ?? '')) === 1,
    async delete(key) {
      await redis.run(DELETE, `kv:${key}`)
    },
  }
}
