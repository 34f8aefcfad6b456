// The process under load: what a signal, a reload and a bad file cost the calls that are under way. Nothing, is the promise.
import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { type TestContext, test } from 'node:test'
import { type GatewayProcess, startProcess } from '../support/process.ts'
import { createRudeUpstream } from '../support/rude-upstream.ts'
import { upstreamFor } from '../support/scene.ts'
import { createHold, loopbackAdapter, metric, until } from '../support/wire.ts'

const CALLERS = 8
const HELLO = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** An upstream whose every answer takes 20 ms. */
async function slowUpstream(t: TestContext) {
  const upstream = await createRudeUpstream({
    always: 'slow',
    behaviours: { slow: (socket) => void setTimeout(() => socket.write(HELLO), 20) },
  })
  t.after(() => upstream.close())
  return upstream
}

interface Told {
  /** Status and error type, or the code of a failed connection. */
  readonly outcome: string
  readonly closes: boolean
  readonly at: number
}

/** Callers with kept connections, each with one call after another, until `stop`. */
function load(t: TestContext, gateway: GatewayProcess, urls: readonly string[], callers = CALLERS) {
  const agent = new Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  const told: Told[] = []
  let running = true
  t.after(() => {
    running = false
  })
  const one = async (first: number): Promise<void> => {
    for (let turn = first; running; turn++) {
      const body = JSON.stringify({ url: urls[turn % urls.length] })
      const [outcome, closes] = await gateway.ask('POST', '/v1/requests', body, agent).then(
        ({ status, headers, text }) =>
          [`${status} ${JSON.parse(text).error?.type ?? 'ok'}`, headers.connection === 'close'] as const,
        (error: NodeJS.ErrnoException) => [error.code ?? error.message, true] as const,
      )
      told.push({ outcome, closes, at: performance.now() })
      if (outcome === 'ECONNREFUSED') return
    }
  }
  const ended = Promise.all(Array.from({ length: callers }, (_, index) => one(index)))
  return {
    told,
    async stop() {
      running = false
      await ended
    },
  }
}

const countOf = (told: readonly Told[], outcome: string): number => told.filter((call) => call.outcome === outcome).length

test('SIGTERM under load loses no call, and the process ends with 0', async (t) => {
  const upstream = await slowUpstream(t)
  const gateway = await startProcess(t, { adapters: [loopbackAdapter('a', upstream.origin)] })
  const calls = load(t, gateway, [`${upstream.origin}/`])
  await until('calls are answered', () => calls.told.length > 40)
  const from = performance.now()
  gateway.child.kill('SIGTERM')
  await until('it is not ready', async () => (await gateway.ask('GET', '/readyz', null)).status === 503, 400)
  const notReady = performance.now()
  assert.deepEqual((await gateway.ask('POST', '/v1/requests', JSON.stringify({ url: upstream.origin }))).status, 200)
  assert.deepEqual(await gateway.exited, [0, null])
  assert.ok(performance.now() - from < 5000)
  await calls.stop()
  // What reached the upstream was answered in full.
  assert.equal(upstream.received.length, countOf(calls.told, '200 ok') + 1)
  const later = calls.told.filter(({ at, outcome }) => at > notReady + 50 && outcome.startsWith('200'))
  assert.ok(later.length > 10, 'calls were still taken for a moment')
  assert.ok(later.every(({ closes }) => closes))
  for (const { outcome } of calls.told) assert.match(outcome, /^(?:200 ok|503 Draining|ECONNREFUSED|ECONNRESET)$/)
})

test('a call that is under way at SIGTERM is answered, a new one by then refused with Draining', async (t) => {
  const hold = createHold()
  const upstream = await createRudeUpstream({ always: 'hold', behaviours: { hold: hold.behaviour } })
  t.after(() => upstream.close())
  const listen = { port: 0, drainNotice: 0 }
  const gateway = await startProcess(t, { listen, adapters: [loopbackAdapter('a', upstream.origin)] })
  const first = gateway.call(upstream.origin)
  await until('it is under way', () => upstream.received.length === 1)
  gateway.child.kill('SIGTERM')
  await until('it is not ready', async () => (await gateway.ask('GET', '/readyz', null)).status === 503)
  assert.deepEqual(await gateway.call(upstream.origin), [503, 'Draining'])
  hold.release()
  assert.deepEqual(await first, [200, null])
  assert.deepEqual(await gateway.exited, [0, null])
})

test('a second signal ends it at once, with another code than 0', async (t) => {
  const upstream = await createRudeUpstream({ always: 'hold', behaviours: { hold: createHold().behaviour } })
  t.after(() => upstream.close())
  const gateway = await startProcess(t, { adapters: [loopbackAdapter('a', upstream.origin)] })
  const lost = gateway.call(upstream.origin).catch((error: NodeJS.ErrnoException) => error.code)
  await until('it is under way', () => upstream.received.length === 1)
  gateway.child.kill('SIGTERM')
  await until('it drains', () => /draining/.test(gateway.logs()))
  const from = performance.now()
  gateway.child.kill('SIGTERM')
  assert.deepEqual(await gateway.exited, [1, null])
  assert.ok(performance.now() - from < 1000)
  assert.equal(await lost, 'ECONNRESET')
})

test('a reload under load fails no call, and what did not change keeps its connections and its breaker', async (t) => {
  const [same, changed] = [await slowUpstream(t), await slowUpstream(t)]
  const sick = await upstreamFor(t)
  sick.answer({ status: 500 })
  const breaker = { volume: 2, errorRate: '50%', openFor: '60s' }
  const config = (team: string) => ({
    adapters: [
      loopbackAdapter('same', same.origin),
      loopbackAdapter('sick', sick.origin, { breaker }),
      loopbackAdapter('changed', changed.origin, { headers: { 'X-Team': team } }),
    ],
  })
  const gateway = await startProcess(t, config('t0'))
  for (let i = 0; i < 2; i++) await gateway.call(sick.origin)
  assert.deepEqual(await gateway.call(sick.origin), [503, 'BreakerOpen'])
  const calls = load(t, gateway, [`${same.origin}/`, `${changed.origin}/`])
  await until('calls are answered', () => calls.told.length > 40)
  const connections = changed.accepted
  for (const team of ['t1', 't2', 't3']) {
    gateway.write(config(team))
    if (team !== 't1') gateway.child.kill('SIGHUP') // the first is seen in the file alone
    const arrived = (): boolean => changed.received.some(({ headers }) => headers.some(([, value]) => value === team))
    await until(`${team} serves`, arrived, 3000)
  }
  gateway.write('adapters: [')
  gateway.child.kill('SIGHUP')
  await until('it is refused', () => /configuration refused/.test(gateway.logs()), 3000)
  const before = calls.told.length
  await until('calls go on', () => calls.told.length > before + 20)
  await calls.stop()
  assert.equal(countOf(calls.told, '200 ok'), calls.told.length)
  assert.ok(same.accepted <= CALLERS, 'never more than the callers at once: they were kept')
  assert.ok(changed.accepted > connections, 'these were not')
  assert.deepEqual(await gateway.call(sick.origin), [503, 'BreakerOpen'])
  const page = await gateway.metrics()
  assert.equal(metric(page, 'sallyport_config_last_reload_successful'), 0)
  assert.ok(metric(page, 'sallyport_config_reload_failures_total') >= 1)
})
