// What became of audit records on their way to sinks. Sinks are named in the configuration, and so bounded.
import type { SinkSample } from '../model/audit-sink.ts'
import type { Meter } from '../model/ports.ts'
import type { Exposition } from './exposition.ts'
import { SERIES } from './series.ts'

export function createAuditSeries({ counter, gauge }: Exposition): Pick<Meter, 'auditShipped'> & {
  setLags(samples: Iterable<SinkSample>): void
} {
  const shipped = counter(SERIES.auditShipped)
  const failures = counter(SERIES.auditShipmentFailures)
  const seconds = gauge(SERIES.auditLagSeconds)
  const records = gauge(SERIES.auditLagRecords)
  return {
    auditShipped(sink, outcome, count) {
      if (outcome === 'shipped') shipped.inc({ sink }, count)
      else failures.inc({ sink, outcome }, count)
    },
    setLags(samples) {
      for (const { sink, lagSeconds, lagRecords } of samples) {
        seconds.set({ sink }, lagSeconds)
        records.set({ sink }, lagRecords)
      }
    },
  }
}
