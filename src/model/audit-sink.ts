// Where the records of the trail are sent beside their files. Implementations: audit/sinks.ts, stores/redis-audit-stream.ts.

export interface ShippedRecord {
  /** Whose: drawn when the chain began. */
  readonly chain: string
  readonly seq: number
  /** When it was written, ms since 1970. */
  readonly at: number
  /** The record as it stands in the file: one JSON object. */
  readonly line: string
}

export interface AuditSink {
  /**
   * All of one chain, in order, some of them perhaps again. True: they are taken. False: there is no room for them now, and
   * nothing was taken. Rejects where nobody knows; they then come again.
   */
  send(records: readonly ShippedRecord[]): Promise<boolean>
  /** It cannot take so many at once: half as many come next. */
  tooMany?(error: unknown): boolean
}

/** How far a sink is behind the trail. */
export interface SinkSample {
  readonly sink: string
  /** Age of the oldest record that it does not have; 0: it has all. */
  readonly lagSeconds: number
  /** Of this gateway's own chain. */
  readonly lagRecords: number
}

/** A request of the gateway's own, to a place that the operator named. Rejects where no answer came. */
export type Post = (request: {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** PEM of the authorities to trust; null: the built-in ones. */
  readonly ca: string | null
}) => Promise<{ readonly status: number /** Its first 4 KiB. */; readonly text: string }>
