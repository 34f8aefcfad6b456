// Calls as traces at a real OTLP receiver: what continues what, what a span says and what it must not, and that a collector that is
// slow, broken or gone costs calls nothing.
import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import { loadTraces } from '../../src/telemetry/traces.ts'
import { CANARY_TOKEN, findCanaries } from '../support/canary.ts'
import { type CollectedSpan, type Collector, startCollector } from '../support/collector.ts'
import { startGateway } from '../support/gateway.ts'
import { type SceneOptions, setScene } from '../support/scene.ts'
import { redirectTo, valuesOf } from '../support/scripted-upstream.ts'
import { loopbackAdapter, metric, until } from '../support/wire.ts'

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'
const traced = (flags = '01', more: Record<string, string> = {}) => ({
  headers: { traceparent: `00-${TRACE_ID}-${PARENT}-${flags}`, ...more },
})

async function setTraceScene(t: TestContext, options: SceneOptions = {}, env: Record<string, string> = {}) {
  const collector = await startCollector()
  const variables = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '20', ...env }
  Object.assign(process.env, variables) // the exporter reads them itself
  const traces = await loadTraces(process.env)
  assert.ok(traces)
  const scene = await setScene(t, { ...options, traces })
  t.after(async () => {
    for (const name of Object.keys(variables)) delete process.env[name]
    await collector.close()
    assert.deepEqual(findCanaries(collector.text()), [], 'a canary secret came out by the traces')
  })
  return { ...scene, traces, collector }
}

async function spansOf(collector: Collector, count: number): Promise<{ server: CollectedSpan; tries: CollectedSpan[] }> {
  await until(`${count} spans are there`, () => collector.spans.length >= count)
  const server = collector.spans.find(({ kind }) => kind === 'server')
  assert.ok(server)
  const tries = collector.spans.filter(({ kind }) => kind === 'client').sort((a, b) => a.start - b.start)
  return { server, tries }
}

it('a call is a server span under its caller, and each try a client span under that', async (t) => {
  const { gateway, up, at, collector } = await setTraceScene(t, { adapter: { retry: { total: 2, backoffFactor: '5ms' } } })
  let tries = 0
  up.answer(() => (++tries < 3 ? { status: 503 } : {}))
  const { envelope } = await gateway.call({ url: at('/path?a=b') }, traced())
  assert.equal(envelope.status, 200)
  const spans = await spansOf(collector, 4)
  const { server } = spans
  assert.deepEqual([server.traceId, server.parentSpanId, server.name], [TRACE_ID, PARENT, 'POST /v1/requests'])
  assert.deepEqual([server.resource['service.name'], server.failed], ['sallyport', false])
  const { attributes } = server
  assert.deepEqual(
    [attributes['http.response.status_code'], attributes['sallyport.request_id'], attributes['sallyport.adapter']],
    [200, envelope.requestId, 'up'],
  )
  assert.deepEqual(
    ['http.request.method', 'http.route', 'url.path', 'url.scheme'].map((name) => attributes[name]),
    ['POST', '/v1/requests', '/v1/requests', 'http'],
  )
  assert.deepEqual([attributes['sallyport.caller'], attributes['sallyport.fault']], ['local', 'none'])
  assert.deepEqual(
    spans.tries.map(({ traceId, parentSpanId, name, failed }) => [traceId, parentSpanId, name, failed]),
    [true, true, false].map((failed) => [TRACE_ID, server.spanId, 'GET', failed]),
  )
  assert.deepEqual(
    spans.tries.map(({ attributes: of }) => [of['http.response.status_code'], of['error.type'], of['http.request.resend_count']]),
    [
      [503, '503', undefined],
      [503, '503', 1],
      [200, undefined, 2],
    ],
  )
  const first = spans.tries[0]?.attributes ?? {}
  assert.deepEqual(
    [
      first['http.request.method'],
      first['url.full'],
      first['server.address'],
      first['server.port'],
      first['network.peer.address'],
    ],
    ['GET', at('/path'), '127.0.0.1', up.port, '127.0.0.1'],
  )
  assert.deepEqual(
    server.events.map(({ name, attributes: of }) => [name, of['sallyport.because']]),
    [
      ['waited', 'backoff'],
      ['waited', 'backoff'],
    ],
  )
  for (const span of [...spans.tries, ...server.events.map(({ at: start }) => ({ start, end: start }))])
    assert.ok(span.start >= server.start - 1 && span.end <= server.end + 1, 'within the call')
  assert.equal(
    JSON.parse(
      gateway
        .logs()
        .split('\n')
        .find((line) => line.includes('"event":"call"')) ?? '',
    ).traceId,
    TRACE_ID,
  )
})

it('secrets of every place, queries and logins are in no span', async (t) => {
  const { gateway, at, collector } = await setTraceScene(t, {
    adapter: { credentials: 'key', allowPlaintextSecrets: true },
    secrets: ({ origin }) => [
      { name: 'key', scheme: 'query', origins: [origin], callers: ['*'], values: { name: 'k', value: CANARY_TOKEN } },
    ],
  })
  const echoes = { ...traced(), echoes: true }
  const headers = { 'X-Secret': CANARY_TOKEN }
  await gateway.call({ url: at(`/path?token=${CANARY_TOKEN}`), headers, json: { secret: CANARY_TOKEN } }, echoes)
  await gateway.call({ url: at('/path').replace('://', `://user:${CANARY_TOKEN}@`), cookies: { c: CANARY_TOKEN } }, echoes)
  const { server, tries } = await spansOf(collector, 4)
  assert.equal(server.attributes['sallyport.credential'], 'key@1')
  for (const { attributes } of tries) assert.equal(attributes['url.full'], at('/path'))
})

it('without a caller to continue a trace of our own is begun, and stands in the log and on the metrics', async (t) => {
  const { gateway, at, collector } = await setTraceScene(t)
  await gateway.call({ url: at('/') })
  const { server } = await spansOf(collector, 2)
  assert.equal(server.parentSpanId, '')
  assert.ok(gateway.logs().includes(`"traceId":"${server.traceId}"`))
  const { text } = await gateway.get('/metrics', { headers: { accept: 'application/openmetrics-text' } })
  assert.ok(text.includes(`# {trace_id="${server.traceId}"}`))
  await until(
    'the export is counted',
    async () => metric(await gateway.metrics(), 'sallyport_trace_spans_total', { outcome: 'exported' }) === 2,
  )
})

it("an upstream that may hear of it continues the try's own span, hop by hop and try by try", async (t) => {
  const { gateway, up, at, collector } = await setTraceScene(t, {
    adapter: { propagate: ['traceparent'], retry: { total: 1, backoffFactor: '1ms' } },
  })
  let tries = 0
  up.answer(() => (++tries === 1 ? { status: 503 } : tries === 2 ? redirectTo('/next') : {}))
  await gateway.call({ url: at('/') }, traced('01', { tracestate: 'vendor=opaque' }))
  const { tries: spans } = await spansOf(collector, 4)
  const sent = up.received.map((request) => [valuesOf(request, 'traceparent'), valuesOf(request, 'tracestate')])
  assert.deepEqual(
    sent,
    spans.map(({ spanId }) => [[`00-${TRACE_ID}-${spanId}-01`], ['vendor=opaque']]),
  )
  assert.equal(new Set(spans.map(({ spanId }) => spanId)).size, 3)
  assert.equal(spans[0]?.traceState, 'vendor=opaque')
})

it('nothing of it goes to an upstream otherwise, and what the caller gives itself stands', async (t) => {
  const { gateway, up, at, collector } = await setTraceScene(t, {
    others: ({ origin }) => [loopbackAdapter('open', `${origin}/open`, { propagate: ['traceparent'] })],
  })
  await gateway.call({ url: at('/') }, traced())
  assert.deepEqual(valuesOf(up.last(), 'traceparent'), [])
  await gateway.call({ url: at('/open/'), headers: { traceparent: 'my own' } }, traced())
  assert.deepEqual(valuesOf(up.last(), 'traceparent'), ['my own'])
  await gateway.call({ url: at('/open/'), headers: { traceparent: null } }, traced())
  assert.deepEqual(valuesOf(up.last(), 'traceparent'), [])
  await spansOf(collector, 6)
})

it('a caller that does not sample is not sampled, and its upstream is told so', async (t) => {
  const { gateway, up, at, collector } = await setTraceScene(t, { adapter: { propagate: ['traceparent'] } })
  await gateway.call({ url: at('/') }, traced('00'))
  assert.match(valuesOf(up.last(), 'traceparent')[0] ?? '', new RegExp(`^00-${TRACE_ID}-[0-9a-f]{16}-00$`))
  await gateway.call({ url: at('/') }, traced('01'))
  const { server } = await spansOf(collector, 2)
  assert.equal(collector.spans.length, 2)
  assert.equal(server.traceId, TRACE_ID)
})

it('a refusal is an event with its rule, and its span is failed where the answer is', async (t) => {
  const { gateway, collector } = await setTraceScene(t, {
    others: () => [{ name: 'inside', mount: 'http://127.0.0.2/' }],
  })
  const { status } = await gateway.call({ url: 'http://127.0.0.2/' }, traced())
  const { server, tries } = await spansOf(collector, 2)
  assert.deepEqual(
    [server.attributes['http.response.status_code'], server.attributes['error.type'], server.attributes['sallyport.fault']],
    [status, 'EgressDenied', 'caller'],
  )
  assert.deepEqual(
    server.events.map(({ name, attributes }) => [name, attributes['sallyport.rule']]),
    [['refused', 'egress-address']],
  )
  assert.deepEqual([server.failed, tries[0]?.failed, tries[0]?.attributes['error.type']], [false, true, 'EgressDenied'])
})

for (const mode of ['silent', 'broken'] as const)
  it(`a collector that is ${mode} delays no call, is said in the log, and holds up no shutdown for long`, async (t) => {
    const { gateway, at, collector } = await setTraceScene(t, {}, { OTEL_EXPORTER_OTLP_TIMEOUT: '200' })
    collector.mode = mode
    const from = performance.now()
    for (let i = 0; i < 20; i++) await gateway.call({ url: at('/') })
    assert.ok(performance.now() - from < 2000)
    await until('it was asked', () => collector.requests > 0)
    await until('the log says so', () => gateway.logs().includes('"event":"traces not exported"'))
    assert.ok(metric(await gateway.metrics(), 'sallyport_trace_spans_total', { outcome: 'failed' }) > 0)
    assert.ok(!gateway.logs().includes(collector.url), 'the collector may be named with a key in its URL')
  })

it('what is still waiting is handed over when the gateway stops', async (t) => {
  const { up, traces, collector } = await setTraceScene(t, {}, { OTEL_BSP_SCHEDULE_DELAY: '60000' })
  const gateway = await startGateway({ adapters: [loopbackAdapter('up', up.origin)], traces })
  await gateway.call({ url: `${up.origin}/` })
  assert.equal(collector.spans.length, 0)
  await gateway.stop()
  assert.equal(collector.spans.length, 2)
})

it('the standard variables name the service, add to the resource, and thin out', async (t) => {
  const { gateway, at, collector } = await setTraceScene(
    t,
    {},
    {
      OTEL_SERVICE_NAME: 'egress',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
      OTEL_TRACES_SAMPLER: 'parentbased_always_off',
    },
  )
  await gateway.call({ url: at('/') })
  await gateway.call({ url: at('/') }, traced())
  const { server } = await spansOf(collector, 2)
  assert.equal(collector.spans.length, 2)
  assert.equal(server.traceId, TRACE_ID)
  assert.deepEqual([server.resource['service.name'], server.resource['deployment.environment.name']], ['egress', 'test'])
})
