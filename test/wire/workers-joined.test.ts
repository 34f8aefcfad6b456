// Several workers with what a machine has one of, or shares with others: listeners, collectors of the audit trail, a Redis, a
// signal that ends them.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, Agent as HttpAgent } from 'node:http'
import { request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { certificates } from '../support/certificates.ts'
import { freePort } from '../support/free-port.ts'
import type { GatewayProcess } from '../support/process.ts'
import { startRedis } from '../support/redis.ts'
import { createRudeUpstream } from '../support/rude-upstream.ts'
import { upstreamFor } from '../support/scene.ts'
import { loopbackAdapter, makeFolder, metric, until } from '../support/wire.ts'
import { pidsOf, workersFor } from '../support/workers.ts'

const PEMS = certificates()

interface Shipped {
  readonly seq: number
  readonly kind: string
  readonly id?: string
}

/** Takes the audit trail as lines of JSON. */
async function collectorFor(t: TestContext) {
  const records: Shipped[] = []
  const server = createServer(async (incoming, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    for (const line of Buffer.concat(chunks).toString().trimEnd().split('\n')) records.push(JSON.parse(line) as Shipped)
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { records, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/in` }
}

/** POST /v1/requests over TLS, on a connection of its own: by turns the connections go to one worker and the other. */
function callSecurely(port: number, url: string): Promise<{ readonly status: number; readonly requestId: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' }
    const to = { host: '127.0.0.1', port, path: '/v1/requests', method: 'POST', agent: false, ca: PEMS.ca, headers } as const
    request(to, (response) => {
      const requestId = String(response.headers['x-request-id'])
      response.on('end', () => resolve({ status: response.statusCode ?? 0, requestId })).resume()
    })
      .on('error', reject)
      .end(JSON.stringify({ url }))
  })
}

test('both workers speak TLS, one page on metrics.listen tells of both, and a collector gets one trail of both', async (t) => {
  const upstream = await upstreamFor(t)
  const collector = await collectorFor(t)
  const folder = makeFolder({ 'cert.pem': PEMS.good.cert, 'key.pem': PEMS.good.key })
  t.after(folder.remove)
  const listen = { host: '127.0.0.1', port: await freePort() }
  const gateway = await workersFor(t, {
    listen: { port: 0, tls: { cert: folder.path('cert.pem'), key: folder.path('key.pem') } },
    metrics: { listen },
    audit: { sinks: [{ name: 'siem', type: 'http', url: collector.url }] },
    adapters: [loopbackAdapter('a', upstream.origin)],
  })
  const answers = await Promise.all(Array.from({ length: 12 }, () => callSecurely(gateway.port, `${upstream.origin}/`)))
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))

  for (let asked = 0; asked < 4; asked++) {
    const page = await (await fetch(`http://127.0.0.1:${listen.port}/metrics`)).text()
    assert.equal(metric(page, 'sallyport_calls_total', { status: '2xx' }), 12)
    assert.equal(metric(page, 'sallyport_workers'), 2)
  }
  const ofCalls = () => collector.records.filter(({ kind }) => kind === 'intent' || kind === 'result')
  await until('all are shipped', () => ofCalls().length === 24)
  const seqs = collector.records.map(({ seq }) => seq)
  assert.deepEqual(
    seqs,
    seqs.map((_, index) => index + 1),
    'one order, nothing twice, nothing left out',
  )
  const byCall = Map.groupBy(ofCalls(), ({ id }) => id)
  assert.deepEqual(new Set(byCall.keys()), new Set(answers.map(({ requestId }) => requestId)))
  for (const records of byCall.values())
    assert.deepEqual(
      records.map(({ kind }) => kind),
      ['intent', 'result'],
    )
})

test('with a Redis limits hold for both workers together, and what an operator forces reaches both', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  let now = 0
  let most = 0
  const hello = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
  const upstream = await createRudeUpstream({
    always: 'counts',
    behaviours: {
      counts: (socket) => {
        most = Math.max(most, ++now)
        setTimeout(() => {
          now--
          socket.write(hello)
        }, 20)
      },
    },
  })
  t.after(() => upstream.close())
  const rated = await upstreamFor(t)
  const gateway = await workersFor(t, {
    store: { redis: redis.url },
    adapters: [
      loopbackAdapter('narrow', upstream.origin, { limits: { concurrency: 4, queue: 100 } }),
      loopbackAdapter('rated', rated.origin, { limits: { rate: '10/h', queue: 2 } }),
    ],
  })
  const outcomes = async (count: number, url: string): Promise<string[]> =>
    (await Promise.all(Array.from({ length: count }, () => gateway.call(url)))).map(([status, type]) => type ?? String(status))

  assert.deepEqual(new Set(await outcomes(40, `${upstream.origin}/`)), new Set(['200']))
  assert.equal(most, 4, 'four at once in all, not four each')
  const spent = await outcomes(30, `${rated.origin}/`)
  assert.equal(spent.filter((outcome) => outcome === '200').length, 10, 'ten in all, not ten each')

  const path = '/v1/admin/adapters/narrow/breaker'
  const force = (override: object) => gateway.ask('PUT', path, JSON.stringify(override))
  assert.equal((await force({ state: 'open', reason: 'maintenance', expiresIn: '10m' })).status, 200)
  const all = async (outcome: string): Promise<boolean> =>
    (await outcomes(6, `${upstream.origin}/`)).every((given) => given === outcome)
  await until('both refuse', () => all('BreakerOpen'), 5000)
  assert.equal((await force({ state: null })).status, 200)
  await until('both call again', () => all('200'), 5000)
})

/** Callers with kept connections, one call after another, until nobody listens any more. What became of each call. */
function keepCalling(t: TestContext, gateway: GatewayProcess, url: string) {
  const agent = new HttpAgent({ keepAlive: true })
  t.after(() => agent.destroy())
  const outcomes: string[] = []
  const one = async (): Promise<void> => {
    while (outcomes.at(-1) !== 'ECONNREFUSED')
      outcomes.push(
        await gateway.ask('POST', '/v1/requests', JSON.stringify({ url }), agent).then(
          ({ status, text }) => `${status} ${JSON.parse(text).error?.type ?? 'ok'}`,
          (error: NodeJS.ErrnoException) => error.code ?? error.message,
        ),
      )
  }
  return { outcomes, ended: Promise.all(Array.from({ length: 8 }, one)) }
}

test('SIGTERM under load loses no call of either worker, and all processes end', async (t) => {
  const upstream = await createRudeUpstream({
    always: 'slow',
    behaviours: { slow: (socket) => void setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'), 20) },
  })
  t.after(() => upstream.close())
  const gateway = await workersFor(t, { adapters: [loopbackAdapter('a', upstream.origin)] })
  const { outcomes, ended } = keepCalling(t, gateway, `${upstream.origin}/`)
  await until('calls are answered', () => outcomes.length > 60)
  gateway.child.kill('SIGTERM')
  assert.deepEqual(await gateway.exited, [0, null])
  await ended
  const counted = Map.groupBy(outcomes, (outcome) => outcome)
  assert.equal(upstream.received.length, counted.get('200 ok')?.length, 'whatever reached the upstream was answered')
  for (const outcome of counted.keys()) assert.match(outcome, /^(?:200 ok|503 Draining|ECONNREFUSED|ECONNRESET)$/)
  for (const pid of pidsOf(gateway)) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
})
