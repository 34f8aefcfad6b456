// What a record is sent as, and to what: JSON lines to a stream or to an HTTP collector, OpenTelemetry logs as JSON over HTTP.
import type { AuditSink, Post, ShippedRecord } from '../model/audit-sink.ts'
import { VERSION } from '../model/version.ts'
import { SinkError } from './shipper.ts'

/** As of `audit.sinks`. */
export type SinkSettings = { readonly name: string; readonly batch: number } & (
  | { readonly type: 'stdout' }
  | {
      readonly type: 'http' | 'otlp-logs'
      readonly url: string
      /** May hold secrets: never show them. */
      readonly headers: Readonly<Record<string, string>>
      /** PEM; null: the built-in authorities. */
      readonly ca: string | null
    }
)

export interface SinkPorts {
  readonly stdout: Pick<NodeJS.WritableStream, 'write'>
  readonly post: Post
}

export function openSink(settings: SinkSettings, { stdout, post }: SinkPorts): AuditSink {
  switch (settings.type) {
    case 'stdout':
      return createStreamSink(stdout)
    case 'http':
      return createHttpSink(settings, post)
    case 'otlp-logs':
      return createOtlpSink(settings, post)
  }
}

/** Lines as log collectors read them: `{"event":"audit","chain":…,…}` in front of the record's own fields. */
export function lineOf({ chain, line }: ShippedRecord): string {
  return `{"event":"audit","chain":"${chain}",${line.slice(1)}\n`
}

export function createStreamSink(target: Pick<NodeJS.WritableStream, 'write'>): AuditSink {
  return {
    send: (records) =>
      new Promise((resolve, reject) => {
        target.write(records.map(lineOf).join(''), (error) => (error ? reject(error) : resolve(true)))
      }),
  }
}

export interface HttpSinkOptions {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly ca: string | null
}

/** `application/x-ndjson`; any 2xx takes them. */
export function createHttpSink(options: HttpSinkOptions, post: Post): AuditSink {
  return createPosting(options, post, { type: 'application/x-ndjson', body: (records) => records.map(lineOf).join('') })
}

/** OTLP/HTTP with JSON: the URL of the logs endpoint, such as http://collector:4318/v1/logs. */
export function createOtlpSink(options: HttpSinkOptions, post: Post): AuditSink {
  return createPosting(options, post, { type: 'application/json', body: (records) => JSON.stringify(otlpLogs(records)) })
}

interface Encoding {
  readonly type: string
  readonly body: (records: readonly ShippedRecord[]) => string
}

function createPosting({ url, headers, ca }: HttpSinkOptions, post: Post, { type, body }: Encoding): AuditSink {
  return {
    async send(records) {
      const { status } = await post({ url, ca, headers: { ...headers, 'content-type': type }, body: body(records) })
      if (status >= 200 && status < 300) return true
      throw new SinkError(`it answered ${status}`, status)
    },
    tooMany: (error) => error instanceof SinkError && error.status === 413,
  }
}

type Value =
  | { readonly stringValue: string }
  | { readonly intValue: string }
  | { readonly doubleValue: number }
  | { readonly boolValue: boolean }

const attribute = (key: string, value: Value) => ({ key, value })

/** One resource a chain; the record itself is the body, its plain fields are attributes too. */
function otlpLogs(records: readonly ShippedRecord[]): object {
  const [first] = records
  const resource = [
    attribute('service.name', { stringValue: 'sallyport' }),
    attribute('service.version', { stringValue: VERSION }),
    attribute('service.instance.id', { stringValue: first?.chain ?? '' }),
  ]
  const logRecords = records.map(otlpRecord)
  return {
    resourceLogs: [
      { resource: { attributes: resource }, scopeLogs: [{ scope: { name: 'sallyport.audit', version: VERSION }, logRecords }] },
    ],
  }
}

function otlpRecord({ at, line }: ShippedRecord): object {
  const fields = JSON.parse(line) as Record<string, unknown>
  const failed = fields.error !== null && fields.error !== undefined
  return {
    timeUnixNano: `${at}000000`,
    observedTimeUnixNano: `${at}000000`,
    ...(failed ? { severityNumber: 13, severityText: 'WARN' } : { severityNumber: 9, severityText: 'INFO' }),
    eventName: `sallyport.audit.${fields.kind}`,
    body: { stringValue: line },
    attributes: Object.entries(fields).flatMap(([name, value]) => {
      const plain = otlpValue(value)
      return plain ? [attribute(`sallyport.audit.${name}`, plain)] : []
    }),
  }
}

function otlpValue(value: unknown): Value | null {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value !== 'number') return null
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value }
}
