// Every series of our own, one row each: what is registered, what is documented and what may be a label all come from here.
// Labels hold names from the configuration or from fixed sets; never a host, a path, a made-up name or a request id. Beside this
// table stand the client library's own process_ and nodejs_ series.

import { REFUSAL_RULES } from '../errors/refusal-rules.ts'

export interface Series {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
  /** Upper bounds in the series' unit; histograms only. */
  readonly buckets?: readonly number[]
}

const CALL_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]
/** What is ours to spend: far below any upstream's time. */
const OWN_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2]
const CONNECT_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5]
const STORE_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1]
const DNS_SECONDS = [0.0001, 0.001, 0.005, 0.02, 0.1, 0.5, 2, 5]

export const SERIES = {
  calls: {
    name: 'sallyport_calls_total',
    type: 'counter',
    help: 'Calls that ended, refusals included. status: class of the upstream status, or none; error: error.type of the envelope, or none; fault: whose doing it was: none (it went well), caller (4xx of the upstream included), upstream or gateway.',
    labels: ['entrance', 'adapter', 'status', 'error', 'fault'],
  },
  callSeconds: {
    name: 'sallyport_call_duration_seconds',
    type: 'histogram',
    help: 'Whole calls from the descriptor read to the answer ready: queueing, tries, waits and redirects included.',
    labels: ['adapter'],
    buckets: CALL_SECONDS,
  },
  callOwnSeconds: {
    name: 'sallyport_call_overhead_seconds',
    type: 'histogram',
    help: 'What of a call was neither a try nor a wait: reading, judging, recording, stores. The gateway itself, in other words.',
    labels: [],
    buckets: OWN_SECONDS,
  },
  waitSeconds: {
    name: 'sallyport_wait_duration_seconds',
    type: 'histogram',
    help: 'Waits before a try; because: queue (for a slot), rate-limit, backoff, retry-after or credential (a token to be obtained). Calls that did not wait are not in it.',
    labels: ['adapter', 'because'],
    buckets: CALL_SECONDS,
  },
  refusals: {
    name: 'sallyport_refusals_total',
    type: 'counter',
    help: 'Calls that the gateway itself refused, by the rule that did; the rules stand below.',
    labels: ['adapter', 'rule', 'type'],
  },
  observedRefusals: {
    name: 'sallyport_observed_refusals_total',
    type: 'counter',
    help: 'Calls let through that a rule would have refused, had their caller not been observed only (`callers[].observe`), or that a limit would have refused or delayed (`limits.mode: observe`).',
    labels: ['rule'],
  },
  callerCalls: {
    name: 'sallyport_caller_calls_total',
    type: 'counter',
    help: 'Calls by who made them and whose doing their outcome was (fault as in sallyport_calls_total).',
    labels: ['caller', 'fault'],
  },
  callerSeconds: {
    name: 'sallyport_caller_call_seconds_total',
    type: 'counter',
    help: "Time that the caller's calls took, summed.",
    labels: ['caller'],
  },
  callerBytes: {
    name: 'sallyport_caller_response_bytes_total',
    type: 'counter',
    help: "Decoded response bodies received for the caller's calls.",
    labels: ['caller'],
  },
  callerQuotaLeft: {
    name: 'sallyport_caller_quota_left_ratio',
    type: 'gauge',
    help: "What of a caller's quota can be spent at once, 0 to 1; quota: rate (of its burst) or concurrency (of the calls at once). Callers without a quota have none. Past the 1,000th caller: the least, as `other`.",
    labels: ['caller', 'quota'],
  },
  replays: {
    name: 'sallyport_idempotency_replays_total',
    type: 'counter',
    help: 'Calls that got the remembered outcome of an earlier call with their idempotency key.',
    labels: ['adapter'],
  },
  sessionCalls: {
    name: 'sallyport_session_calls_total',
    type: 'counter',
    help: 'Calls with a session, by what became of its cookies: unchanged, saved, or lost (the store would not take them).',
    labels: ['outcome'],
  },
  bytesOut: {
    name: 'sallyport_upstream_request_bytes_total',
    type: 'counter',
    help: 'Request bodies sent to upstreams, all tries.',
    labels: ['adapter'],
  },
  bytesIn: {
    name: 'sallyport_upstream_response_bytes_total',
    type: 'counter',
    help: 'Decoded response bodies received from upstreams.',
    labels: ['adapter'],
  },
  attempts: {
    name: 'sallyport_attempts_total',
    type: 'counter',
    help: 'Tries on the wire. status and error as in sallyport_calls_total.',
    labels: ['adapter', 'status', 'error'],
  },
  attemptSeconds: {
    name: 'sallyport_attempt_duration_seconds',
    type: 'histogram',
    help: 'Single tries, from the slot obtained to the last byte of the body.',
    labels: ['adapter'],
    buckets: CALL_SECONDS,
  },
  connectSeconds: {
    name: 'sallyport_connect_duration_seconds',
    type: 'histogram',
    help: "Connections opened: DNS, TCP, the proxy's CONNECT and TLS. Its _count is how many were opened.",
    labels: ['adapter'],
    buckets: CONNECT_SECONDS,
  },
  reuses: {
    name: 'sallyport_pool_reuses_total',
    type: 'counter',
    help: 'Tries that went out on a connection already open.',
    labels: ['adapter'],
  },
  tlsSeconds: {
    name: 'sallyport_tls_handshake_duration_seconds',
    type: 'histogram',
    help: 'TLS handshakes with upstreams and proxies that succeeded. resumed: true where an earlier session was continued.',
    labels: ['resumed'],
    buckets: CONNECT_SECONDS,
  },
  tlsFailures: {
    name: 'sallyport_tls_handshake_failures_total',
    type: 'counter',
    help: 'TLS handshakes that failed; reason: expired, hostname, untrusted (issuer), certificate (otherwise unfit), client-certificate, protocol, closed or timeout.',
    labels: ['adapter', 'reason'],
  },
  retries: {
    name: 'sallyport_retries_total',
    type: 'counter',
    help: 'Tries repeated, by what the try before met: connect, read, status, other, or stale (a pooled connection that had died).',
    labels: ['adapter', 'reason'],
  },
  retriesRefused: {
    name: 'sallyport_retries_refused_total',
    type: 'counter',
    help: 'Failures not tried again although tries were configured, by the rule that said so: exhausted (all tries were used), budget, breaker (it would refuse), deadline, method, retry-after (longer than retryAfterMax) or size.',
    labels: ['adapter', 'rule'],
  },
  breakerMoves: {
    name: 'sallyport_breaker_transitions_total',
    type: 'counter',
    help: 'Breakers that moved to a state.',
    labels: ['adapter', 'to'],
  },
  breakerOrigins: {
    name: 'sallyport_breaker_origins',
    type: 'gauge',
    help: "Origins under the adapter whose breaker is in that state now; alert on state='open' above 0.",
    labels: ['adapter', 'state'],
  },
  breakerOverrides: {
    name: 'sallyport_breaker_overrides',
    type: 'gauge',
    help: 'States that operators set over breakers of the adapter and that stand now.',
    labels: ['adapter', 'state'],
  },
  poolConnections: {
    name: 'sallyport_pool_connections',
    type: 'gauge',
    help: "Upstream connections open now, all of the adapter's origins.",
    labels: ['adapter'],
  },
  poolIdle: {
    name: 'sallyport_pool_idle_connections',
    type: 'gauge',
    help: 'Upstream connections open and unused now.',
    labels: ['adapter'],
  },
  slotsTaken: {
    name: 'sallyport_slots_taken',
    type: 'gauge',
    help: 'Tries that hold a concurrency slot now.',
    labels: ['adapter'],
  },
  queued: {
    name: 'sallyport_queued',
    type: 'gauge',
    help: 'Tries that wait for a concurrency slot now.',
    labels: ['adapter'],
  },
  poolOrigins: {
    name: 'sallyport_pool_origins',
    type: 'gauge',
    help: 'Origins under the adapter for which state is kept now; the gateway keeps at most 5,000 in all.',
    labels: ['adapter'],
  },
  slotsUsed: {
    name: 'sallyport_slots_used_ratio',
    type: 'gauge',
    help: 'Slots taken over limits.concurrency now, 0 to 1, of the fullest origin.',
    labels: ['adapter'],
  },
  queueUsed: {
    name: 'sallyport_queue_used_ratio',
    type: 'gauge',
    help: 'Places taken in the queue over limits.queue now, 0 to 1, of the fullest origin.',
    labels: ['adapter'],
  },
  rateLeft: {
    name: 'sallyport_rate_left_ratio',
    type: 'gauge',
    help: 'What of limits.rate (its burst) can be spent at once, 0 to 1, of the origin (and with limits.rateBy the caller or credential) with the least left. Adapters without a rate have none.',
    labels: ['adapter'],
  },
  cooldowns: {
    name: 'sallyport_cooldowns_total',
    type: 'counter',
    help: 'Credentials that a 429 of the upstream began to hold back (limits.cooldown).',
    labels: ['adapter'],
  },
  cooldownSeconds: {
    name: 'sallyport_cooldown_seconds',
    type: 'gauge',
    help: 'Time until the last credential that a 429 holds back is free; 0: none is held back.',
    labels: ['adapter'],
  },
  dnsSeconds: {
    name: 'sallyport_dns_duration_seconds',
    type: 'histogram',
    help: 'Name resolutions by outcome: hit (from cache), answered, failed, refused (no permitted address).',
    labels: ['outcome'],
    buckets: DNS_SECONDS,
  },
  insecure: {
    name: 'sallyport_insecure_calls_total',
    type: 'counter',
    help: 'Tries made without verifying the certificate.',
    labels: ['adapter'],
  },
  storeHealthy: {
    name: 'sallyport_store_healthy',
    type: 'gauge',
    help: '1 while the store answers, 0 while it does not.',
    labels: ['store'],
  },
  storeSeconds: {
    name: 'sallyport_store_command_duration_seconds',
    type: 'histogram',
    help: 'Commands to the store, failed ones included.',
    labels: ['store'],
    buckets: STORE_SECONDS,
  },
  storeFailures: {
    name: 'sallyport_store_command_failures_total',
    type: 'counter',
    help: 'Commands to the store that failed or were not answered in time.',
    labels: ['store'],
  },
  credentialExpires: {
    name: 'sallyport_credential_expires_timestamp_seconds',
    type: 'gauge',
    help: 'When the version of a stored secret that calls get ends, or ended; no sample where it has no end. Past the 1,000th name: the earliest, as `other`.',
    labels: ['credential'],
  },
  credentialCreated: {
    name: 'sallyport_credential_created_timestamp_seconds',
    type: 'gauge',
    help: 'When the version of a stored secret that calls get was made. Past the 1,000th name: the earliest, as `other`.',
    labels: ['credential'],
  },
  spans: {
    name: 'sallyport_trace_spans_total',
    type: 'counter',
    help: 'Spans sent to the collector, by outcome: exported or failed (it did not take them). Those dropped before, because too many waited, are not in it.',
    labels: ['outcome'],
  },
  auditFailures: {
    name: 'sallyport_audit_failures_total',
    type: 'counter',
    help: 'Audit records that could not be written; unless audit.durability is best-effort their calls were refused.',
    labels: [],
  },
  auditShipped: {
    name: 'sallyport_audit_shipped_records_total',
    type: 'counter',
    help: 'Audit records that a sink took, by the name of the sink; `stream` is that in Redis.',
    labels: ['sink'],
  },
  auditShipmentFailures: {
    name: 'sallyport_audit_shipment_failures_total',
    type: 'counter',
    help: 'Batches of audit records that a sink did not take: refused (it had no room), failed (it did not answer as it should). They are sent again.',
    labels: ['sink', 'outcome'],
  },
  auditLagSeconds: {
    name: 'sallyport_audit_lag_seconds',
    type: 'gauge',
    help: 'Age of the oldest audit record that a sink does not have yet; 0: it has all.',
    labels: ['sink'],
  },
  auditLagRecords: {
    name: 'sallyport_audit_lag_records',
    type: 'gauge',
    help: "Audit records of this gateway's own that a sink does not have yet.",
    labels: ['sink'],
  },
  tokenRenewals: {
    name: 'sallyport_token_renewals_total',
    type: 'counter',
    help: 'Access tokens renewed, by scheme: renewed (asked of the endpoint), shared (another replica had it already), failed.',
    labels: ['scheme', 'outcome'],
  },
  tokenSeconds: {
    name: 'sallyport_token_renewal_duration_seconds',
    type: 'histogram',
    help: 'Renewals of access tokens, failed ones included: the store, the wait for another replica and the endpoint.',
    labels: ['scheme'],
    buckets: CALL_SECONDS,
  },
  adminActs: {
    name: 'sallyport_admin_acts_total',
    type: 'counter',
    help: 'Changes asked for at the admin entrance, and refusals of anything there. act: noun and deed; error: error.type, or none.',
    labels: ['act', 'error'],
  },
  connections: {
    name: 'sallyport_http_connections',
    type: 'gauge',
    help: "Callers' connections open now.",
    labels: [],
  },
  inFlight: {
    name: 'sallyport_http_requests_in_flight',
    type: 'gauge',
    help: "Callers' requests being received or answered now.",
    labels: [],
  },
  connectionsLimit: {
    name: 'sallyport_http_connections_limit',
    type: 'gauge',
    help: "Callers' connections that may be open at once (listen.connections).",
    labels: [],
  },
  workers: {
    name: 'sallyport_workers',
    type: 'gauge',
    help: 'Worker processes that live; 0 where one process does everything.',
    labels: [],
  },
  workersReplaced: {
    name: 'sallyport_workers_replaced_total',
    type: 'counter',
    help: 'Worker processes that ended and were replaced.',
    labels: [],
  },
  configGeneration: {
    name: 'sallyport_config_generation',
    type: 'gauge',
    help: 'Configurations taken since the start; the first is 1.',
    labels: [],
  },
  configTaken: {
    name: 'sallyport_config_last_reload_success_timestamp_seconds',
    type: 'gauge',
    help: 'When the configuration that serves now was taken.',
    labels: [],
  },
  configWell: {
    name: 'sallyport_config_last_reload_successful',
    type: 'gauge',
    help: '1 where the last configuration read was taken, 0 where it was refused and the one before still serves.',
    labels: [],
  },
  configRefused: {
    name: 'sallyport_config_reload_failures_total',
    type: 'counter',
    help: 'Configurations that were refused.',
    labels: [],
  },
  build: {
    name: 'sallyport_build_info',
    type: 'gauge',
    help: 'Always 1; the labels say what runs.',
    labels: ['version', 'node'],
  },
} as const satisfies Record<string, Series>

/** The text of docs/metrics.md. */
export function buildMetricsDocs(): string {
  const rows = Object.values<Series>(SERIES).map(
    ({ name, type, labels, help }) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(' ') || 'none'} | ${help} |`,
  )
  return [
    '# Metrics',
    '',
    '`GET /metrics` answers in the Prometheus text format, or in OpenMetrics to a scraper that asks for it, and then with trace ids as',
    'exemplars of call durations: to callers with admin rights, to anyone with `metrics.public: true`, and on the separate listener',
    '`metrics.listen`. Labels are bounded: adapters and callers come from the configuration, `none` where there was none, `other`',
    'past the 1,000th name; `local` is whoever calls a gateway without callers, `(credentials)` the gateway itself, asking for tokens.',
    'Beside these stand the `process_` and `nodejs_` series of the Prometheus client (CPU, memory, event loop, GC).',
    '',
    'Dashboards, alerts and how to read them: [observability.md](observability.md).',
    '',
    '| series | type | labels | meaning |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
    '## Rules that refuse',
    '',
    "The label `rule` of `sallyport_refusals_total`, and the field `rule` of a call's log line.",
    '',
    '| rule | what refused |',
    '| --- | --- |',
    ...Object.entries(REFUSAL_RULES).map(([rule, meaning]) => `| \`${rule}\` | ${meaning} |`),
    '',
  ].join('\n')
}
