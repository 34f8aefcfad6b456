import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AdapterSample, CredentialSample, QuotaLevel } from '../../../src/model/ports.ts'
import { wantsOpenMetrics } from '../../../src/telemetry/exposition.ts'
import { createMetrics, type Metrics } from '../../../src/telemetry/metrics.ts'
import { buildMetricsDocs, SERIES, type Series } from '../../../src/telemetry/series.ts'

const create = (maxNames?: number): Metrics =>
  createMetrics({ version: '1.2.3', processMetrics: false, date: () => 1_700_000_000_000, ...(maxNames ? { maxNames } : {}) })

/** Lines of one series, in the order printed. */
async function linesOf(metrics: Metrics, name: string): Promise<string[]> {
  const { text } = await metrics.scrape()
  return text.split('\n').filter((line) => line.startsWith(name) && /^[a-z_]+(\{| )/.test(line))
}

const CALL = {
  entrance: 'requests',
  adapter: 'github',
  caller: 'billing',
  status: 200,
  error: null,
  fault: 'none',
  rule: null,
  seconds: 0.03,
  ownSeconds: 0.0004,
  traceId: null,
  bytesOut: 10,
  bytesIn: 20,
  replayed: false,
} as const

describe('metrics', () => {
  test('calls are counted by entrance, adapter, status class and error', async () => {
    const metrics = create()
    metrics.callEnded(CALL)
    metrics.callEnded({ ...CALL, status: 204 })
    metrics.callEnded({ ...CALL, adapter: null, status: null, error: 'EgressDenied', fault: 'caller' })
    const expected = [
      'sallyport_calls_total{entrance="requests",adapter="github",status="2xx",error="none",fault="none"} 2',
      'sallyport_calls_total{entrance="requests",adapter="none",status="none",error="EgressDenied",fault="caller"} 1',
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

  test('refusals are counted by the rule that refused, other failures are none', async () => {
    const metrics = create()
    for (let i = 0; i < 2; i++) metrics.callEnded({ ...CALL, status: null, error: 'EgressDenied', rule: 'egress-port' })
    metrics.callEnded({ ...CALL, status: null, error: 'EgressDenied', rule: 'egress-address' })
    metrics.callEnded({ ...CALL, status: null, error: 'ConnectTimeout' })
    assert.deepEqual(await linesOf(metrics, 'sallyport_refusals_total'), [
      'sallyport_refusals_total{adapter="github",rule="egress-port",type="EgressDenied"} 2',
      'sallyport_refusals_total{adapter="github",rule="egress-address",type="EgressDenied"} 1',
    ])
  })

  test('callers are counted by their configured names, anybody else as other', async () => {
    const metrics = create()
    metrics.configTaken(['billing'])
    metrics.callEnded(CALL)
    metrics.callEnded({ ...CALL, status: 503, fault: 'upstream' })
    metrics.callEnded({ ...CALL, caller: 'made up' })
    metrics.callEnded({ ...CALL, caller: null, seconds: null })
    metrics.callEnded({ ...CALL, caller: '(credentials)' })
    assert.deepEqual(await linesOf(metrics, 'sallyport_caller_calls_total'), [
      'sallyport_caller_calls_total{caller="billing",fault="none"} 1',
      'sallyport_caller_calls_total{caller="billing",fault="upstream"} 1',
      'sallyport_caller_calls_total{caller="other",fault="none"} 1',
      'sallyport_caller_calls_total{caller="none",fault="none"} 1',
      'sallyport_caller_calls_total{caller="(credentials)",fault="none"} 1',
    ])
    assert.deepEqual(await linesOf(metrics, 'sallyport_caller_call_seconds_total{caller="billing"'), [
      'sallyport_caller_call_seconds_total{caller="billing"} 0.06',
    ])
    assert.deepEqual(await linesOf(metrics, 'sallyport_call_duration_seconds_count'), [
      'sallyport_call_duration_seconds_count{adapter="github"} 4',
    ])
  })

  test('waits, connections, handshakes, replays, sessions and configurations have their series', async () => {
    const metrics = create()
    metrics.waited('a', 'rate limit', 0.3)
    metrics.connected('a', 0.004)
    metrics.attemptEnded({ adapter: 'a', status: 200, error: null, seconds: 1, reused: true })
    metrics.tlsShaken(0.02, true)
    metrics.tlsFailed('a', 'expired')
    metrics.callEnded({ ...CALL, replayed: true, ownSeconds: null })
    metrics.sessionUsed('lost')
    metrics.storeAnswered('redis', 0.003, false)
    metrics.storeAnswered('redis', 0.5, true)
    metrics.configTaken([])
    metrics.configTaken([])
    metrics.configRefused()
    const { text } = await metrics.scrape()
    for (const line of [
      'sallyport_wait_duration_seconds_bucket{le="0.25",adapter="a",because="rate-limit"} 0',
      'sallyport_wait_duration_seconds_bucket{le="0.5",adapter="a",because="rate-limit"} 1',
      'sallyport_wait_duration_seconds_bucket{le="+Inf",adapter="a",because="rate-limit"} 1',
      'sallyport_connect_duration_seconds_sum{adapter="a"} 0.004',
      'sallyport_pool_reuses_total{adapter="a"} 1',
      'sallyport_tls_handshake_duration_seconds_count{resumed="true"} 1',
      'sallyport_tls_handshake_failures_total{adapter="a",reason="expired"} 1',
      'sallyport_idempotency_replays_total{adapter="github"} 1',
      'sallyport_session_calls_total{outcome="lost"} 1',
      'sallyport_store_command_duration_seconds_count{store="redis"} 2',
      'sallyport_store_command_failures_total{store="redis"} 1',
      'sallyport_config_generation 2',
      'sallyport_config_last_reload_success_timestamp_seconds 1700000000',
      'sallyport_config_last_reload_successful 0',
      'sallyport_config_reload_failures_total 1',
    ])
      assert.ok(text.includes(`\n${line}\n`), line)
    assert.doesNotMatch(text, /^sallyport_call_overhead_seconds_/m, 'a replay says nothing of the gateway itself')
  })

  test('OpenMetrics is given to whoever asks for it, with the trace of the last call in each bucket', async () => {
    const metrics = create()
    metrics.callEnded({ ...CALL, traceId: '4bf92f3577b34da6a3ce929d0e0e4736' })
    const { contentType, text } = await metrics.scrape(
      'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
    )
    assert.equal(contentType, 'application/openmetrics-text; version=1.0.0; charset=utf-8')
    assert.match(text, /^# TYPE sallyport_calls counter$/m)
    assert.match(text, /^sallyport_calls_total\{/m)
    assert.match(
      text,
      /^sallyport_call_duration_seconds_bucket\{le="0\.05",adapter="github"\} 1 # \{trace_id="4bf92f3577b34da6a3ce929d0e0e4736"\} 0\.03 1700000000$/m,
    )
    assert.match(text, /\n# EOF\n$/)
    const plain = await metrics.scrape('text/plain')
    assert.equal(plain.contentType, 'text/plain; version=0.0.4; charset=utf-8')
    assert.match(plain.text, /^# TYPE sallyport_calls_total counter$/m, 'as before, after an OpenMetrics scrape')
    assert.doesNotMatch(plain.text, /trace_id|EOF/)
  })

  for (const [accept, open] of [
    ['', false],
    ['*/*', false],
    ['application/openmetrics-text', true],
    ['Application/OpenMetrics-Text; version=1.0.0; q=0.5, text/plain; q=0.4', true],
    ['application/openmetrics-text;q=0.3,text/plain', false],
    ['application/openmetrics-text;q=0', false],
  ] as const)
    test(`Accept: ${accept || '(none)'} is answered with ${open ? 'OpenMetrics' : 'plain text'}`, () => {
      assert.equal(wantsOpenMetrics(accept), open)
    })

  test('attempts, retries, breaker moves, resolutions, stores, audit failures and tokens have their series', async () => {
    const metrics = create()
    metrics.attemptEnded({ adapter: 'a', status: 503, error: null, seconds: 1, reused: false })
    metrics.retried('a', 'status')
    metrics.retryRefused('a', 'budget')
    metrics.retryRefused('a', 'breaker')
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
      'sallyport_retries_refused_total{adapter="a",rule="breaker"} 1',
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
      slots: 4,
      places: 14,
      rateLeft: null,
      cooldownMs: 0,
      ...over,
    })
    let samples: [string, AdapterSample][] = [
      ['a', sample({})],
      ['a', sample({ breaker: 'open', inFlight: 4, queued: 7, rateLeft: 0.25 })],
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
    for (const [ratio, a, b] of [
      ['sallyport_slots_used_ratio', 1, 0.25],
      ['sallyport_queue_used_ratio', 0.5, 0],
      ['sallyport_rate_left_ratio', 0.25, null],
    ] as const)
      assert.deepEqual(
        await linesOf(metrics, ratio),
        [`${ratio}{adapter="a"} ${a}`, ...(b === null ? [] : [`${ratio}{adapter="b"} ${b}`])],
        'of the worst origin',
      )
    assert.deepEqual(await linesOf(metrics, 'sallyport_pool_origins{adapter="a"'), ['sallyport_pool_origins{adapter="a"} 2'])
    assert.deepEqual(await linesOf(metrics, 'sallyport_http_connections '), ['sallyport_http_connections 42'])
    assert.ok(!(await metrics.scrape()).text.includes('canary'))
    samples = []
    assert.deepEqual(await linesOf(metrics, 'sallyport_pool_connections'), [])
  })

  test('a million made-up names make no more series than a few', async () => {
    const metrics = createMetrics({ version: '1', processMetrics: false, maxNames: 3 })
    const size = async (): Promise<number> => (await metrics.scrape()).text.split('\n').length
    const round = (i: number): void => {
      const name = `made-up-${i}`
      metrics.callEnded({ ...CALL, adapter: name, caller: name, entrance: name, status: 100 + (i % 900) })
      metrics.attemptEnded({ adapter: name, status: 200, error: null, seconds: 0.1, reused: false })
      metrics.waited(name, 'queue', 0.1)
    }
    for (let i = 0; i < 10_000; i++) round(i)
    const before = await size()
    for (let i = 10_000; i < 1_000_000; i++) round(i)
    assert.equal(await size(), before)
  })

  test('what callers have left of their quotas; names past the limit are other, the least of them', async () => {
    const metrics = create(2)
    const name = 'sallyport_caller_quota_left_ratio'
    let levels: QuotaLevel[] = [
      { caller: 'a', quota: 'rate', left: 0.5 },
      { caller: 'a', quota: 'concurrency', left: 1 },
      ...[0.7, 0.2, 0.4, 0.3].map((left, i): QuotaLevel => ({ caller: `b${i}`, quota: 'rate', left })),
    ]
    metrics.watchQuotas(() => levels)
    assert.deepEqual(await linesOf(metrics, name), [
      `${name}{caller="a",quota="rate"} 0.5`,
      `${name}{caller="a",quota="concurrency"} 1`,
      `${name}{caller="b0",quota="rate"} 0.7`,
      `${name}{caller="other",quota="rate"} 0.2`,
    ])
    levels = []
    assert.deepEqual(await linesOf(metrics, name), [], 'a quota that was lifted leaves nothing behind')
  })

  test('names past the limit count as other', async () => {
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

  test('when stored secrets were made and when they end; names past the thousandth are other, the earliest of them', async () => {
    const metrics = create(3)
    let samples: CredentialSample[] = [
      { name: 'github', createdAt: 1_000, expiresAt: 90_500 },
      { name: 'stripe', createdAt: null, expiresAt: null },
    ]
    metrics.watchCredentials(() => samples)
    assert.deepEqual(await linesOf(metrics, 'sallyport_credential_expires_timestamp_seconds'), [
      'sallyport_credential_expires_timestamp_seconds{credential="github"} 90.5',
    ])
    assert.deepEqual(await linesOf(metrics, 'sallyport_credential_created_timestamp_seconds'), [
      'sallyport_credential_created_timestamp_seconds{credential="github"} 1',
    ])
    samples = Array.from({ length: 1005 }, (_, i) => ({
      name: `s${i}`,
      createdAt: (9999 - i) * 1000,
      expiresAt: (20_000 - i) * 1000,
    }))
    const lines = await linesOf(metrics, 'sallyport_credential_expires_timestamp_seconds')
    assert.equal(lines.length, 1001)
    assert.ok(!lines.some((line) => line.includes('github')))
    assert.ok(lines.includes('sallyport_credential_expires_timestamp_seconds{credential="other"} 18996'))
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
      for (const label of series.labels) assert.doesNotMatch(label, /origin|host|url|path|request/)
      assert.ok(buildMetricsDocs().includes(`| \`${series.name}\` | ${series.type} |`))
    })
})
