import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AdapterSample } from '../../../src/model/ports.ts'
import { createMetrics, type Metrics } from '../../../src/telemetry/metrics.ts'
import { buildMetricsDocs, SERIES, type Series } from '../../../src/telemetry/series.ts'

const create = (maxAdapters?: number): Metrics =>
  createMetrics({ version: '1.2.3', processMetrics: false, ...(maxAdapters ? { maxAdapters } : {}) })

/** Lines of one series, in the order printed. */
async function linesOf(metrics: Metrics, name: string): Promise<string[]> {
  const { text } = await metrics.scrape()
  return text.split('\n').filter((line) => line.startsWith(name) && /^[a-z_]+(\{| )/.test(line))
}

const CALL = {
  entrance: 'requests',
  adapter: 'github',
  status: 200,
  error: null,
  seconds: 0.03,
  bytesOut: 10,
  bytesIn: 20,
} as const

describe('metrics', () => {
  test('calls are counted by entrance, adapter, status class and error', async () => {
    const metrics = create()
    metrics.callEnded(CALL)
    metrics.callEnded({ ...CALL, status: 204 })
    metrics.callEnded({ ...CALL, adapter: null, status: null, error: 'EgressDenied' })
    const expected = [
      'sallyport_calls_total{entrance="requests",adapter="github",status="2xx",error="none"} 2',
      'sallyport_calls_total{entrance="requests",adapter="none",status="none",error="EgressDenied"} 1',
    ]
    assert.deepEqual(await linesOf(metrics, 'sallyport_calls_total'), expected)
    assert.deepEqual(await linesOf(metrics, 'sallyport_calls_total'), expected, 'a second scrape adds nothing')
    metrics.callEnded(CALL)
    assert.match((await linesOf(metrics, 'sallyport_calls_total'))[0] ?? '', / 3$/)
    assert.deepEqual(await linesOf(metrics, 'sallyport_upstream_request_bytes_total{adapter="github"'), [
      'sallyport_upstream_request_bytes_total{adapter="github"} 30',
    ])
    assert.deepEqual(await linesOf(metrics, 'sallyport_call_duration_seconds_count{adapter="github"'), [
      'sallyport_call_duration_seconds_count{adapter="github"} 3',
    ])
  })

  test('only what the gateway itself refused counts as a refusal', async () => {
    const metrics = create()
    metrics.callEnded({ ...CALL, status: null, error: 'RateLimited' })
    metrics.callEnded({ ...CALL, status: null, error: 'ConnectTimeout' })
    metrics.callEnded({ ...CALL, status: null, error: 'InvalidURL' })
    assert.deepEqual(await linesOf(metrics, 'sallyport_refusals_total'), ['sallyport_refusals_total{type="RateLimited"} 1'])
  })

  test('attempts, retries, breaker moves, resolutions, stores, audit failures and tokens have their series', async () => {
    const metrics = create()
    metrics.attemptEnded({ adapter: 'a', status: 503, error: null, seconds: 1 })
    metrics.retried('a', 'status')
    metrics.retryRefused('a', 'budget')
    metrics.retryRefused('a', 'something made up')
    metrics.breakerMoved('a', 'open')
    metrics.resolved(0.002, 'answered')
    metrics.insecure('a')
    metrics.storeHealthy('redis', false)
    metrics.auditFailed()
    metrics.tokenRenewed({ scheme: 'jwt-bearer', outcome: 'shared', seconds: 0.5 })
    const { text } = await metrics.scrape()
    for (const line of [
      'sallyport_attempts_total{adapter="a",status="5xx",error="none"} 1',
      'sallyport_attempt_duration_seconds_sum{adapter="a"} 1',
      'sallyport_retries_total{adapter="a",reason="status"} 1',
      'sallyport_retries_refused_total{adapter="a",rule="budget"} 1',
      'sallyport_retries_refused_total{adapter="a",rule="other"} 1',
      'sallyport_breaker_transitions_total{adapter="a",to="open"} 1',
      'sallyport_dns_duration_seconds_count{outcome="answered"} 1',
      'sallyport_insecure_calls_total{adapter="a"} 1',
      'sallyport_store_healthy{store="redis"} 0',
      'sallyport_audit_failures_total 1',
      'sallyport_token_renewals_total{scheme="jwt-bearer",outcome="shared"} 1',
      'sallyport_token_renewal_duration_seconds_sum{scheme="jwt-bearer"} 0.5',
      `sallyport_build_info{version="1.2.3",node="${process.versions.node}"} 1`,
    ])
      assert.ok(text.includes(`\n${line}\n`), line)
  })

  test('gauges of adapters are sums over their origins, and vanish with them', async () => {
    const metrics = create()
    const sample = (over: Partial<AdapterSample>): AdapterSample => ({
      origin: 'https://canary.example',
      breaker: 'closed',
      connections: 2,
      idle: 1,
      inFlight: 1,
      queued: 0,
      ...over,
    })
    let samples: [string, AdapterSample][] = [
      ['a', sample({})],
      ['a', sample({ breaker: 'open', queued: 7 })],
      ['b', sample({ breaker: null })],
    ]
    metrics.watchAdapters(() => samples)
    metrics.register('connections', () => 42)
    assert.deepEqual(await linesOf(metrics, 'sallyport_pool_connections'), [
      'sallyport_pool_connections{adapter="a"} 4',
      'sallyport_pool_connections{adapter="b"} 2',
    ])
    assert.deepEqual(await linesOf(metrics, 'sallyport_queued'), [
      'sallyport_queued{adapter="a"} 7',
      'sallyport_queued{adapter="b"} 0',
    ])
    assert.deepEqual(await linesOf(metrics, 'sallyport_breaker_origins{adapter="a"'), [
      'sallyport_breaker_origins{adapter="a",state="closed"} 1',
      'sallyport_breaker_origins{adapter="a",state="open"} 1',
      'sallyport_breaker_origins{adapter="a",state="half-open"} 0',
    ])
    assert.deepEqual(await linesOf(metrics, 'sallyport_http_connections'), ['sallyport_http_connections 42'])
    assert.ok(!(await metrics.scrape()).text.includes('canary'))
    samples = []
    assert.deepEqual(await linesOf(metrics, 'sallyport_pool_connections'), [])
  })

  test('made-up names cannot make series without end', async () => {
    const metrics = create(3)
    for (let i = 0; i < 100; i++) {
      metrics.callEnded({ ...CALL, adapter: `made-up-${i}`, entrance: 'made up' })
      metrics.insecure(`made-up-${i}`)
      metrics.storeHealthy(`store-${i}`, true)
    }
    assert.deepEqual(await linesOf(metrics, 'sallyport_insecure_calls_total'), [
      'sallyport_insecure_calls_total{adapter="made-up-0"} 1',
      'sallyport_insecure_calls_total{adapter="made-up-1"} 1',
      'sallyport_insecure_calls_total{adapter="made-up-2"} 1',
      'sallyport_insecure_calls_total{adapter="other"} 97',
    ])
    assert.equal((await linesOf(metrics, 'sallyport_calls_total')).length, 4)
    assert.deepEqual(await linesOf(metrics, 'sallyport_store_healthy'), ['sallyport_store_healthy{store="other"} 1'])
  })

  test("Node's own series stand beside ours unless switched off", async () => {
    const text = (await createMetrics({ version: '0' }).scrape()).text
    assert.match(text, /^nodejs_eventloop_lag_seconds /m)
    assert.match(text, /^process_cpu_seconds_total /m)
  })
})

describe('series table', () => {
  for (const series of Object.values<Series>(SERIES))
    test(`${series.name} keeps the naming rules`, () => {
      assert.match(series.name, /^sallyport_[a-z_]+$/)
      assert.equal(series.name.endsWith('_total'), series.type === 'counter')
      if (series.type === 'histogram') assert.match(series.name, /_seconds$|_bytes$/)
      for (const label of series.labels) assert.doesNotMatch(label, /origin|host|url|path|caller|request/)
      assert.ok(buildMetricsDocs().includes(`| \`${series.name}\` | ${series.type} |`))
    })
})
