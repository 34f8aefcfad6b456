// The trail's attempts and history as the envelope shows them. Numbers are whole milliseconds.
import type { Attempt, HistoryEntry } from '../model/envelope.ts'
import { quote } from '../model/quote.ts'
import { mergeHeaders, objectText } from './headers-json.ts'

/** In the contract's key order. `mayShow`: whether this caller may read that address. */
export function attemptsJson(attempts: readonly Attempt[], mayShow: (address: string) => boolean): string {
  let text = '['
  for (const attempt of attempts) text += `${text === '[' ? '' : ','}${attemptJson(attempt, mayShow)}`
  return `${text}]`
}

function attemptJson(attempt: Attempt, mayShow: (address: string) => boolean): string {
  const { address, status, error } = attempt
  return (
    `{"hop":${attempt.hop},"method":${quote(attempt.method)},"url":${quote(attempt.url)}` +
    `,"adapter":${quote(attempt.adapter)},"origin":${quote(attempt.origin)}` +
    `,"address":${quote(address !== null && mayShow(address) ? address : null)},"reused":${attempt.reused}` +
    `,"waited":${Math.round(attempt.waited)},"because":${quote(attempt.because)}` +
    `${status === undefined ? '' : `,"status":${status}`}${error === undefined ? '' : `,"error":"${error}"`}` +
    `,"sent":"${attempt.sent}","connect":${milliseconds(attempt.connect)},"firstByte":${milliseconds(attempt.firstByte)}` +
    `,"elapsed":${Math.round(attempt.elapsed)}}`
  )
}

export function historyJson(history: readonly HistoryEntry[]): string {
  return history.length === 0 ? '[]' : `[${history.map(entryJson).join(',')}]`
}

function entryJson(entry: HistoryEntry): string {
  return (
    `{"method":${quote(entry.method)},"status":${entry.status},"reason":${quote(entry.reason)}` +
    `,"url":${quote(entry.url)},"headers":${objectText(mergeHeaders(entry.rawHeaders))},"elapsed":${Math.round(entry.elapsed)}}`
  )
}

/** Durations in answers are whole numbers, as they are in descriptors. */
export function milliseconds(value: number | null): number | null {
  return value === null ? null : Math.round(value)
}
