// The trail's attempts and history as the envelope shows them. Numbers are whole milliseconds.
import type { Attempt, HistoryEntry } from '../model/envelope.ts'
import { mergeHeaders, objectText } from './headers-json.ts'

export interface AttemptView extends Omit<Attempt, 'status' | 'error' | 'begun' | 'span'> {
  readonly status: Attempt['status'] | undefined
  readonly error: Attempt['error'] | undefined
}

/** In the contract's key order. `mayShow`: whether this caller may read that address. */
export function attemptView(attempt: Attempt, mayShow: (address: string) => boolean): AttemptView {
  const { address } = attempt
  return {
    hop: attempt.hop,
    method: attempt.method,
    url: attempt.url,
    adapter: attempt.adapter,
    origin: attempt.origin,
    address: address !== null && mayShow(address) ? address : null,
    reused: attempt.reused,
    waited: Math.round(attempt.waited),
    because: attempt.because,
    status: attempt.status,
    error: attempt.error,
    sent: attempt.sent,
    connect: milliseconds(attempt.connect),
    firstByte: milliseconds(attempt.firstByte),
    elapsed: Math.round(attempt.elapsed),
  }
}

export function historyJson(history: readonly HistoryEntry[]): string {
  return history.length === 0 ? '[]' : `[${history.map(entryJson).join(',')}]`
}

function entryJson(entry: HistoryEntry): string {
  return (
    `{"method":${JSON.stringify(entry.method)},"status":${entry.status},"reason":${JSON.stringify(entry.reason)}` +
    `,"url":${JSON.stringify(entry.url)},"headers":${objectText(mergeHeaders(entry.rawHeaders))},"elapsed":${Math.round(entry.elapsed)}}`
  )
}

/** Durations in answers are whole numbers, as they are in descriptors. */
export function milliseconds(value: number | null): number | null {
  return value === null ? null : Math.round(value)
}
