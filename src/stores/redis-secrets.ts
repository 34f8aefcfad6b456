// Sealed secrets in Redis: each under secret:NAME, one hash with the revision of every name there ever was, and a mark that is
// another after each change, so that asking whether there was one costs the same however many secrets there are.
import { randomUUID } from 'node:crypto'
import type { SecretStore } from '../model/ports.ts'
import type { RedisConnection, RedisScript } from './redis.ts'

const REVISIONS = 'secret-versions'
/** A key's beginning rather than a key: the scripts put the name behind it. */
const SECRET = 'secret:'
const MARK = 'secret-mark'

/** Every so many loads the records themselves are compared: what was written past these scripts is seen too. */
const COMPARE_EVERY = 20

/**
 * Arguments: the mark and the digest that are known, and 1 where the mark is not to be relied on. Answers mark and digest, and
 * behind them names and records in turns unless nothing changed. A mark is drawn at random, since one that was counted could
 * come again after a failover that lost the last changes; beside it stands how many records there are, so that one deleted by
 * hand is missed at once.
 */
const LOAD: RedisScript = {
  keys: 3,
  lua: `
    local names = redis.call('HKEYS', KEYS[1])
    local count = 0
    for from = 1, #names, 1000 do
      local keys = {}
      for at = from, math.min(from + 999, #names) do keys[#keys + 1] = KEYS[2] .. names[at] end
      count = count + redis.call('EXISTS', unpack(keys))
    end
    local mark = (redis.call('GET', KEYS[3]) or '') .. ' ' .. count
    if mark == ARGV[1] and ARGV[3] == '0' then return {mark, ARGV[2]} end
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
    if digest == ARGV[2] then return {mark, digest} end
    table.insert(found, 1, digest)
    table.insert(found, 1, mark)
    return found`,
}

const GET: RedisScript = {
  keys: 2,
  lua: "return {redis.call('HGET', KEYS[1], ARGV[1]) or '0', redis.call('GET', KEYS[2] .. ARGV[1])}",
}

const PUT: RedisScript = {
  keys: 3,
  lua: `
    if (redis.call('HGET', KEYS[1], ARGV[1]) or '0') ~= ARGV[2] then return 0 end
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
    redis.call('SET', KEYS[2] .. ARGV[1], ARGV[4])
    redis.call('SET', KEYS[3], ARGV[5])
    return 1`,
}

const DELETE: RedisScript = {
  keys: 3,
  lua: `
    if redis.call('DEL', KEYS[2] .. ARGV[1]) == 0 then return 0 end
    redis.call('SET', KEYS[3], ARGV[2])
    local revision = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0') + 1
    redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', revision))
    return revision`,
}

export function createRedisSecrets(redis: RedisConnection): SecretStore {
  const keys = [REVISIONS, SECRET, MARK] as const
  let last = { mark: '', digest: '' }
  let loads = 0
  return {
    async load(digest) {
      const mark = digest !== null && digest === last.digest ? last.mark : ''
      const compare = ++loads % COMPARE_EVERY === 0 ? 1 : 0
      const [newMark = '', now = '', ...found] = (await redis.run(LOAD, ...keys, mark, digest ?? '', compare)) as string[]
      last = { mark: newMark, digest: now }
      if (now === digest) return null
      const records = new Map<string, string>()
      for (let at = 0; at + 1 < found.length; at += 2) records.set(found[at] as string, found[at + 1] as string)
      return { digest: now, records }
    },
    async get(name) {
      const [revision, record = null] = (await redis.run(GET, REVISIONS, SECRET, name)) as [string, string | null]
      return { record, revision: Number(revision) }
    },
    put: async (name, record, { after, revision }) =>
      (await redis.run(PUT, ...keys, name, after, revision, record, randomUUID())) === 1,
    async delete(name) {
      const revision = Number(await redis.run(DELETE, ...keys, name, randomUUID()))
      return revision === 0 ? null : revision
    },
  }
}
