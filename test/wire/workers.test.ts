// Several workers on one machine: one port, one audit trail, one metrics page, limits that hold for all of them together, and a
// worker that is killed costs its own calls alone.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { Agent } from 'node:http'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startProcess } from '../support/process.ts'
import { createRudeUpstream } from '../support/rude-upstream.ts'
import { upstreamFor } from '../support/scene.ts'
import { loopbackAdapter, metric, until } from '../support/wire.ts'
import { aSealingKey, pidsOf, workersFor } from '../support/workers.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const HELLO = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

test('two workers share one port, one trail and one page, and one that is killed costs its own calls alone', async (t) => {
  const upstream = await createRudeUpstream({
    always: 'slow',
    behaviours: { slow: (socket) => void setTimeout(() => socket.write(HELLO), 20) },
  })
  t.after(() => upstream.close())
  const gateway = await workersFor(t, { adapters: [loopbackAdapter('a', upstream.origin)] })
  const [first = 0] = pidsOf(gateway)
  const agent = new Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  const body = JSON.stringify({ url: `${upstream.origin}/` })
  const outcomes: string[] = []
  let running = true
  t.after(() => {
    running = false
  })
  const caller = async (): Promise<void> => {
    while (running)
      outcomes.push(
        await gateway.ask('POST', '/v1/requests', body, agent).then(
          ({ status }) => String(status),
          (error: NodeJS.ErrnoException) => error.code ?? error.message,
        ),
      )
  }
  const callers = Promise.all(Array.from({ length: 8 }, caller))
  await until('calls are answered', () => outcomes.length > 60, 30_000)
  process.kill(first, 'SIGKILL')
  await until('another serves in its place', () => pidsOf(gateway).length === 3, 30_000)
  const before = outcomes.length
  await until('calls go on', () => outcomes.length > before + 40, 30_000)
  running = false
  await callers
  const answered = outcomes.filter((outcome) => outcome === '200').length
  const lost = outcomes.filter((outcome) => /^(?:ECONNRESET|EPIPE|socket hang up)$/.test(outcome)).length
  assert.equal(answered + lost, outcomes.length)
  assert.ok(lost >= 1 && lost <= 8, `${lost} lost: no more than were under way`)
  const page = await gateway.metrics()
  assert.equal(metric(page, 'sallyport_workers'), 2)
  assert.equal(metric(page, 'sallyport_workers_replaced_total'), 1)
  assert.equal(new Set([...page.matchAll(/^process_cpu_seconds_total\{worker="(\w+)"/gm)].map(([, worker]) => worker)).size, 3)
  const counted = metric(page, 'sallyport_calls_total', { status: '2xx' })
  assert.ok(counted > before - 60 && counted <= answered + lost, `${counted} counted, ${answered} answered`)
  assert.equal(metric(await gateway.metrics(), 'sallyport_calls_total', { status: '2xx' }), counted, 'whichever is asked')
  const found = JSON.parse((await gateway.ask('GET', '/v1/admin/audit?limit=1000', null)).text) as { records: { kind: string }[] }
  assert.ok(found.records.filter(({ kind }) => kind === 'call').length >= answered)
  gateway.child.kill('SIGTERM')
  assert.deepEqual(await gateway.exited, [0, null])
  const verified = spawnSync(process.execPath, [MAIN, 'audit', 'verify', '--config', gateway.file], { encoding: 'utf8' })
  assert.equal(verified.status, 0, verified.stdout + verified.stderr)
})

test('a reload, a level of the log and a quota hold for both workers together', async (t) => {
  const [one, two] = [await upstreamFor(t), await upstreamFor(t)]
  const config = (...adapters: object[]) => ({ store: KEPT, adapters })
  const KEPT = aSealingKey()
  const gateway = await workersFor(t, config(loopbackAdapter('a', one.origin, { limits: { rate: '10/h', queue: 2 } })))
  const spent = await Promise.all(Array.from({ length: 24 }, () => gateway.call(`${one.origin}/`)))
  assert.equal(spent.filter(([status]) => status === 200).length, 10, 'ten in all, not ten each')
  gateway.write(config(loopbackAdapter('b', two.origin)))
  assert.deepEqual(await gateway.reload(), [200, null])
  for (let i = 0; i < 4; i++) assert.deepEqual(await gateway.call(`${two.origin}/`), [200, null])
  for (let i = 0; i < 4; i++) assert.deepEqual(await gateway.call(`${one.origin}/`), [403, 'EgressDenied'])
  const set = await gateway.ask('PUT', '/v1/admin/log-level', JSON.stringify({ level: 'warn' }))
  assert.equal(set.status, 200, set.text)
  for (let i = 0; i < 4; i++) assert.equal(JSON.parse((await gateway.ask('GET', '/v1/admin/log-level', null)).text).level, 'warn')
  gateway.write(config(loopbackAdapter('b', two.origin, { limits: { concurrency: 1 } })))
  assert.deepEqual(await gateway.reload(), [400, 'InvalidDescriptor'])
  assert.deepEqual(await gateway.call(`${two.origin}/`), [200, null])
})

test('workers are refused where secrets would live in the memory of one', async (t) => {
  const adapters = [loopbackAdapter('a', 'http://127.0.0.1:9')]
  await assert.rejects(startProcess(t, { adapters }, ['--workers', '2']), /2 workers need a sealing key/)
})

test('the end of the primary is the end of its workers', async (t) => {
  const gateway = await workersFor(t, { adapters: [loopbackAdapter('a', 'http://127.0.0.1:9')] })
  gateway.child.kill('SIGKILL')
  const gone = (pid: number): boolean => {
    try {
      return !process.kill(pid, 0)
    } catch {
      return true
    }
  }
  await until('both have ended', () => pidsOf(gateway).every(gone), 30_000)
})
