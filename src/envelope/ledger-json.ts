// The trail's attempts and history as JSON text. Numbers are whole milliseconds.
import type { Attempt, HistoryEntry } from '../model/envelope.ts'
import { mergeHeaders, objectText } from './headers-json.ts'

/** `mayShow`: whether this caller may read that address. */
export function attemptsJson(attempts: readonly Attempt[], mayShow: (address: string) => boolean): string {
  return `[${attempts.map((attempt) => attemptJson(attempt, mayShow)).join(',')}]`
}

function attemptJson(attempt: Attempt, mayShow: (address: string) => boolean): string {
  const { address, status, error, because } = attempt
  return (
    `{"hop":${attempt.hop},"method":${JSON.stringify(attempt.method)},"url":${JSON.stringify(attempt.url)}` +
    `,"adapter":${JSON.stringify(attempt.adapter)},"origin":${JSON.stringify(attempt.origin)}` +
    `,"address":${address !== null && mayShow(address) ? JSON.stringify(address) : 'null'},"reused":${attempt.reused}` +
    `,"waited":${milliseconds(attempt.waited)},"because":${because === null ? 'null' : `"${because}"`}` +
    `${status === undefined ? '' : `,"status":${status}`}${error === undefined ? '' : `,"error":"${error}"`},"sent":"${attempt.sent}"` +
    `,"connect":${milliseconds(attempt.connect)},"firstByte":${milliseconds(attempt.firstByte)},"elapsed":${milliseconds(attempt.elapsed)}}`
  )
}

export function historyJson(history: readonly HistoryEntry[]): string {
  return `[${history.map(entryJson).join(',')}]`
}

function entryJson(entry: HistoryEntry): string {
  return (
    `{"method":${JSON.stringify(entry.method)},"status":${entry.status},"reason":${JSON.stringify(entry.reason)}` +
    `,"url":${JSON.stringify(entry.url)},"headers":${objectText(mergeHeaders(entry.rawHeaders))},"elapsed":${milliseconds(entry.elapsed)}}`
  )
}

/** Durations in answers are whole numbers, as they are in descriptors. */
export function milliseconds(value: number | null): string {
  return value === null ? 'null' : String(Math.round(value))
}
