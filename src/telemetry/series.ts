// Every series of our own, one row each: what is registered, what is documented and what may be a label all come from here.
// Labels hold names from the configuration or from fixed sets; never a host, a path, a caller or a request id.

export interface Series {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
  /** Upper bounds in the series' unit; histograms only. */
  readonly buckets?: readonly number[]
}

const CALL_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]
const DNS_SECONDS = [0.0001, 0.001, 0.005, 0.02, 0.1, 0.5, 2, 5]

export const SERIES = {
  calls: {
    name: 'sallyport_calls_total',
    type: 'counter',
    help: 'Calls that ended, refusals included. status: class of the upstream status, or none; error: error.type of the envelope, or none.',
    labels: ['entrance', 'adapter', 'status', 'error'],
  },
  callSeconds: {
    name: 'sallyport_call_duration_seconds',
    type: 'histogram',
    help: 'Whole calls from the descriptor read to the answer ready: queueing, tries, waits and redirects included.',
    labels: ['adapter'],
    buckets: CALL_SECONDS,
  },
  refusals: {
    name: 'sallyport_refusals_total',
    type: 'counter',
    help: 'Calls that the gateway itself refused, by error type.',
    labels: ['type'],
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
  retries: {
    name: 'sallyport_retries_total',
    type: 'counter',
    help: 'Tries repeated, by what the try before met: connect, read, status, other, or stale (a pooled connection that had died).',
    labels: ['adapter', 'reason'],
  },
  retriesRefused: {
    name: 'sallyport_retries_refused_total',
    type: 'counter',
    help: 'Failures not tried again although tries were configured, by the rule that said so.',
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
  auditFailures: {
    name: 'sallyport_audit_failures_total',
    type: 'counter',
    help: 'Audit records that could not be written; unless audit.durability is best-effort their calls were refused.',
    labels: [],
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
    '`GET /metrics` answers in the Prometheus text format: to callers with admin rights, to anyone with `metrics.public: true`, and on the',
    'separate listener `metrics.listen`. Labels are bounded: adapters come from the configuration, `none` where no adapter was found, `other`',
    'past the 1,000th name. Beside these stand the `process_` and `nodejs_` series of the Prometheus client (CPU, memory, event loop, GC).',
    '',
    '| series | type | labels | meaning |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n')
}
