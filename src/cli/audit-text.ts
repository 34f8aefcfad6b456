// A record of the audit trail as one line for a person.
import type { AuditFound } from '../model/audit-search.ts'

export function foundLine(found: AuditFound): string {
  const { at } = found
  if (found.kind === 'note') return `${at}  note  ${found.note}`
  if (found.kind === 'act') {
    const { who, via, act, subject, phase, error } = found
    return [at, 'act', who, `(${via})`, act, subject ?? '', phase ?? '', error ?? ''].filter((word) => word !== '').join('  ')
  }
  const { status, error, durationMs, caller, method, url, adapter, credential, attempts, id } = found
  const outcome = found.endedAt === null ? 'no result' : [status, error].filter((each) => each !== null).join(' ')
  const took = durationMs === null ? '' : `${Math.round(durationMs * 10) / 10}ms`
  const tries = attempts.length > 1 ? `${attempts.length} tries` : ''
  const words = [at, outcome, took, caller, `${method ?? '-'} ${url ?? '-'}`, adapter ?? '', credential ?? '', tries, id]
  return words.filter((word) => word !== '').join('  ')
}
