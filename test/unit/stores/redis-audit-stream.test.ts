// Against a real Redis: bounded, nothing lost, nothing twice.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Redis } from 'ioredis'
import type { ShippedRecord } from '../../../src/model/audit-sink.ts'
import { openRedis, type RedisConnection } from '../../../src/stores/redis.ts'
import { createRedisAuditStream } from '../../../src/stores/redis-audit-stream.ts'
import { aMeter } from '../../support/builders.ts'
import { redisTarget, startRedis, type TestRedis } from '../../support/redis.ts'

let server: TestRedis
let redis: RedisConnection
let client: Redis
before(async () => {
  server = await startRedis()
  const clock = { now: () => performance.now(), date: () => Date.now(), after: () => () => {} }
  redis = openRedis(
    { target: redisTarget(server.url), prefix: 'sallyport:', commandTimeoutMs: 5000 },
    { clock, meter: aMeter(), log: { log: () => {} } },
  )
  client = new Redis(server.url)
  await new Promise<void>((resolve) => redis.onRecovery(resolve))
})
after(async () => {
  redis.close()
  client.disconnect()
  await server.stop()
})

const KEY = 'sallyport:audit'
const records = (from: number, to: number, chain = 'c1'): ShippedRecord[] =>
  Array.from({ length: to - from + 1 }, (_, i) => ({ chain, seq: from + i, at: 0, line: `{"seq":${from + i}}` }))
const fresh = async (maxRecords = 10) => {
  await client.flushall()
  return createRedisAuditStream(redis, { maxRecords, group: 'collector' })
}
type Entry = [id: string, fields: string[]]
const read = async (count: number, group = 'collector'): Promise<Entry[]> => {
  const answer = (await client.xreadgroup('GROUP', group, 'reader', 'COUNT', count, 'STREAMS', KEY, '>')) as
    | [string, Entry[]][]
    | null
  return answer?.[0]?.[1] ?? []
}
const ack = (entries: readonly Entry[], group = 'collector') => client.xack(KEY, group, ...entries.map(([id]) => id))
const seqs = (entries: readonly Entry[]) => entries.map(([, fields]) => Number(fields[3]))

test('a collector reads every record in order, from the group that stands there from the beginning', async () => {
  const stream = await fresh()
  assert.equal(await stream.send(records(1, 3)), true)
  const [first, ...more] = await read(10)
  assert.deepEqual(first?.[1], ['chain', 'c1', 'seq', '1', 'record', '{"seq":1}'])
  assert.deepEqual(seqs(more), [2, 3])
})

test('a batch that comes again is not added again, and one that comes again in part is added in part; each chain for itself', async () => {
  const stream = await fresh()
  await stream.send(records(1, 3))
  assert.equal(await stream.send(records(1, 3)), true)
  assert.equal(await stream.send(records(2, 5)), true)
  assert.equal(await stream.send(records(1, 2, 'c2')), true)
  assert.deepEqual(seqs(await read(20)), [1, 2, 3, 4, 5, 1, 2])
})

test('what is not acknowledged is never trimmed: there is no room until it is', async () => {
  const stream = await fresh()
  assert.equal(await stream.send(records(1, 8)), true)
  assert.equal(await stream.send(records(9, 12)), false)
  assert.equal(await client.xlen(KEY), 8)
  const entries = await read(6)
  await ack(entries.slice(0, 1))
  assert.equal(await stream.send(records(9, 12)), false, 'one place for four')
  await ack(entries.slice(3))
  assert.equal(await stream.send(records(9, 12)), false, 'the second and third are still waited for')
  await ack(entries)
  assert.equal(await stream.send(records(9, 12)), true)
  assert.deepEqual(seqs(await read(20)), [7, 8, 9, 10, 11, 12])
})

test('a second group is waited for too', async () => {
  const stream = await fresh()
  await stream.send(records(1, 8))
  await client.xgroup('CREATE', KEY, 'other', '0')
  await ack(await read(8))
  assert.equal(await stream.send(records(9, 12)), false)
  await ack(await read(8, 'other'), 'other')
  assert.equal(await stream.send(records(9, 12)), true)
  assert.deepEqual(
    [seqs(await read(9)), seqs(await read(9, 'other'))],
    [
      [9, 10, 11, 12],
      [9, 10, 11, 12],
    ],
  )
})

test('a group that somebody removed is made again', async () => {
  const stream = await fresh()
  await stream.send(records(1, 2))
  await client.xgroup('DESTROY', KEY, 'collector')
  await stream.send(records(3, 3))
  assert.deepEqual(seqs(await read(9)), [1, 2, 3])
})
