// Lines of the trail as what a search answers: intent and result of a call as one.
import type { AuditActFound, AuditCall, AuditFound } from '../model/audit-search.ts'
import type { AuditAct, AuditIntent, AuditResult } from '../model/ports.ts'

interface Place {
  readonly chain: string
  readonly seq: number
  readonly at: string
}

export type TrailLine = Pick<Place, 'seq' | 'at'> &
  (
    | ({ readonly kind: 'intent' } & AuditIntent)
    | ({ readonly kind: 'result' } & AuditResult)
    | ({ readonly kind: 'act' } & AuditAct)
    | { readonly kind: 'note'; readonly note: string }
  )

/** `result`: of the call whose intent `line` is. */
export function toFound(chain: string, line: TrailLine, result?: TrailLine): AuditFound {
  const place = { chain, seq: line.seq, at: line.at }
  if (line.kind === 'note') return { kind: 'note', ...place, note: line.note }
  if (line.kind === 'act') {
    const { who, via, act, subject, phase, id = null, error, detail } = line
    return {
      kind: 'act',
      ...place,
      who,
      via,
      act,
      subject,
      ...(phase ? { phase } : {}),
      id,
      error,
      detail,
    } satisfies AuditActFound
  }
  if (line.kind === 'result') return toCall(place, null, line)
  return toCall(place, line, result?.kind === 'result' ? result : undefined)
}

function toCall(
  place: Place,
  intent: AuditIntent | null,
  result: (AuditResult & { readonly at: string }) | undefined,
): AuditCall {
  return {
    kind: 'call',
    ...place,
    ...{ id: intent?.id ?? result?.id ?? '', caller: intent?.caller ?? result?.caller ?? '', method: intent?.method ?? null },
    ...{ url: result?.url ?? intent?.url ?? null, adapter: result?.adapter ?? intent?.adapter ?? null },
    ...{ credential: result?.credential ?? intent?.credential ?? null, tags: intent?.tags ?? {} },
    ...{ endedAt: result?.at ?? null, status: result?.status ?? null, error: result?.error ?? null, sent: result?.sent ?? null },
    ...{ attempts: result?.attempts ?? [], durationMs: result?.durationMs ?? null },
    ...{ bytesOut: result?.bytesOut ?? null, bytesIn: result?.bytesIn ?? null, bodies: result?.bodies ?? null },
  }
}
