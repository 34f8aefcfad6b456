// Against a real Redis that dies, freezes, forgets and forbids.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { after, describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { systemClock as clock } from '../../../src/installation.ts'
import type { Clock, Meter } from '../../../src/model/ports.ts'
import { openRedis, type RedisConnection } from '../../../src/stores/redis.ts'
import { createRedisIdempotency } from '../../../src/stores/redis-idempotency.ts'
import { createRedisValues } from '../../../src/stores/redis-values.ts'
import { aMeter } from '../../support/builders.ts'
import { redisTarget, startRedis, type TestRedis } from '../../support/redis.ts'

const COMMAND_TIMEOUT_MS = 200
/** For tests that are not about time. */
const PATIENT_MS = 5000
/** What a loaded machine may add: a promised time is held at ten times its value. */
const SLACK_MS = COMMAND_TIMEOUT_MS * 9

const closers: (() => void | Promise<void>)[] = []
after(async () => {
  for (const close of closers.reverse()) await close()
})

async function aServer(args: readonly string[] = []): Promise<TestRedis> {
  const server = await startRedis({ args })
  closers.push(() => server.stop())
  return server
}

function connectTo(
  url: string,
  commandTimeoutMs = COMMAND_TIMEOUT_MS,
): { redis: RedisConnection; meter: ReturnType<typeof aMeter>; lines: string[] } {
  const meter = aMeter()
  const lines: string[] = []
  const log = { log: (...given: unknown[]) => void lines.push(JSON.stringify(given)) }
  const ports: { clock: Clock; meter: Meter; log: typeof log } = { clock, meter, log }
  const redis = openRedis({ target: redisTarget(url), prefix: 'sallyport:', commandTimeoutMs, connectTimeoutMs: 500 }, ports)
  closers.push(() => redis.close())
  return { redis, meter, lines }
}

async function until(condition: () => boolean, withinMs = 5000): Promise<void> {
  const end = performance.now() + withinMs
  while (!condition()) {
    assert.ok(performance.now() < end, `not within ${withinMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function heldBytes(): number {
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** How long the refusal took; fails where there was none. */
async function refused(work: Promise<unknown>): Promise<{ ms: number; message: string }> {
  const began = performance.now()
  let message = ''
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof GatewayError && error.type === 'Overloaded', String(error))
    assert.equal(error.cause, undefined)
    message = error.message
    return true
  })
  return { ms: performance.now() - began, message }
}

const write = (redis: RedisConnection): Promise<unknown> =>
  createRedisValues(redis).put('k', 'v', { ttlMs: 1000, ifVersion: null })

describe('a Redis in trouble', () => {
  test('killed: refused at once, told once, and used again when it is back', async () => {
    const server = await aServer()
    const { redis, meter, lines } = connectTo(server.url, PATIENT_MS)
    await until(redis.healthy)
    await server.kill()
    await until(() => !redis.healthy())
    for (let i = 0; i < 20; i++) assert.ok((await refused(write(redis))).ms < SLACK_MS)
    await server.restart()
    await until(redis.healthy)
    assert.equal(await write(redis), true)
    const states = meter.deeds.filter(([name]) => name === 'storeHealthy').map((deed) => deed[2])
    assert.deepEqual(states, [true, false, true])
    assert.equal(lines.length, 3, lines.join('\n'))
  })

  test('frozen: no command waits longer than its time limit, none is kept for later, and it recovers without help', async () => {
    const server = await aServer()
    const { redis } = connectTo(server.url)
    await until(redis.healthy)
    server.pause()
    const slowest = Math.max(...(await Promise.all(Array.from({ length: 500 }, () => refused(write(redis))))).map(({ ms }) => ms))
    assert.ok(slowest < COMMAND_TIMEOUT_MS + SLACK_MS, `${slowest} ms`)
    await until(() => !redis.healthy(), COMMAND_TIMEOUT_MS + SLACK_MS)
    // Past the socket's limit there is no connection to wait on.
    await new Promise((resolve) => setTimeout(resolve, COMMAND_TIMEOUT_MS * 3))
    const values = createRedisValues(redis)
    for (let i = 0; i < 5; i++)
      assert.ok((await refused(values.put('late', 'v', { ttlMs: 60_000, ifVersion: null }))).ms < COMMAND_TIMEOUT_MS + SLACK_MS)
    server.resume()
    await until(redis.healthy)
    assert.equal(await values.get('late'), null)
    assert.equal(await values.put('late', 'v', { ttlMs: 60_000, ifVersion: null }), true)
  })

  test('a burst while it is frozen, then 50,000 commands, and as many while it is dead: memory stays flat', async () => {
    const server = await aServer()
    const { redis, meter } = connectTo(server.url)
    await until(redis.healthy)
    const put = (i: number): Promise<unknown> =>
      createRedisValues(redis)
        .put(`k${i}`, `${i}`.repeat(500), { ttlMs: 1000, ifVersion: null })
        .catch(() => {})
    const before = heldBytes()
    const assertFlat = (when: string): void => {
      meter.deeds.length = 0
      const grown = heldBytes() - before
      assert.ok(grown < 10 * 1024 * 1024, `${grown} bytes more, ${when}`)
    }
    server.pause()
    await Promise.all(Array.from({ length: 5000 }, (_, i) => put(i)))
    await until(() => !redis.healthy())
    // The socket's own limit: what was written to it goes with it.
    await new Promise((resolve) => setTimeout(resolve, COMMAND_TIMEOUT_MS * 3))
    assertFlat('after the burst')
    for (let i = 0; i < 50_000; i++) await put(i)
    assertFlat('frozen')
    await server.kill()
    for (let i = 0; i < 50_000; i++) await put(i)
    assertFlat('dead')
    await server.restart()
    await until(redis.healthy)
    assert.ok(Number(await server.command('DBSIZE')) <= 1, 'the heartbeat alone')
  })

  test('frozen from the start: nothing hangs, and it is used once it answers', async () => {
    const server = await aServer()
    server.pause()
    const { redis } = connectTo(server.url)
    assert.ok((await refused(write(redis))).ms < COMMAND_TIMEOUT_MS + SLACK_MS)
    await new Promise((resolve) => setTimeout(resolve, 600))
    server.resume()
    await until(redis.healthy)
  })

  test('a claim that Redis took although its answer was lost does not block the key', async () => {
    const server = await aServer()
    const { redis } = connectTo(server.url)
    await until(redis.healthy)
    const store = createRedisIdempotency(redis)
    await store.claim('warm', 'print', 1000)
    server.pause()
    await refused(store.claim('k', 'print', 60_000))
    server.resume()
    await until(redis.healthy)
    let state = ''
    const end = performance.now() + 3000
    while (state !== 'mine' && performance.now() < end) {
      const claim = await store.claim('k', 'print', 60_000)
      state = claim.state
      assert.notEqual(state, 'lost')
    }
    assert.equal(state, 'mine')
  })

  test('a wrong password is said so, without the password or the URL', async () => {
    const server = await aServer(['--requirepass', 'right-canary-1'])
    const { redis, lines } = connectTo(`redis://:wrong-canary-2@127.0.0.1:${server.port}`, PATIENT_MS)
    await until(() => lines.length > 0)
    const { message } = await refused(write(redis))
    assert.match(`${lines.join()}${message}`, /refuses our user or password|not connected/)
    assert.match(lines.join(), /refuses our user or password/)
    assert.doesNotMatch(`${lines.join()}${message}`, /canary|redis:\/\//)
    assert.match(message, new RegExp(`127\\.0\\.0\\.1:${server.port}`))
  })

  test('no password where one is wanted', async () => {
    const server = await aServer(['--requirepass', 'right-canary-1'])
    const { lines } = connectTo(server.url, PATIENT_MS)
    await until(() => lines.length > 0)
    assert.match(lines.join(), /refuses our user or password/)
  })

  test('the right password connects', async () => {
    const server = await aServer(['--requirepass', 'right-canary-1'])
    const { redis } = connectTo(`redis://:right-canary-1@127.0.0.1:${server.port}`, PATIENT_MS)
    await until(redis.healthy)
    assert.equal(await write(redis), true)
  })

  test('full: reads go on, health says away and does not flap', async () => {
    const server = await aServer(['--maxmemory', '1', '--maxmemory-policy', 'noeviction'])
    const { redis, meter } = connectTo(server.url, PATIENT_MS)
    const states = (): unknown[] => meter.deeds.filter(([name]) => name === 'storeHealthy').map((deed) => deed[2])
    await until(() => states().length > 0)
    assert.match((await refused(write(redis))).message, /is full; raise its maxmemory/)
    assert.equal(await createRedisValues(redis).get('k'), null)
    await new Promise((resolve) => setTimeout(resolve, 1200))
    assert.deepEqual(states(), [false])
  })

  test('a server that accepts and never speaks, and one that speaks something else', async () => {
    for (const speak of [() => {}, (socket: Socket) => void socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')]) {
      const sockets = new Set<Socket>()
      const server: Server = createServer((socket) => {
        sockets.add(socket)
        socket.on('error', () => {})
        speak(socket)
      }).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const address = server.address()
      const { redis } = connectTo(`redis://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`)
      assert.ok((await refused(write(redis))).ms < COMMAND_TIMEOUT_MS + SLACK_MS)
      await new Promise((resolve) => setTimeout(resolve, 300))
      assert.ok((await refused(write(redis))).ms < COMMAND_TIMEOUT_MS + SLACK_MS)
      redis.close()
      for (const socket of sockets) socket.destroy()
      server.close()
    }
  })

  test('an emptied script cache costs no call', async () => {
    const server = await aServer()
    const { redis } = connectTo(server.url, PATIENT_MS)
    await until(redis.healthy)
    await createRedisValues(redis).get('k')
    const socket = connect(server.port, '127.0.0.1')
    socket.write('SCRIPT FLUSH\r\n')
    await once(socket, 'data')
    socket.destroy()
    assert.equal(await createRedisValues(redis).get('k'), null)
    assert.equal(redis.healthy(), true)
  })
})
