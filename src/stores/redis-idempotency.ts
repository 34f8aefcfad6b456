// Outcomes by idempotency key in Redis, one script an operation, judged by the server's clock. A claim whose answer was lost
// may have been made all the same, or may be made yet, for a call that never went out: it is withdrawn as soon as Redis is back.
import { randomUUID } from 'node:crypto'
import type { IdempotencyClaim, IdempotencyStore } from '../model/ports.ts'
import type { RedisConnection, RedisScript } from './redis.ts'
import { RETAIN_LOST_MS } from './retain-lost.ts'

/** Claims to withdraw that are remembered; past it the oldest is left to run out as lost. */
const MAX_DOUBTFUL = 1000
/** A claim may be on its way for this long after its withdrawal: in a server's socket that was frozen, in a proxy. */
const WITHDRAWN_MS = 60_000

const CLAIM: RedisScript = {
  keys: 1,
  lua: `
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local found = redis.call('HMGET', KEYS[1], 'fingerprint', 'outcome', 'until')
    if not found[1] then
      if redis.call('HGET', KEYS[1], 'withdrawn ' .. ARGV[2]) then return {'withdrawn'} end
      local ends = string.format('%.0f', now + ARGV[3])
      redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'token', ARGV[2], 'until', ends)
      redis.call('PEXPIRE', KEYS[1], ARGV[3] + ARGV[4])
      return {'mine'}
    end
    if found[1] ~= ARGV[1] then return {'conflict'} end
    if found[2] then return {'done', found[2]} end
    if now < tonumber(found[3]) then return {'running'} end
    return {'lost'}`,
}

/** Writes over its own claim, or where there is none any more; never over another's. */
const COMPLETE: RedisScript = {
  keys: 1,
  lua: `
    local token = redis.call('HGET', KEYS[1], 'token')
    if token and token ~= ARGV[1] then return 0 end
    redis.call('HSET', KEYS[1], 'token', ARGV[1], 'fingerprint', ARGV[2], 'outcome', ARGV[3], 'until', '0')
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
    return 1`,
}

const RELEASE: RedisScript = {
  keys: 1,
  lua: "if redis.call('HGET', KEYS[1], 'token') == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0",
}

/** Leaves a mark where there is no claim, so that this one is not made when it arrives after all. */
const WITHDRAW: RedisScript = {
  keys: 1,
  lua: `
    local found = redis.call('HMGET', KEYS[1], 'token', 'outcome')
    if found[1] == ARGV[1] and not found[2] then return redis.call('DEL', KEYS[1]) end
    if not found[1] then
      redis.call('HSET', KEYS[1], 'withdrawn ' .. ARGV[1], '1')
      redis.call('PEXPIRE', KEYS[1], ARGV[2])
    end
    return 0`,
}

export function createRedisIdempotency(redis: RedisConnection): IdempotencyStore {
  const doubtful = new Map<string, string>()
  redis.onRecovery(() => {
    for (const [token, redisKey] of doubtful)
      redis.run(WITHDRAW, redisKey, token, WITHDRAWN_MS).then(
        () => doubtful.delete(token),
        () => {},
      )
  })
  const withdrawLater = (token: string, redisKey: string): void => {
    const oldest = doubtful.size >= MAX_DOUBTFUL ? doubtful.keys().next().value : undefined
    if (oldest !== undefined) doubtful.delete(oldest)
    doubtful.set(token, redisKey)
  }

  return {
    async claim(key, fingerprint, leaseMs): Promise<IdempotencyClaim> {
      const redisKey = `idempotency:${key}`
      const token = randomUUID()
      const [state, outcome] = (await redis
        .run(CLAIM, redisKey, fingerprint, token, Math.ceil(leaseMs), RETAIN_LOST_MS)
        .catch((error) => {
          if (redis.mayHaveRun(error)) withdrawLater(token, redisKey)
          throw error
        })) as [IdempotencyClaim['state'], string?]
      if (state === 'done') return { state, outcome: outcome ?? '' }
      if (state !== 'mine') return { state }
      return {
        state,
        async complete(text, ttlMs) {
          await redis.run(COMPLETE, redisKey, token, fingerprint, text, Math.ceil(ttlMs))
        },
        async release() {
          await redis.run(RELEASE, redisKey, token).catch((error) => {
            withdrawLater(token, redisKey)
            throw error
          })
        },
      }
    },
  }
}
