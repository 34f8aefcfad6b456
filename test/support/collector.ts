// An OpenTelemetry collector as far as traces by OTLP over HTTP in JSON go: keeps the spans that it is sent, or is slow, or broken.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'

export interface CollectedSpan {
  readonly traceId: string
  readonly spanId: string
  /** Empty: none. */
  readonly parentSpanId: string
  readonly name: string
  readonly kind: 'internal' | 'server' | 'client'
  /** ms since 1970 */
  readonly start: number
  readonly end: number
  readonly attributes: Readonly<Record<string, unknown>>
  readonly events: readonly {
    readonly name: string
    readonly at: number
    readonly attributes: Readonly<Record<string, unknown>>
  }[]
  readonly failed: boolean
  readonly traceState: string
  readonly resource: Readonly<Record<string, unknown>>
}

export interface Collector {
  readonly url: string
  readonly spans: CollectedSpan[]
  /** Everything that came, as text. */
  text(): string
  /** Requests so far. */
  readonly requests: number
  /** ok by default; silent: takes requests and answers none. */
  mode: 'ok' | 'silent' | 'broken'
  close(): Promise<void>
}

interface KeyValue {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}
interface WireSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly KeyValue[]
  readonly events: readonly { name: string; timeUnixNano: string; attributes: readonly KeyValue[] }[]
  readonly status: { readonly code?: number }
  readonly traceState?: string
}
interface WireTraces {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] }
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[]
  }[]
}

const KINDS = ['internal', 'internal', 'server', 'client'] as const

export async function startCollector(): Promise<Collector> {
  const texts: string[] = []
  const server = createServer((req, res) => {
    collector.requests++
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      if (collector.mode === 'silent') return
      if (collector.mode === 'broken') return void res.writeHead(400).end()
      const body = Buffer.concat(chunks)
      const text = (req.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString()
      texts.push(`${req.url} ${text}`)
      if (req.url === '/v1/traces') collector.spans.push(...spansOf(JSON.parse(text)))
      res.writeHead(200, { 'Content-Type': 'application/json' }).end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const collector: Collector & { requests: number } = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: [],
    text: () => texts.join('\n'),
    requests: 0,
    mode: 'ok',
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
  return collector
}

function spansOf({ resourceSpans }: WireTraces): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) => spans.map((span) => spanOf(span, record(resource.attributes)))),
  )
}

function spanOf(span: WireSpan, resource: Readonly<Record<string, unknown>>): CollectedSpan {
  const { traceId, spanId, parentSpanId = '', name, kind, status, traceState = '' } = span
  return {
    ...{ traceId, spanId, parentSpanId, name, traceState, resource },
    kind: KINDS[kind] ?? 'internal',
    start: Number(span.startTimeUnixNano) / 1e6,
    end: Number(span.endTimeUnixNano) / 1e6,
    attributes: record(span.attributes),
    events: span.events.map((event) => ({
      name: event.name,
      at: Number(event.timeUnixNano) / 1e6,
      attributes: record(event.attributes),
    })),
    failed: status.code === 2,
  }
}

function record(pairs: readonly KeyValue[]): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]]))
}
