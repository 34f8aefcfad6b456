// The scan itself must be able to find what it looks for, or a clean suite proves nothing.
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { CANARY, CANARY_TOKEN, findCanaries } from '../../support/canary.ts'
import { startGateway } from '../../support/gateway.ts'
import { startRedis } from '../../support/redis.ts'

describe('the canary scan', () => {
  const hidden: Record<string, string> = {
    'as it is': `token=${CANARY_TOKEN}.`,
    'in upper-case hex': Buffer.from(CANARY_TOKEN).toString('hex').toUpperCase(),
    'in base64 behind no byte': Buffer.from(`${CANARY}tail`).toString('base64'),
    'in base64 behind one byte': Buffer.from(`x${CANARY}tail`).toString('base64'),
    'in base64 behind two bytes': Buffer.from(`ab${CANARY}tail`).toString('base64'),
    'in base64 of Basic credentials': Buffer.from(`someone:${CANARY_TOKEN}`).toString('base64url'),
    'percent-encoded': encodeURIComponent(CANARY),
    'in a JSON string': JSON.stringify({ deep: [CANARY] }),
    'in a form': new URLSearchParams({ q: CANARY }).toString(),
    'as latin-1 bytes': Buffer.from(CANARY, 'latin1').toString('latin1'),
  }
  for (const [name, text] of Object.entries(hidden)) {
    test(`finds it ${name}`, () => assert.notDeepEqual(findCanaries(`before ${text} after`), []))
  }
  test('finds nothing where there is none', () => assert.deepEqual(findCanaries('{"ok":true,"token":"***","status":200}'), []))
})

describe('where the scan looks when a test ends', () => {
  const stored: Record<string, (string | number)[]> = {
    'a key': ['SET', CANARY_TOKEN, 1],
    'a text': ['SET', 'k', Buffer.from(`x${CANARY}`).toString('base64')],
    'another database': ['EVAL', `redis.call('SELECT', 3) return redis.call('SET', 'k', '${CANARY_TOKEN}')`, 0],
    'a hash': ['HSET', 'k', 'a', 1, 'b', CANARY],
    'a list': ['RPUSH', 'k', 'a', CANARY],
    'a set': ['SADD', 'k', 'a', CANARY],
    'a sorted set': ['ZADD', 'k', 1, CANARY],
    'a stream': ['XADD', 'k', '*', 'a', CANARY],
  }
  for (const [name, command] of Object.entries(stored))
    test(`${name} in Redis`, async (t) => {
      const redis = await startRedis()
      t.after(() => redis.stop().catch(() => {}))
      await redis.command(...command)
      if (name === 'a text') redis.pause()
      await assert.rejects(redis.stop(), /a canary secret stood in Redis/)
    })
  test('a Redis that was killed before', async (t) => {
    const redis = await startRedis()
    t.after(() => redis.stop().catch(() => {}))
    await redis.command('SET', 'k', CANARY)
    await redis.kill()
    await assert.rejects(redis.stop(), /a canary secret stood in Redis/)
  })
  test('any file of the data folder', async () => {
    const gateway = await startGateway({ adapters: [] })
    mkdirSync(join(gateway.dataDir, 'deep'), { recursive: true })
    writeFileSync(join(gateway.dataDir, 'deep', 'cache.bin'), Buffer.concat([Buffer.of(0, 255), Buffer.from(CANARY)]))
    await assert.rejects(gateway.stop(), /a canary secret came out/)
  })
})
