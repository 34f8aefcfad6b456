// Sealed secrets in Redis: each under secret:NAME, and one hash with the greatest version of every name there ever was.
import type { SecretStore } from '../model/ports.ts'
import type { RedisConnection, RedisScript } from './redis.ts'

const VERSIONS = 'secret-versions'
/** A key's beginning rather than a key: the scripts put the name behind it. */
const SECRET = 'secret:'

/** Answers a digest of all records, and behind it names and records in turns unless the digest is the one given. */
const LOAD: RedisScript = {
  keys: 2,
  lua: `
    local names = redis.call('HKEYS', KEYS[1])
    table.sort(names)
    local found = {}
    for _, name in ipairs(names) do
      local record = redis.call('GET', KEYS[2] .. name)
      if record then
        found[#found + 1] = name
        found[#found + 1] = record
      end
    end
    local digest = redis.sha1hex(table.concat(found, '\\n'))
    if digest == ARGV[1] then return {digest} end
    table.insert(found, 1, digest)
    return found`,
}

const VERSION: RedisScript = { keys: 1, lua: "return redis.call('HGET', KEYS[1], ARGV[1]) or '0'" }

const PUT: RedisScript = {
  keys: 2,
  lua: `
    local greatest = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
    if tonumber(ARGV[2]) ~= greatest + 1 then return 0 end
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
    redis.call('SET', KEYS[2] .. ARGV[1], ARGV[3])
    return 1`,
}

const DELETE: RedisScript = { keys: 1, lua: "return redis.call('DEL', KEYS[1] .. ARGV[1])" }

export function createRedisSecrets(redis: RedisConnection): SecretStore {
  return {
    async load(digest) {
      const [now = '', ...found] = (await redis.run(LOAD, VERSIONS, SECRET, digest ?? '')) as string[]
      if (now === digest) return null
      const records = new Map<string, string>()
      for (let at = 0; at + 1 < found.length; at += 2) records.set(found[at] as string, found[at + 1] as string)
      return { digest: now, records }
    },
    version: async (name) => Number(await redis.run(VERSION, VERSIONS, name)),
    put: async (name, version, record) => (await redis.run(PUT, VERSIONS, SECRET, name, version, record)) === 1,
    delete: async (name) => (await redis.run(DELETE, SECRET, name)) === 1,
  }
}
