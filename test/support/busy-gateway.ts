// A gateway to which everything happens that dashboards and alerts tell of: calls that go well, failures of every fault, retries,
// an open breaker, full queues, spent quotas, TLS faults, tokens, sessions, a Redis, an operator.
import { createPublicKey } from 'node:crypto'
import { loadTraces } from '../../src/telemetry/traces.ts'
import { startAuthorizationServer } from './authorization-server.ts'
import { certificates } from './certificates.ts'
import { startCollector } from './collector.ts'
import { startGateway, type TestGateway } from './gateway.ts'
import { startNameServer } from './name-server.ts'
import { startRedis } from './redis.ts'
import { createScriptedUpstream, type Scripted } from './scripted-upstream.ts'
import { loopbackAdapter, pause } from './wire.ts'

export interface BusyGateway {
  readonly gateway: TestGateway
  /** Ids of the traces that its collector has. */
  traces(): ReadonlySet<string>
  /** A second or so of everything. */
  round(): Promise<void>
  stop(): Promise<void>
}

const OPERATOR = 'operator-key-0123456789'
const WATCHED = 'watched-key-0123456789'
const REPORTS = 'reports-key-0123456789'
const BILLING = 'billing-key-0123456789'

export async function startBusyGateway(): Promise<BusyGateway> {
  const redis = await startRedis()
  const names = await startNameServer()
  names.set('up.example.test', '127.0.0.1')
  const key = certificates().client.key
  const auth = await startAuthorizationServer({ clientId: 'c', clientSecret: 's', assertionKey: createPublicKey(key) })
  const up = await createScriptedUpstream()
  up.answer(answerOf)
  const sick = await createScriptedUpstream()
  sick.answer({ status: 503 })
  const tls = await createScriptedUpstream({ tls: certificates().selfSigned })
  tls.answer({ headers: [['Connection', 'close']] })
  const named = `http://up.example.test:${up.port}`
  const at = (path: string): string => `${up.origin}${path}/`
  const under = (name: string, over: object): object => loopbackAdapter(name, `${up.origin}/${name}`, over)
  const collector = await startCollector()
  Object.assign(process.env, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '500' })
  const gateway = await startGateway({
    traces: await loadTraces(process.env),
    config: {
      callers: [
        { name: 'operator', keys: [OPERATOR], admin: true },
        { name: 'watched', keys: [WATCHED], observe: true, may: [] },
        { name: 'reports', keys: [REPORTS], quota: { rate: '4/h', concurrency: 2 }, may: [{ adapter: 'well' }] },
        { name: 'billing', keys: [BILLING], may: NAMES.map((adapter) => ({ adapter })) },
      ],
      store: { redis: redis.url },
      dns: { servers: [names.server] },
      metrics: { public: true },
      audit: { sinks: [{ name: 'siem', type: 'http', url: `${sick.origin}/in` }], stream: { maxRecords: 1000 } },
    },
    adapters: [
      loopbackAdapter('well', named, { sessions: true }),
      loopbackAdapter('lost', 'http://nowhere.example.test'),
      loopbackAdapter('sick', sick.origin, {
        retry: { total: 2, backoffFactor: '5ms', budget: '1%' },
        breaker: { errorRate: '50%', volume: 20, window: '2s', openFor: '500ms' },
      }),
      loopbackAdapter('tls', tls.origin, { tls: { allowInsecure: true } }),
      { name: 'inside', mount: `http://127.0.0.2:${up.port}/` },
      loopbackAdapter('auth', auth.origin, { allowPlaintextSecrets: true }),
      under('slow', { limits: { concurrency: 1, queue: 1 } }),
      under('rated', { limits: { rate: '20/s' } }),
      under('token', { credentials: 'token', allowPlaintextSecrets: true, timeoutHeader: undefined }),
      under('forced', { breaker: {} }),
    ],
    secrets: [
      {
        name: 'token',
        scheme: 'oauth2-client-credentials',
        origins: [up.origin],
        callers: ['*'],
        values: { tokenUrl: auth.tokenUrl, clientId: 'c', clientSecret: 's', scope: 'read' },
      },
    ],
  })
  await gateway.provision(
    { name: 'ending', scheme: 'bearer', origins: [up.origin], callers: ['*'], values: { token: 'x' } },
    { expiresAt: Date.now() + 3_600_000 },
  )
  const as = (key: string) => ({ headers: { 'x-sallyport-key': key } })
  const call = (descriptor: object) => gateway.call(descriptor, as(BILLING))
  const many = async (count: number, descriptor: object): Promise<void> => {
    await Promise.all(Array.from({ length: count }, () => call(descriptor)))
  }
  let rounds = 0

  async function round(): Promise<void> {
    rounds++
    auth.lifeSeconds = 1
    auth.instead = rounds % 3 === 0 ? { status: 500, body: 'no' } : null
    const idempotencyKey = `round-${rounds}`
    await call({ url: `${named}/` })
    await call({ url: `${named}/missing` })
    await call({ url: `${named}/`, method: 'POST', json: { a: 1 }, session: 's' })
    for (let i = 0; i < 2; i++) await call({ url: `${named}/`, method: 'POST', json: {}, idempotencyKey })
    await call({ url: 'http://nowhere.example.test/' })
    await many(8, { url: `${sick.origin}/` })
    await call({ url: `${tls.origin}/` })
    for (let i = 0; i < 2; i++) await call({ url: `${tls.origin}/`, verify: false })
    await call({ url: `http://127.0.0.2:${up.port}/` })
    await many(4, { url: at('/slow') })
    await many(25, { url: at('/rated'), timeout: { total: '200ms' } })
    await call({ url: at('/token') })
    await gateway.call({ url: `${named}/` }, as('no such key'))
    await gateway.call({ url: `${named}/` }, as(OPERATOR))
    await gateway.call({ url: `${named}/` }, as(WATCHED))
    await gateway.call({ url: `${named}/` }, as(REPORTS))
    const forced = JSON.stringify({ state: 'open', reason: 'observed', expiresIn: '10m' })
    await gateway.send('PUT', '/v1/admin/adapters/forced/breaker', forced, {
      headers: { 'content-type': 'application/json', 'x-sallyport-key': OPERATOR },
    })
    await pause(200)
  }

  return {
    gateway,
    traces: () => new Set(collector.spans.map(({ traceId }) => traceId)),
    round,
    async stop() {
      await gateway.stop()
      for (const upstream of [up, sick, tls]) await upstream.close()
      await auth.close()
      await collector.close()
      await names.close()
      await redis.stop()
    },
  }
}

const NAMES = ['well', 'lost', 'sick', 'tls', 'inside', 'slow', 'rated', 'token', 'forced']

function answerOf({ target }: { readonly target: string }): Scripted {
  if (target === '/missing') return { status: 404 }
  if (target.startsWith('/token')) return { headers: [['Connection', 'close']], body: 'ok' }
  return { headers: [['Set-Cookie', `seen=${Date.now()}`]], body: 'x'.repeat(100) }
}
