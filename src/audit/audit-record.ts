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

/**
 * All entries of one write as the text of their lines. `seq` is the first one's number, `at` the instant of the write. Those of calls
 * are joined by hand, as JSON.stringify would have them: that takes longer, and an object more for each.
 */
export function formatRecords(entries: readonly AuditEntry[], seq: number, at: string): string {
  let text = ''
  let number = seq
  for (const entry of entries) text += `{"seq":${number++},"at":"${at}","kind":"${entry.kind}"${fieldsOf(entry)}}\n`
  return text
}

/** Each with a comma ahead of it. */
function fieldsOf(entry: AuditEntry): string {
  switch (entry.kind) {
    case 'intent':
      return intentFields(entry.record)
    case 'result':
      return resultFields(entry.record)
    case 'act': {
      const { id, who, via, act, subject, phase, error, detail } = entry.record
      return `,${JSON.stringify({ id, who, via, act, subject, phase, error, detail }).slice(1, -1)}`
    }
    case 'note':
      return `,${JSON.stringify({ note: entry.note, removed: entry.removed }).slice(1, -1)}`
  }
}

function intentFields({ id, caller, method, url, adapter, credential, tags }: AuditIntent): string {
  return (
    `,"id":${quote(id)},"caller":${quote(caller)},"method":${quote(method)},"url":${quote(maskUrl(url))}` +
    `,"adapter":${quote(adapter)},"credential":${quote(credential)},"tags":${JSON.stringify(tags)}`
  )
}

function resultFields(record: AuditResult): string {
  const { id, intent, caller, url, adapter, status, error, sent, credential, attempts, observed, bodies } = record
  return (
    `,"id":${quote(id)},"intent":${intent},"caller":${quote(caller)},"url":${quote(maskUrl(url))},"adapter":${quote(adapter)}` +
    `,"status":${status},"error":${quote(error)},"sent":"${sent}","credential":${quote(credential)}` +
    `,"attempts":${attemptsText(attempts)},"durationMs":${record.durationMs}` +
    `,"bytesOut":${record.bytesOut},"bytesIn":${record.bytesIn}` +
    (observed ? `,"observed":${JSON.stringify(observed)}` : '') +
    (bodies ? `,"bodies":${JSON.stringify(bodies)}` : '')
  )
}

function attemptsText(attempts: AuditResult['attempts']): string {
  let text = ''
  for (const { hop, origin, address, status, error, sent, elapsed } of attempts)
    text +=
      `${text === '' ? '' : ','}{"hop":${hop},"origin":${quote(origin)},"address":${quote(address)}` +
      (status === undefined ? '' : `,"status":${status}`) +
      (error === undefined ? '' : `,"error":${quote(error)}`) +
      `,"sent":"${sent}","elapsed":${elapsed}}`
  return `[${text}]`
}

/** As JSON.stringify has it; but where nothing has to be escaped, which is the rule here, that takes five times as long. */
function quote(text: string | null): string {
  if (text === null) return 'null'
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit < 0x20 || unit > 0x7e || unit === 0x22 || unit === 0x5c) return JSON.stringify(text)
  }
  return `"${text}"`
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
