// What was found in the audit trail as a table: RFC 4180, with no cell that a spreadsheet would take for a formula. Pure.
import type { AuditFound } from './audit-search.ts'

const COLUMNS = [
  ...[
    'at',
    'kind',
    'chain',
    'seq',
    'id',
    'caller',
    'method',
    'url',
    'adapter',
    'credential',
    'tags',
    'endedAt',
    'status',
    'error',
  ],
  ...['sent', 'attempts', 'durationMs', 'bytesOut', 'bytesIn', 'bodies', 'via', 'act', 'subject', 'phase', 'detail', 'note'],
] as const

/** With its line end, as each row. */
export const CSV_HEADER = `${COLUMNS.join(',')}\r\n`

/** `attempts` is their number; `caller` of an act is who did it; objects are JSON. */
export function csvRow(found: AuditFound): string {
  const cells: Readonly<Record<string, unknown>> =
    found.kind === 'call'
      ? { ...found, attempts: found.attempts.length, tags: Object.keys(found.tags).length > 0 ? found.tags : null }
      : found.kind === 'act'
        ? { ...found, caller: found.who }
        : { ...found }
  return `${COLUMNS.map((name) => cell(cells[name])).join(',')}\r\n`
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return ''
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
  // A spreadsheet evaluates what begins so; the apostrophe makes it text. A plain number may keep its sign.
  const safe = /^[=+\-@\t\r]/.test(text) && typeof value !== 'number' ? `'${text}` : text
  return /[",\r\n]/.test(safe) || safe !== safe.trim() ? `"${safe.replaceAll('"', '""')}"` : safe
}
