// Audit records as text: one JSON object a line. Pure. A record says who, what, where, with which credential and how it ended;
// never a query value or a header, and a body only as envelope/recorded-body.ts made it.
import type { AuditAct, AuditIntent, AuditResult } from '../model/ports.ts'

export type AuditEntry =
  | { readonly kind: 'intent'; readonly record: AuditIntent }
  | { readonly kind: 'result'; readonly record: AuditResult }
  | { readonly kind: 'act'; readonly record: AuditAct }
  /** Something about the file itself, such as a torn tail that was ended. */
  | {
      readonly kind: 'note'
      readonly note: string
      /** Files that are removed for their age, and the last MAC of each. */
      readonly removed?: Readonly<Record<string, string>>
    }
  | FormedEntry

/** Of another process: the text that formRecord made of a record there. */
export interface FormedEntry {
  readonly kind: 'formed'
  readonly text: string
}

/** All entries of one write as the text of their lines. `seq` is the first one's number, `at` the instant of the write. */
export function formatRecords(entries: readonly AuditEntry[], seq: number, at: string): string {
  let text = ''
  let number = seq
  for (const entry of entries) {
    const line =
      entry.kind === 'formed' ? `{"seq":${number},"at":"${at}",${entry.text}` : JSON.stringify(toLine(entry, number, at))
    text += `${line}\n`
    number++
  }
  return text
}

/** What a record says whatever its number and its instant, to be put behind these. Has no line end in it. */
export function formRecord(entry: Exclude<AuditEntry, FormedEntry>): string {
  return JSON.stringify(toLine(entry)).slice(1)
}

/** What is undefined has no place in the line. Without spreads: an object made with one takes several times as long to make. */
function toLine(entry: Exclude<AuditEntry, FormedEntry>, seq?: number, at?: string): Record<string, unknown> {
  const { kind } = entry
  if (kind === 'note') return { seq, at, kind, note: entry.note, removed: entry.removed }
  if (kind === 'act') {
    const { id, who, via, act, subject, phase, error, detail } = entry.record
    return { seq, at, kind, id, who, via, act, subject, phase, error, detail }
  }
  if (kind === 'intent') {
    const { id, caller, method, url, adapter, credential, tags } = entry.record
    return { seq, at, kind, id, caller, method, url: maskUrl(url), adapter, credential, tags }
  }
  const {
    id,
    intent,
    caller,
    url,
    adapter,
    status,
    error,
    sent,
    credential,
    attempts,
    durationMs,
    bytesOut,
    bytesIn,
    observed,
    bodies,
  } = entry.record
  const tries = attempts.map(({ hop, origin, address, status, error, sent, elapsed }) => {
    return { hop, origin, address, status, error, sent, elapsed }
  })
  return {
    seq,
    at,
    kind,
    id,
    intent,
    caller,
    url: maskUrl(url),
    adapter,
    status,
    error,
    sent,
    credential,
    attempts: tries,
    durationMs,
    bytesOut,
    bytesIn,
    observed: observed ?? undefined,
    bodies,
  }
}

/**
 * The URL with every query value masked, names kept; a part without `=` may itself be a key and is masked whole. The fragment
 * and, though nobody should pass it, userinfo are left out.
 */
export function maskUrl(url: string | null): string | null {
  if (url === null) return null
  const hash = url.indexOf('#')
  const whole = hash < 0 ? url : url.slice(0, hash)
  const mark = whole.indexOf('?')
  const bare = withoutUserinfo(mark < 0 ? whole : whole.slice(0, mark))
  if (mark < 0) return bare
  return `${bare}?${whole
    .slice(mark + 1)
    .split('&')
    .map((part) => {
      const equals = part.indexOf('=')
      if (part === '') return ''
      return equals < 0 ? '***' : `${part.slice(0, equals)}=***`
    })
    .join('&')}`
}

function withoutUserinfo(url: string): string {
  const start = url.indexOf('://') + 3
  if (start < 3) return url
  const slash = url.indexOf('/', start)
  const at = url.lastIndexOf('@', slash < 0 ? url.length : slash)
  return at < start ? url : url.slice(0, start) + url.slice(at + 1)
}
