// Two hundred callers at once, good and bad, some of whom hang up, and an upstream that is killed in the middle: nobody is left
// without an answer, nothing crashes, and memory, descriptors and timers return to what they were.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { startGateway } from '../support/gateway.ts'
import { assertFreed, loopbackAdapter, metric, until } from '../support/wire.ts'

const CALLERS = 200
/** Good answers until the upstream is killed, and answers of any kind after that. */
const BEFORE_KILL = 400
const AFTER_KILL = 800
/** Whatever was reached by then. */
const LONGEST_MS = 30_000
const MIB = 1024 * 1024
const KIND_COUNT = 8

/** In a process of its own, so that it can be killed as processes are: without a word. `/slow` takes 40 ms. */
const UPSTREAM = `
  const server = require('node:http').createServer((req, res) => {
    req.resume().on('end', () => setTimeout(() => res.setHeader('content-type', 'application/json').end('{"ok":true}'), req.url === '/slow' ? 40 : 0))
  })
  server.listen(0, '127.0.0.1', () => process.stdout.write(server.address().port + '\\n'))`

async function startUpstream(): Promise<{ origin: string; process: ChildProcess }> {
  const child = spawn(process.execPath, ['-e', UPSTREAM], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return { origin: `http://127.0.0.1:${Number(line.toString())}`, process: child }
}

interface Answered {
  readonly id: string
  readonly status: number
  readonly type: string
  /** It was made out what would be sent, so that the intent was recorded. */
  readonly prepared: boolean
}

const bodyOf = (kind: number, origin: string): string => {
  switch (kind) {
    case 0:
      return JSON.stringify({ url: `${origin}/slow` })
    case 1:
      return JSON.stringify({ url: `${origin}/`, method: 'POST', json: { fill: 'x'.repeat(20_000) } })
    case 2:
      return '{"url":'
    case 3:
      return JSON.stringify({ url: `${origin}/`, nope: 1 })
    case 4:
      return JSON.stringify({ url: 'http://10.0.0.1/' })
    default:
      return JSON.stringify({ url: `${origin}/` })
  }
}

const collectGarbage = ((): (() => void) => {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
})()

const heap = (): number => {
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
/** Of this process; 0 where the system does not tell. */
const descriptors = (): number => (existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0)

test('two hundred callers at once, and the upstream killed in the middle', async (t) => {
  const strays: unknown[] = []
  const onStray = (reason: unknown): void => void strays.push(reason)
  process.on('unhandledRejection', onStray)
  t.after(() => process.off('unhandledRejection', onStray))
  const up = await startUpstream()
  t.after(() => up.process.kill('SIGKILL'))
  const gateway = await startGateway({
    adapters: [
      loopbackAdapter('up', up.origin, {
        timeout: { read: '2s', total: '4s' },
        retry: { total: 1, backoffFactor: '5ms' },
        breaker: { openFor: '200ms' },
        limits: { concurrency: 50, queue: 400 },
        pool: { connections: 50 },
      }),
    ],
  })
  const agent = new Agent({ keepAlive: true, maxSockets: CALLERS })
  let count = 0
  let hungUp = 0
  const answers: Answered[] = []

  /** null: hung up before the answer. */
  const post = (kind: number): Promise<Answered | null> => {
    const id = `load-${count++}`
    const headers = { 'content-type': 'application/json', 'x-request-id': id }
    return new Promise((resolve, reject) => {
      const outgoing = request({ port: gateway.port, path: '/v1/requests', method: 'POST', agent, headers }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          const envelope = JSON.parse(Buffer.concat(chunks).toString())
          assert.equal(envelope.requestId, id)
          const type = envelope.error?.type ?? 'none'
          resolve({ id, status: response.statusCode ?? 0, type, prepared: envelope.request !== null })
        })
      })
      outgoing.end(bodyOf(kind, up.origin))
      const leaves = kind === 0 && count % 3 === 0
      if (leaves) setTimeout(() => outgoing.destroy(), 10)
      outgoing.on('error', (error) => (leaves ? resolve(null) : reject(error)))
    })
  }
  const work = async (isEnough: () => boolean): Promise<void> => {
    const end = performance.now() + LONGEST_MS
    const one = async (seed: number): Promise<void> => {
      for (let turn = seed; !isEnough() && performance.now() < end; turn++) {
        const answered = await post(turn % KIND_COUNT)
        if (answered === null) hungUp++
        else answers.push(answered)
      }
    }
    await Promise.all(Array.from({ length: CALLERS }, (_, seed) => one(seed)))
  }

  await work(() => answers.length >= CALLERS) // everything that is made on first use
  await until(
    'the first calls have ended',
    async () => metric(await gateway.metrics(), 'sallyport_http_requests_in_flight') === 1,
  )
  const before = { heap: heap(), timers: timers(), descriptors: descriptors(), count, hungUp }
  answers.length = 0
  let killedAt: number | null = null
  await work(() => {
    if (killedAt === null && answers.filter(({ type }) => type === 'none').length >= BEFORE_KILL) {
      killedAt = answers.length
      up.process.kill('SIGKILL')
    }
    return killedAt !== null && answers.length >= killedAt + AFTER_KILL
  })

  await t.test('everybody got an answer that fits what was asked', () => {
    const types = new Set(answers.map(({ type }) => type))
    for (const type of ['none', 'ConnectionError', 'InvalidDescriptor', 'EgressDenied'])
      assert.ok(types.has(type), `no call came to ${type}: ${[...types]}`)
    assert.ok(!types.has('InternalError'))
    assert.equal(answers.length + hungUp - before.hungUp, count - before.count, 'a call has no answer')
    assert.deepEqual(strays, [])
  })
  await t.test('slots, connections, memory, timers and descriptors are free again', async () => {
    await assertFreed(gateway, 'up')
    const answered = answers.splice(0)
    await until('timers are as many as before', () => timers() <= before.timers + 5)
    await until('descriptors are as many as before', () => descriptors() <= before.descriptors + 5)
    const grown = heap() - before.heap
    assert.ok(grown < 24 * MIB, `${(grown / MIB).toFixed(1)} MiB more after ${answered.length} calls`)
    answers.push(...answered)
  })
  await t.test('each answered call has one result in the audit trail, and one intent if anything could be sent', () => {
    const records = Map.groupBy(gateway.audit(), ({ id }) => id as string)
    for (const { id, type, prepared } of answers) {
      const kinds = (records.get(id) ?? []).map(({ kind }) => kind)
      assert.deepEqual(kinds, prepared ? ['intent', 'result'] : ['result'], `${id}, ${type}`)
    }
  })
  agent.destroy()
  await gateway.stop()
})
