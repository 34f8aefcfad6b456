// Counters and histograms in plain cells. A cell is looked up once and then only added to: the client library's own look-up of
// a label set at every observation would cost more than the rest of our metering. What is printed is read off at the scrape.
import type { Series } from './series.ts'

export type Labels = Readonly<Record<string, string>>

/** One printed sample. */
export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
  readonly metricName?: string
  readonly exemplar?: Exemplar
}

export interface Exemplar {
  readonly labelSet: Labels
  readonly value: number
  /** Seconds since 1970. */
  readonly timestamp: number
}

/** A series with all its cells. */
export interface Family<Cell> {
  readonly series: Series
  /** Makes a new one at each call: keep it. Two with the same labels would print twice. */
  cell(labels: Labels): Cell
  samples(): Sample[]
}

export interface CounterCell {
  add(amount: number): void
}

export interface HistogramCell {
  /** `traceId`: of the call that was observed; the last one of each bucket is printed as its exemplar. */
  observe(value: number, traceId?: string | null): void
}

/** A cell that was never added to is not printed. */
export function createCounterFamily(series: Series): Family<CounterCell> {
  const cells: { readonly labels: Labels; sum: number }[] = []
  return {
    series,
    cell(labels) {
      const cell = { labels, sum: 0 }
      cells.push(cell)
      return {
        add(amount) {
          cell.sum += amount
        },
      }
    },
    samples: () => cells.filter(({ sum }) => sum > 0).map(({ labels, sum }) => ({ labels, value: sum })),
  }
}

interface Distribution {
  readonly labels: Labels
  /** By bucket, the one above all bounds last; not cumulative. */
  readonly counts: Float64Array
  readonly exemplars: (Exemplar | null)[]
  sum: number
}

/** `date`: wall clock, ms since 1970, for exemplars. */
export function createHistogramFamily(series: Series, date: () => number): Family<HistogramCell> {
  const bounds = series.buckets ?? []
  const cells: Distribution[] = []
  return {
    series,
    cell(labels) {
      const counts = new Float64Array(bounds.length + 1)
      const cell: Distribution = { labels, counts, exemplars: Array.from(counts, () => null), sum: 0 }
      cells.push(cell)
      return {
        observe(value, traceId = null) {
          let bucket = 0
          while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket++
          counts[bucket] = (counts[bucket] ?? 0) + 1
          cell.sum += value
          if (traceId !== null) {
            cell.exemplars[bucket] = { labelSet: { trace_id: traceId }, value, timestamp: date() / 1000 }
          }
        },
      }
    },
    samples: () => cells.flatMap((cell) => samplesOf(series.name, bounds, cell)),
  }
}

function samplesOf(name: string, bounds: readonly number[], { labels, counts, exemplars, sum }: Distribution): Sample[] {
  const samples: Sample[] = []
  let count = 0
  for (const [bucket, inBucket] of counts.entries()) {
    count += inBucket
    const exemplar = exemplars[bucket]
    samples.push({
      labels: { le: bounds[bucket] ?? '+Inf', ...labels },
      value: count,
      metricName: `${name}_bucket`,
      ...(exemplar ? { exemplar } : {}),
    })
  }
  if (count === 0) return []
  samples.push({ labels, value: sum, metricName: `${name}_sum` }, { labels, value: count, metricName: `${name}_count` })
  return samples
}
